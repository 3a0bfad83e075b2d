//! Templates, and the form in which they get numbers, times and money: as text for people.

use agix_core::time::Wall;
use agix_core::units::NanoUsd;
use agix_proto::v1::{StatusRequest, StatusResponse};
use axum::response::Html;
use jiff::Timestamp;
use serde::Serialize;
use tera::{Context, Tera};

use super::Console;
use super::error::PageError;
use super::guard::Visitor;

const TEMPLATES: [(&str, &str); 16] = [
    ("layout.html", include_str!("template/layout.html")),
    ("parts.html", include_str!("template/parts.html")),
    ("overview.html", include_str!("template/overview.html")),
    ("agents.html", include_str!("template/agents.html")),
    ("agent.html", include_str!("template/agent.html")),
    ("policy.html", include_str!("template/policy.html")),
    ("revision.html", include_str!("template/revision.html")),
    ("rollback.html", include_str!("template/rollback.html")),
    ("diff.html", include_str!("template/diff.html")),
    ("webhooks.html", include_str!("template/webhooks.html")),
    ("webhook.html", include_str!("template/webhook.html")),
    ("replay.html", include_str!("template/replay.html")),
    ("fleet.html", include_str!("template/fleet.html")),
    ("chains.html", include_str!("template/chains.html")),
    ("requests.html", include_str!("template/requests.html")),
    ("sign_in.html", include_str!("template/sign_in.html")),
];

/// All templates, read.
#[derive(Debug)]
pub(super) struct Views {
    tera: Tera,
}

impl Views {
    pub(super) fn new() -> Result<Self, tera::Error> {
        let mut tera = Tera::new();
        tera.add_raw_templates(TEMPLATES)?;
        Ok(Self { tera })
    }
}

/// What stands around every page.
#[derive(Debug, Serialize)]
struct Frame<'a, T> {
    /// The section that is marked in the menu.
    section: &'a str,
    title: &'a str,
    /// Absent where nobody is signed in yet.
    status: Option<StatusView>,
    signed_in: bool,
    version: &'static str,
    page: &'a T,
}

#[derive(Debug, Serialize)]
struct StatusView {
    store: String,
    revision: u64,
    author: String,
    applied: Moment,
    connected: u32,
    current: u32,
    up: String,
}

/// A moment, for people and for programs.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Moment {
    /// `2026-11-25T16:40:02Z`
    rfc3339: String,
    /// `2026-11-25 16:40:02 UTC`
    text: String,
    /// `3 min ago`
    ago: String,
}

/// One use of a bounded thing, as a bar.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Bar {
    label: String,
    /// `4 of 5`
    text: String,
    /// More words, such as when it resets.
    note: String,
    /// Used, in hundredths of the bar's length; at most 100.
    pub(super) used: u64,
    /// Held ready or set aside, after that.
    held: u64,
    /// `ok`, `near`, `full`: by how much is used.
    level: &'static str,
}

impl Console {
    /// A page within its frame.
    pub(super) async fn page<T: Serialize + Sync>(
        &self,
        visitor: &Visitor,
        (template, section, title): (&str, &str, &str),
        page: &T,
    ) -> Result<Html<String>, PageError> {
        let status = visitor.calls.fleet().status(StatusRequest {}).await?;
        let status = StatusView::new(status.into_inner(), self.clock.wall());
        self.framed(visitor, (template, section, title), Some(status), page)
    }

    /// A page for those who are not signed in.
    pub(super) fn bare_page<T: Serialize + Sync>(
        &self,
        visitor: &Visitor,
        (template, title): (&str, &str),
        page: &T,
    ) -> Result<Html<String>, PageError> {
        self.framed(visitor, (template, "", title), None, page)
    }

    fn framed<T: Serialize + Sync>(
        &self,
        visitor: &Visitor,
        (template, section, title): (&str, &str, &str),
        status: Option<StatusView>,
        page: &T,
    ) -> Result<Html<String>, PageError> {
        let frame = Frame {
            section,
            title,
            status,
            signed_in: visitor.session.is_some(),
            version: env!("CARGO_PKG_VERSION"),
            page,
        };
        let context = Context::from_serialize(&frame)?;
        Ok(Html(self.views.tera.render(template, &context)?))
    }

