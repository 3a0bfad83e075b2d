//! From the template of a document to one of tera: Go's fields become tera's, and whatever could not
//! be bounded is refused. Nothing reaches tera that was not looked at here, except plain text.

mod expression;

use super::{Fault, Subject};
use crate::limits::{TEMPLATE_ACTIONS, TEMPLATE_DEPTH};

/// Fields of whatever is received.
const RECEIVED: [&str; 4] = ["Payload", "Headers", "Timestamp", "WebhookName"];
/// Further fields of a budget alert.
const ALERT: [&str; 6] = [
    "AgentName",
    "SpentPercent",
    "Spent",
    "Limit",
    "Remaining",
    "Period",
];

/// Words with which Go begins something that tera writes differently or that is not there.
const GO_WORDS: [&str; 14] = [
    "if", "else", "end", "range", "with", "define", "template", "block", "break", "continue",
    "printf", "print", "println", "len",
];

/// A template of tera, and where its pieces come from.
pub(super) struct Translated {
    pub(super) text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy)]
struct Piece {
    /// Where it begins in the translation.
    to: usize,
    /// Where it begins in the source.
    from: usize,
    /// Whether it is there letter by letter.
    is_verbatim: bool,
}

impl Translated {
    /// The byte of the source that became what is in `line` (from 1) and `column` (from 0).
    pub(super) fn source_offset(&self, line: usize, column: usize) -> usize {
        let before = line.saturating_sub(1);
        let start: usize = self
            .text
            .split_inclusive('\n')
            .take(before)
            .map(str::len)
            .sum();
        let rest = self.text.get(start..).unwrap_or_default();
        let within = rest
            .char_indices()
            .nth(column)
            .map_or(rest.len(), |it| it.0);
        let offset = start.saturating_add(within);
        let piece = self.pieces.iter().rev().find(|piece| piece.to <= offset);
        piece.map_or(0, |piece| {
            if piece.is_verbatim {
                piece.from.saturating_add(offset.saturating_sub(piece.to))
            } else {
                piece.from
            }
        })
    }
}

/// Translates `source`, or says everything that is wrong with it.
pub(super) fn translate(source: &str, subject: Subject) -> Result<Translated, Vec<Fault>> {
    let mut translator = Translator {
        source,
        subject,
        output: Translated {
            text: String::with_capacity(source.len()),
            pieces: Vec::new(),
        },
        faults: Vec::new(),
        actions: 0,
        depth: 0,
    };
    translator.run();
    if translator.faults.is_empty() {
        Ok(translator.output)
    } else {
        Err(translator.faults)
    }
}

/// What is wrong, and with which byte.
type Wrong = (usize, String, Option<String>);

struct Translator<'s> {
    source: &'s str,
    subject: Subject,
    output: Translated,
    faults: Vec<Fault>,
    actions: usize,
    depth: usize,
}

impl<'s> Translator<'s> {
    fn run(&mut self) {
        let mut at = 0;
        while let Some((start, opening)) = next_opening(self.source, at) {
            self.emit(at, slice(self.source, at, start), true);
            let body = start.saturating_add(2);
            let Some(end) = closing(self.source, body, opening) else {
                let message = format!("what begins with `{}` does not end", opening.0);
                self.fault((start, message, None));
                return;
            };
            self.action(start, slice(self.source, body, end), opening);
            at = end.saturating_add(2);
            self.actions = self.actions.saturating_add(1);
            if self.actions > TEMPLATE_ACTIONS {
                let message = format!("more than {TEMPLATE_ACTIONS} fields and conditions");
                self.fault((start, message, None));
                return;
            }
        }
        self.emit(at, slice(self.source, at, self.source.len()), true);
    }

    fn emit(&mut self, from: usize, text: &str, is_verbatim: bool) {
        self.output.pieces.push(Piece {
            to: self.output.text.len(),
            from,
            is_verbatim,
        });
        self.output.text.push_str(text);
    }

    fn fault(&mut self, (at, message, help): Wrong) {
        self.faults.push(Fault { at, message, help });
    }

    /// Translates what stands between two delimiters.
    fn action(&mut self, start: usize, body: &'s str, (open, close): Delimiters) {
        if open == "{#" {
            return;
        }
        let inner = body.strip_prefix('-').unwrap_or(body);
        let trims_before = inner.len() < body.len();
        let content = inner.strip_suffix('-').unwrap_or(inner);
        let trims_after = content.len() < inner.len();
        let lead = content.len().saturating_sub(content.trim_start().len());
        let offset = start
            .saturating_add(2)
            .saturating_add(usize::from(trims_before))
            .saturating_add(lead);
        let content = content.trim();
        let translated = if open == "{%" {
            self.statement(content, offset)
        } else {
            self.output_of(content, offset)
        };
        match translated {
            Ok(text) => {
                let dash = |is_there| if is_there { "-" } else { "" };
                let (before, after) = (dash(trims_before), dash(trims_after));
                let text = format!("{open}{before} {text} {after}{close}");
                self.emit(start, &text, false);
            }
            Err(wrong) => self.fault(wrong),
        }
    }

