//! What the mock provider can do with a call besides answering it.

use serde::{Deserialize, Serialize};

/// What one call meets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// An answer.
    #[default]
    Ok,
    /// This HTTP status, with the body the real provider sends with it.
    Status(u16),
    /// 429 for too many requests.
    RateLimited {
        /// The `Retry-After` header, word for word; absent: none is sent.
        retry_after: Option<String>,
    },
    /// 429 because the credit is used up (OpenAI), 402 (Anthropic).
    QuotaExhausted,
    /// The refusal for a spend limit the account's owner set: 400 at Anthropic.
    SpendLimit,
    /// 400: the request does not fit the model's context.
    ContextLength,
    /// 400: the content was refused by policy.
    ContentFilter,
    /// The connection is reset before anything is sent.
    ResetBeforeHeaders,
    /// Nothing is sent until the caller leaves.
    SilenceBeforeHeaders,
    /// The answer begins and goes wrong.
    Fault {
        /// Events of a stream sent before; a plain answer sends half its body if this is not 0.
        after_events: u32,
        /// What goes wrong.
        fault: Fault,
    },
    /// The body ends, as if whole, after this many bytes.
    CutAtByte(u64),
    /// The head of the answer carries a header of this many bytes.
    HugeHeaders {
        /// Bytes of the header.
        bytes: u32,
    },
    /// An answer whose token counts are missing or absurd.
    Usage(UsageReport),
    /// 307 to another address.
    Redirect {
        /// Where to.
        to: String,
    },
    /// A gzip body of zeros, sent unasked.
    GzipBomb {
        /// Bytes it inflates to, about.
        bytes: u64,
    },
    /// `Content-Length` promises more than is sent; then the connection is closed.
    ShortOfContentLength,
    /// The answer comes byte by byte.
    Drip {
        /// Pause before each byte.
        pause_ms: u64,
    },
}

/// How an answer that has begun goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is reset.
    Reset,
    /// The body ends, as if whole, without its last events.
    End,
    /// Nothing more is sent until the caller leaves.
    Silence,
    /// An error event, then the body ends. A plain answer is an error body in a 200.
    ErrorEvent,
    /// Bytes that are not of the protocol.
    Garbage,
    /// A line that does not end, of this many bytes.
    EndlessLine {
        /// Bytes of the line.
        bytes: u64,
    },
    /// The last event with text, over and over, of this many bytes together; then the end.
    EndlessEvents {
        /// Bytes of the events.
        bytes: u64,
    },
}

/// What is wrong with the token counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageReport {
    /// There are none.
    Missing,
    /// They are negative.
    Negative,
    /// They are 1e308.
    Huge,
    /// They are 2^63.
    BeyondSigned,
}

/// What calls of one model meet, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The first calls, one each.
    #[serde(default)]
    pub steps: std::collections::VecDeque<Behaviour>,
    /// All later calls.
    #[serde(default)]
    pub then: Behaviour,
}

impl Script {
    /// Every call meets this.
    pub fn always(behaviour: Behaviour) -> Self {
        Self {
            steps: std::collections::VecDeque::new(),
            then: behaviour,
        }
    }

    /// The first calls meet these, one each; later ones are answered.
    pub fn first(behaviours: impl IntoIterator<Item = Behaviour>) -> Self {
        Self {
            steps: behaviours.into_iter().collect(),
            then: Behaviour::Ok,
        }
    }

    /// What the next call meets.
    pub(super) fn next(&mut self) -> Behaviour {
        self.steps.pop_front().unwrap_or_else(|| self.then.clone())
    }
}