    /// A moment as it stands to now.
    pub(super) fn moment(&self, unix_ms: i64) -> Moment {
        Moment::new(unix_ms, self.clock.wall())
    }
}

impl StatusView {
    fn new(status: StatusResponse, now: Wall) -> Self {
        let current = status.current.unwrap_or_default();
        let up = now.as_millis().saturating_sub(status.started_at_unix_ms);
        Self {
            store: status.store,
            revision: current.revision,
            author: current.author,
            applied: Moment::new(current.time_unix_ms, now),
            connected: status.proxies_connected,
            current: status.proxies_current,
            up: span(u64::try_from(up).unwrap_or(0)),
        }
    }
}

impl Moment {
    fn new(unix_ms: i64, now: Wall) -> Self {
        let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
        let passed = now.as_millis().saturating_sub(unix_ms);
        let ago = match u64::try_from(passed) {
            Ok(passed) if passed < 1_000 => "now".to_owned(),
            Ok(passed) => format!("{} ago", span(passed)),
            Err(_ahead) => format!("in {}", span(passed.unsigned_abs())),
        };
        let rfc3339 = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let text = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        Self { rfc3339, text, ago }
    }
}

impl Bar {
    /// A bar of `used` and `held` of `limit`.
    pub(super) fn new(
        label: impl Into<String>,
        (used, held, limit): (u64, u64, u64),
        text: String,
        note: String,
    ) -> Self {
        let share = |part: u64| {
            let hundredths = u128::from(part).saturating_mul(100);
            let hundredths = hundredths.checked_div(limit.into()).unwrap_or(0);
            u64::try_from(hundredths.min(100)).unwrap_or(100)
        };
        let used = share(used);
        Self {
            label: label.into(),
            text,
            note,
            used,
            held: share(held).min(100_u64.saturating_sub(used)),
            level: match used {
                ..80 => "ok",
                80..100 => "near",
                _ => "full",
            },
        }
    }
}

/// `3 h 12 min`: the two largest units of a time.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

/// `$1.2346`: dollars with four places, rounded up so that something is never shown as nothing.
pub(super) fn usd(nanos: u64) -> String {
    let amount = NanoUsd::from_nanos(nanos.div_ceil(100_000).saturating_mul(100_000));
    let text = amount.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("${whole}.{part:0<4}")
}

/// `12 345`: digits in groups.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `12 %`: a share, cut off.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part).saturating_mul(100);
    format!("{} %", hundredths.checked_div(whole.into()).unwrap_or(0))
}

/// `16:40:02`, in UTC.
pub(super) fn clock_time(unix_ms: i64) -> String {
    let at = Timestamp::from_millisecond(unix_ms).unwrap_or_default();
    at.strftime("%H:%M:%S").to_string()
}

/// The beginning of a text, of at most so many bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = text.floor_char_boundary(most);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_fit_together() {
        Views::new().unwrap();
    }

    #[test]
    fn money_times_and_numbers_read_well() {
        assert_eq!(usd(0), "$0.0000");
        assert_eq!(usd(1), "$0.0001");
        assert_eq!(usd(10_000_000_000), "$10.0000");
        assert_eq!(usd(2_500_012_345), "$2.5001");
        assert_eq!(span(999), "999 ms");
        assert_eq!(span(61_000), "1 min 1 s");
        assert_eq!(span(90_061_000), "1 d 1 h");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_limit() {
        let bar = Bar::new("x", (90, 30, 100), String::new(), String::new());
        assert_eq!((bar.used, bar.held, bar.level), (90, 10, "near"));
        let over = Bar::new("x", (300, 5, 100), String::new(), String::new());
        assert_eq!((over.used, over.held, over.level), (100, 0, "full"));
    }

    #[test]
    fn a_moment_says_how_long_ago_it_was() {
        let moment = Moment::new(1_000, Wall::from_millis(63_000));
        assert_eq!(moment.ago, "1 min 2 s ago");
        assert_eq!(moment.text, "1970-01-01 00:00:01 UTC");
        assert_eq!(
            Moment::new(63_000, Wall::from_millis(0)).ago,
            "in 1 min 3 s"
        );
    }
}
