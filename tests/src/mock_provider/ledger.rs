//! The provider's own book: every call, how far its answer went, and what was billed for it.
//!
//! The book keeps the newest calls, up to a bound; the number of all calls and all tokens billed
//! it always knows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::behaviour::Behaviour;
use super::gemini;
use super::reply::Usage;
use crate::clock;

/// Calls kept.
const ENTRIES: usize = 10_000;
/// Longest request body kept as JSON, in bytes.
const BODY_BYTES: usize = 64 * 1024;
/// Headers shown as `(redacted)`.
const SECRET_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// The answer is still on its way.
    Open,
    /// The last byte was handed to the connection.
    Finished,
    /// The script broke the connection.
    Broken,
    /// The caller left before the end.
    CallerLeft {
        /// When this was noticed, in milliseconds since the provider started.
        noticed_ms: u64,
    },
}

/// One call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Order of arrival, from 0.
    pub number: u64,
    /// Arrival in milliseconds since the provider started.
    pub arrived_ms: u64,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in order, lower-case names, secrets redacted.
    pub headers: Vec<(String, String)>,
    /// The model asked for; empty where none was named.
    pub model: String,
    /// Bytes of the request's body.
    pub body_bytes: usize,
    /// The request's body, unless it was no JSON or very long.
    pub body: Value,
    /// What the call met; absent if the request was refused as wrong.
    pub behaviour: Option<Behaviour>,
    /// Status of the answer; 0 if none was sent.
    pub status: u16,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Bytes of the answer's body sent.
    pub sent_bytes: u64,
    /// Tokens billed.
    pub billed: Usage,
}

impl Entry {
    /// Whether the answer was sent whole and meant as one.
    pub fn answered(&self) -> bool {
        self.status == 200 && self.outcome == Outcome::Finished
    }

    /// The value of the first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
    }
}

/// The book.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    book: Arc<Mutex<Book>>,
    started: Instant,
}

#[derive(Debug, Default)]
struct Book {
    entries: VecDeque<Entry>,
    calls: u64,
}

/// A call under way. Dropped before its end, it says that the caller left.
#[derive(Debug)]
pub(super) struct Call {
    ledger: Ledger,
    number: u64,
    /// What a whole answer is billed.
    price: Usage,
    done: bool,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            book: Arc::default(),
            started: clock::now(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        let passed = clock::now().saturating_duration_since(self.started);
        u64::try_from(passed.as_millis()).unwrap_or(u64::MAX)
    }

    /// The newest calls, from the one with number `from` on, oldest first.
    pub(super) fn entries(&self, from: u64) -> Vec<Entry> {
        let book = self.book();
        let wanted = book.entries.iter().filter(|entry| entry.number >= from);
        wanted.cloned().collect()
    }

    /// Calls so far.
    pub(super) fn calls(&self) -> u64 {
        self.book().calls
    }

    /// Writes a call down on its arrival.
    pub(super) fn open(&self, request: &http::request::Parts, body: &[u8]) -> Call {
        let parsed = match body.len() {
            0..=BODY_BYTES => serde_json::from_slice(body).unwrap_or(Value::Null),
            _ => Value::Null,
        };
        let mut book = self.book();
        let number = book.calls;
        book.calls = book.calls.saturating_add(1);
        if book.entries.len() == ENTRIES {
            book.entries.pop_front();
        }
        book.entries.push_back(Entry {
            number,
            arrived_ms: self.now_ms(),
            method: request.method.to_string(),
            path: request.uri.to_string(),
            headers: redacted(&request.headers),
            model: parsed
                .get("model")
                .and_then(Value::as_str)
                .or_else(|| gemini::call_of(request.uri.path()).map(|(model, _)| model))
                .unwrap_or_default()
                .to_owned(),
            body_bytes: body.len(),
            body: parsed,
            behaviour: None,
            status: 0,
            outcome: Outcome::Open,
            sent_bytes: 0,
            billed: Usage::default(),
        });
        drop(book);
        Call {
            ledger: self.clone(),
            number,
            price: Usage::default(),
            done: false,
        }
    }
}

impl Call {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// What the call meets, and what a whole answer costs.
    pub(super) fn meets(&mut self, behaviour: &Behaviour, price: Usage) {
        self.price = price;
        self.update(|entry| entry.behaviour = Some(behaviour.clone()));
    }

    /// The head of the answer goes out.
    pub(super) fn status(&self, status: u16) {
        self.update(|entry| entry.status = status);
    }

    /// A part of the body went out. The first text is billed with the whole input.
    pub(super) fn sent(&self, bytes: usize, text: bool) {
        let price = self.price;
        self.update(|entry| {
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            entry.sent_bytes = entry.sent_bytes.saturating_add(bytes);
            if text {
                let output = entry.billed.output.saturating_add(1).min(price.output);
                entry.billed = Usage {
                    output,
                    reasoning: 0,
                    ..price
                };
            }
        });
    }

    /// The last byte was handed over: an answer is billed whole.
    pub(super) fn finished(&mut self) {
        let price = self.price;
        self.end(|entry| {
            entry.outcome = Outcome::Finished;
            if entry.status == 200 {
                entry.billed = price;
            }
        });
    }

    /// The script broke the connection.
    pub(super) fn broken(&mut self) {
        self.end(|entry| entry.outcome = Outcome::Broken);
    }

    fn end(&mut self, change: impl FnOnce(&mut Entry)) {
        if !self.done {
            self.done = true;
            self.update(change);
        }
    }

    fn update(&self, change: impl FnOnce(&mut Entry)) {
        let mut book = self.ledger.book();
        let found = book
            .entries
            .iter_mut()
            .rev()
            .find(|entry| entry.number == self.number);
        if let Some(entry) = found {
            change(entry);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let noticed_ms = self.ledger.now_ms();
        self.end(|entry| entry.outcome = Outcome::CallerLeft { noticed_ms });
    }
}

fn redacted(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let name = name.as_str().to_owned();
            let value = if SECRET_HEADERS.contains(&name.as_str()) {
                "(redacted)".to_owned()
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name, value)
        })
        .collect()
}