    fn output_of(&self, content: &str, at: usize) -> Result<String, Wrong> {
        if content.starts_with("/*") {
            // Trims as it does in Go, and says nothing.
            return if content.ends_with("*/") {
                Ok("\"\"".to_owned())
            } else {
                Err((at, "a comment does not end with `*/`".to_owned(), None))
            };
        }
        let word = content.split(|c: char| !c.is_ascii_alphanumeric()).next();
        if let Some(word) = word.filter(|word| GO_WORDS.contains(word)) {
            let message = format!("`{word}` of Go's templates is not there");
            let help =
                "write conditions as `{% if NAME == \"...\" %} ... {% else %} ... {% endif %}`";
            return Err((at, message, Some(help.to_owned())));
        }
        expression::translate(content, at, self.subject)
    }

    fn statement(&mut self, content: &str, at: usize) -> Result<String, Wrong> {
        let (word, rest) = match content.split_once(char::is_whitespace) {
            Some((word, rest)) => (word, rest.trim_start()),
            None => (content, ""),
        };
        let condition_at = at.saturating_add(content.len().saturating_sub(rest.len()));
        match word {
            "if" | "elif" if !rest.is_empty() => {
                if word == "if" {
                    self.depth = self.depth.saturating_add(1);
                }
                if self.depth > TEMPLATE_DEPTH {
                    let message = format!("conditions are nested more than {TEMPLATE_DEPTH} deep");
                    return Err((at, message, None));
                }
                let condition = expression::translate(rest, condition_at, self.subject)?;
                Ok(format!("{word} {condition}"))
            }
            "else" | "endif" if rest.is_empty() => {
                if word == "endif" {
                    self.depth = self.depth.saturating_sub(1);
                }
                Ok(word.to_owned())
            }
            _ => {
                let message = format!("`{}` is not a statement of templates", shown(content));
                let help = "there are `if`, `elif`, `else` and `endif`";
                Err((at, message, Some(help.to_owned())))
            }
        }
    }
}

type Delimiters = (&'static str, &'static str);

const OPENINGS: [Delimiters; 3] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];

fn next_opening(source: &str, at: usize) -> Option<(usize, Delimiters)> {
    let rest = source.get(at..)?;
    let first = |opening: Delimiters| rest.find(opening.0).map(|found| (found, opening));
    let found = OPENINGS.into_iter().filter_map(first);
    let (found, opening) = found.min_by_key(|(found, _)| *found)?;
    Some((at.saturating_add(found), opening))
}

/// Where the delimiter that closes `opening` begins; one in quotes closes nothing.
fn closing(source: &str, at: usize, (open, close): Delimiters) -> Option<usize> {
    let rest = source.get(at..)?;
    let mut quote = None;
    for (index, character) in rest.char_indices() {
        if quote.is_some() {
            if quote == Some(character) {
                quote = None;
            }
        } else if rest.get(index..)?.starts_with(close) {
            return Some(at.saturating_add(index));
        } else if open != "{#" && matches!(character, '"' | '\'' | '`') {
            quote = Some(character);
        }
    }
    None
}

fn slice(text: &str, from: usize, to: usize) -> &str {
    text.get(from..to).unwrap_or_default()
}

/// The beginning of `text`, for a message.
fn shown(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut start: String = text.chars().take(SHOWN).collect();
    if start.len() < text.len() {
        start.push_str("...");
    }
    start
}

/// Whether `name` is a field for `subject`; if not, what is wrong with it.
fn check_field(name: &str, at: usize, subject: Subject) -> Result<(), Wrong> {
    let is_alert = subject == Subject::Alert;
    if RECEIVED.contains(&name) || (is_alert && ALERT.contains(&name)) {
        return Ok(());
    }
    let further = if is_alert { ALERT.as_slice() } else { &[] };
    let fields = RECEIVED.iter().chain(further).map(|it| format!("`.{it}`"));
    let fields = format!("the fields are {}", fields.collect::<Vec<_>>().join(", "));
    if ALERT.contains(&name) {
        let message = format!("`.{name}` is a field of budget alerts only");
        let help = format!(
            "{fields}; alerts go to `budget-alert`, or where the `alert_webhook` of a budget says"
        );
        return Err((at, message, Some(help)));
    }
    let message = format!("there is no field `.{}`", shown(name));
    Err((at, message, Some(fields)))
}
