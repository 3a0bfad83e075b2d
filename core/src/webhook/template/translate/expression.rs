//! What may be written and compared: fields, headers, texts and numbers.
//!
//! A header that is not there is an empty text, as in Go, so that no template fails for what a sender
//! leaves out.

use super::{Subject, Wrong, check_field, shown};
use crate::limits::TEMPLATE_TOKENS;

/// Words that join and compare.
const WORDS: [&str; 8] = ["and", "or", "not", "in", "if", "else", "true", "false"];
/// Signs that compare, the longer ones first.
const SIGNS: [&str; 6] = ["==", "!=", "<=", ">=", "<", ">"];

/// Translates an expression whose first byte is at `at`.
pub(super) fn translate(text: &str, at: usize, subject: Subject) -> Result<String, Wrong> {
    let mut reader = Reader {
        rest: text,
        at,
        subject,
        tokens: 0,
    };
    let mut output: Vec<String> = Vec::new();
    while !reader.is_done() {
        output.push(reader.operand_or_operator()?);
    }
    if output.is_empty() {
        let message = "nothing is written here".to_owned();
        let help = Some("write a field, as in `{{.Payload}}`".to_owned());
        return Err((at.saturating_sub(2), message, help));
    }
    Ok(output.join(" "))
}

struct Reader<'t> {
    rest: &'t str,
    at: usize,
    subject: Subject,
    tokens: usize,
}

impl<'t> Reader<'t> {
    fn is_done(&mut self) -> bool {
        let rest = self.rest.trim_start();
        self.advance(self.rest.len().saturating_sub(rest.len()));
        rest.is_empty()
    }

    fn advance(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.at = self.at.saturating_add(taken.len());
        self.rest = rest;
        taken
    }

    fn wrong<T>(&self, message: impl Into<String>, help: &str) -> Result<T, Wrong> {
        Err((self.at, message.into(), Some(help.to_owned())))
    }

    fn operand_or_operator(&mut self) -> Result<String, Wrong> {
        self.tokens = self.tokens.saturating_add(1);
        if self.tokens > TEMPLATE_TOKENS {
            let message = format!("more than {TEMPLATE_TOKENS} words and signs at once");
            return self.wrong(message, "split it");
        }
        if let Some(sign) = SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            return Ok(self.advance(sign.len()).to_owned());
        }
        match self.rest.chars().next() {
            Some('.') => {
                let start = self.at;
                self.advance(1);
                self.field(start)
            }
            Some('"' | '\'' | '`') => Ok(format!("\"{}\"", self.quoted()?)),
            Some(digit) if digit.is_ascii_digit() => Ok(self.word().to_owned()),
            Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => {
                let start = self.at;
                let before = (self.rest, self.at);
                match self.word() {
                    "index" => self.index(),
                    word if WORDS.contains(&word) => Ok(word.to_owned()),
                    _ => {
                        (self.rest, self.at) = before;
                        self.field(start)
                    }
                }
            }
            found => {
                let found = found.map(String::from).unwrap_or_default();
                let message = format!("`{found}` means nothing in a template");
                let help = "fields, headers, texts in quotes and numbers may be written, joined by \
                            `and`, `or`, `not`, `in`, `if`, `else` and compared";
                self.wrong(message, help)
            }
        }
    }

    fn word(&mut self) -> &'t str {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        self.advance(end)
    }

    /// A field, whose name comes next, with the header that may follow it.
    fn field(&mut self, start: usize) -> Result<String, Wrong> {
        let name = self.word();
        if name.is_empty() {
            let what = shown(self.rest);
            let message = format!("`.{what}` is not a field");
            return self.wrong(message, "write a field, as in `{{.Payload}}`");
        }
        check_field(name, start, self.subject)?;
        let is_headers = name == "Headers";
        if let Some(rest) = self.rest.strip_prefix('.') {
            if !is_headers {
                let message = format!("`.{name}` is a text: it has no fields");
                return self.wrong(message, "write it without what follows");
            }
            self.advance(self.rest.len().saturating_sub(rest.len()));
            let header = self.word();
            return self.header(header);
        }
        if self.rest.starts_with('[') {
            if !is_headers {
                let message = format!("`.{name}` is a text: it has no parts");
                return self.wrong(message, "write it without what follows");
            }
            self.advance(1);
            self.is_done();
            let header = self.quoted()?;
            let output = self.header(header)?;
            self.is_done();
            if !self.rest.starts_with(']') {
                return self.wrong("`]` is missing", "write `Headers[\"X-Id\"]`");
            }
            self.advance(1);
            return Ok(output);
        }
        Ok(if is_headers { "HeadersText" } else { name }.to_owned())
    }

    /// What follows `index`.
    fn index(&mut self) -> Result<String, Wrong> {
        const HELP: &str = "write `{{index .Headers \"X-Id\"}}`";
        self.is_done();
        if !self.rest.starts_with('.') {
            return self.wrong("`index` takes a field and the name of a header", HELP);
        }
        let start = self.at;
        self.advance(1);
        let name = self.word();
        check_field(name, start, self.subject)?;
        if name != "Headers" {
            let message = format!("`.{name}` is a text: it has no parts");
            return Err((start, message, Some(HELP.to_owned())));
        }
        self.is_done();
        let header = self.quoted()?;
        self.header(header)
    }

    fn header(&self, name: &str) -> Result<String, Wrong> {
        let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if name.is_empty() || !name.bytes().all(is_legal) {
            let message = format!("`{}` is not the name of a header", shown(name));
            return self.wrong(message, "write `{{index .Headers \"X-Id\"}}`");
        }
        Ok(format!(
            "(Headers[\"{}\"] or \"\")",
            name.to_ascii_lowercase()
        ))
    }

    /// A text in quotes. It has no escapes: there is a second kind of quotes for the first.
    fn quoted(&mut self) -> Result<&'t str, Wrong> {
        let quote = self.rest.chars().next();
        let Some(quote) = quote.filter(|quote| matches!(quote, '"' | '\'' | '`')) else {
            return self.wrong("a text in quotes is missing", "write `\"X-Id\"`");
        };
        self.advance(1);
        let text = self.rest.split(quote).next().unwrap_or_default();
        if text.contains(['\\', '"']) {
            let message = "a text may hold neither `\\` nor `\"`";
            return self.wrong(message, "compare with another part of it");
        }
        self.advance(text.len());
        self.advance(1);
        Ok(text)
    }
}
