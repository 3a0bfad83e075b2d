//! Prompt templates: text with fields of what was received.
//!
//! The language is tera's without everything that could not be bounded; fields may also be written as
//! Go templates do, which is how the documents of agix write them.
//!
//! Rules this module keeps:
//! - A template that was read renders, whatever is received: only its output can be too long.
//! - No loops, calls or concatenations: time is linear in the lengths of template and output.
//! - Values are text. They are never read as templates, and nothing in them is escaped.

mod translate;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::io;

use jiff::Timestamp;
use tera::{Context, ErrorKind, Tera};

use super::outcome::BudgetAlert;
use crate::id::WebhookName;
use crate::ledger::AlertPeriod;
use crate::limits::WEBHOOK_RENDERED_BYTES;
use crate::time::Wall;
use crate::units::NanoUsd;
use translate::Translated;

/// What a template may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// What somebody sent.
    Received,
    /// A budget alert; what its body and headers would be is empty or the alert as JSON.
    Alert,
}

/// Something wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The byte of the template at which it begins.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// What is filled in.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The webhook.
    pub webhook: &'a WebhookName,
    /// When it was received.
    pub received: Wall,
    /// The body.
    pub payload: &'a str,
    /// The headers.
    pub headers: &'a [(String, String)],
    /// The alert.
    pub alert: Option<&'a BudgetAlert>,
}

/// A rendered prompt would be too long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRendered {
    /// The bound is passed.
    #[error(
        "the rendered prompt has more than {WEBHOOK_RENDERED_BYTES} bytes: send less, or use each \
         field once"
    )]
    TooLong,
    /// The template says what its kind of webhook has not.
    #[error("the template cannot be rendered: {0}")]
    Failed(String),
}

/// A template that was read.
pub struct Template {
    tera: Tera,
}

/// The template's name within tera.
const NAME: &str = "prompt";

impl Template {
    /// Reads a template of a webhook about `subject`, or says everything that is wrong with it.
    pub fn parse(text: &str, subject: Subject) -> Result<Self, Vec<Fault>> {
        let translated = translate::translate(text, subject)?;
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&'static str>::new());
        match tera.add_raw_template(NAME, &translated.text) {
            Ok(()) => Ok(Self { tera }),
            Err(error) => Err(vec![fault(&error, &translated)]),
        }
    }

    /// The prompt for `values`.
    pub fn render(&self, values: &Values<'_>) -> Result<String, NotRendered> {
        let mut output = Bounded::default();
        let rendered = self.tera.render_to(NAME, &context(values), &mut output);
        if output.is_full {
            return Err(NotRendered::TooLong);
        }
        rendered.map_err(|error| NotRendered::Failed(error.to_string()))?;
        String::from_utf8(output.bytes).map_err(|error| NotRendered::Failed(error.to_string()))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

fn fault(error: &tera::Error, translated: &Translated) -> Fault {
    let (at, message) = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let span = report.span();
            let at = translated.source_offset(span.start_line, span.start_col);
            (at, report.message().to_owned())
        }
        _ => (0, error.to_string()),
    };
    Fault {
        at,
        message: format!("the template cannot be read: {message}"),
        help: None,
    }
}

/// What the names of a translated template stand for.
fn context(values: &Values<'_>) -> Context {
    let mut context = Context::new();
    // The first of two headers with one name is the one that counts.
    let mut headers: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in values.headers {
        let name = name.to_ascii_lowercase();
        headers.entry(name).or_insert(value);
    }
    context.insert("Payload", values.payload);
    context.insert("HeadersText", &json_object(&headers));
    context.insert("Headers", &headers);
    context.insert("WebhookName", values.webhook.as_str());
    context.insert("Timestamp", &timestamp(values.received));
    for (name, value) in alert_fields(values.alert) {
        context.insert(name, &value);
    }
    context
}

fn alert_fields(alert: Option<&BudgetAlert>) -> [(&'static str, String); 6] {
    let value = |of: &dyn Fn(&BudgetAlert) -> String| alert.map(of).unwrap_or_default();
    [
        ("AgentName", value(&|it| it.agent.to_string())),
        ("SpentPercent", value(&|it| spent_percent(it).to_string())),
        ("Spent", value(&|it| cents(to_cents(it.spent)))),
        ("Limit", value(&|it| cents(to_cents(it.limit)))),
        (
            "Remaining",
            // Of the amounts that are shown, so that they add up.
            value(&|it| cents(to_cents(it.limit).saturating_sub(to_cents(it.spent)))),
        ),
        (
            "Period",
            value(&|it| match it.period {
                AlertPeriod::Day(day) => day.to_string(),
                AlertPeriod::Month(month) => month.to_string(),
            }),
        ),
    ]
}

/// The share that is spent, as a whole number of percent.
pub fn spent_percent(alert: &BudgetAlert) -> u64 {
    let spent = u128::from(alert.spent.as_nanos()).saturating_mul(100);
    let percent = spent.checked_div(u128::from(alert.limit.as_nanos()));
    percent
        .and_then(|percent| u64::try_from(percent).ok())
        .unwrap_or(u64::MAX)
}

const NANOS_OF_A_CENT: u64 = 10_000_000;

/// The nearest number of cents.
fn to_cents(amount: NanoUsd) -> u64 {
    let half = NANOS_OF_A_CENT >> 1;
    amount
        .as_nanos()
        .saturating_add(half)
        .checked_div(NANOS_OF_A_CENT)
        .unwrap_or_default()
}

/// Dollars with two decimals.
fn cents(cents: u64) -> String {
    let dollars = cents.checked_div(100).unwrap_or_default();
    let rest = cents.checked_rem(100).unwrap_or_default();
    format!("{dollars}.{rest:02}")
}

/// `2026-02-21T10:15:00Z`, as ISO 8601 writes a moment.
pub fn timestamp(at: Wall) -> String {
    Timestamp::from_millisecond(at.as_millis())
        .unwrap_or_default()
        .to_string()
}

/// `map` as JSON, in the order of its keys.
fn json_object(map: &BTreeMap<String, &str>) -> String {
    let mut text = String::from("{");
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        json_string(key, &mut text);
        text.push(':');
        json_string(value, &mut text);
    }
    text.push('}');
    text
}

fn json_string(value: &str, text: &mut String) {
    text.push('"');
    for character in value.chars() {
        let escaped: Cow<'_, str> = match character {
            '"' => "\\\"".into(),
            '\\' => "\\\\".into(),
            '\n' => "\\n".into(),
            '\r' => "\\r".into(),
            '\t' => "\\t".into(),
            control if control.is_control() => format!("\\u{:04x}", u32::from(control)).into(),
            other => {
                text.push(other);
                continue;
            }
        };
        text.push_str(&escaped);
    }
    text.push('"');
}

/// Takes what is written until there is too much.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let length = self.bytes.len().saturating_add(piece.len());
        if length > WEBHOOK_RENDERED_BYTES {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
