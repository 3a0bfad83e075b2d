//! Rate limits and budgets of an agent.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::id::WebhookName;
use crate::units::{AlertPercent, MoneyLimit, RequestLimit, TokenLimit};

/// Request limits of one agent; an absent one does not limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<RequestLimit>,
    /// Requests in any 3,600 seconds.
    pub requests_per_hour: Option<RequestLimit>,
    /// Tokens in any 60 seconds.
    pub tokens_per_minute: Option<TokenLimit>,
    /// Requests at one moment.
    pub max_concurrent: Option<RequestLimit>,
    /// What holds when the ledger cannot be reached.
    pub on_outage: OnOutage,
}

/// Spending limits of one agent; at least one of the two amounts is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Most spend of one day.
    pub daily: Option<MoneyLimit>,
    /// Most spend of one month.
    pub monthly: Option<MoneyLimit>,
    /// The shares at which an alert is due.
    pub alert_at_percent: BTreeSet<AlertPercent>,
    /// The webhook that alerts go to.
    pub alert_webhook: WebhookName,
    /// The zone whose midnight begins a day.
    pub timezone: TimeZoneName,
    /// Whether the limit is reserved before a call or only compared with what was spent.
    pub enforcement: Enforcement,
    /// What holds when the ledger cannot be reached; absent: deny.
    pub on_outage: Option<OnOutage>,
}

/// How a budget is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforcement {
    /// The worst case is reserved before each attempt; the limit cannot be passed.
    #[default]
    Hard,
    /// The spend so far is compared with the limit; the last request may pass it.
    Soft,
}

/// What a proxy does when its rights are used up and the ledger cannot be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnOutage {
    /// Refuse.
    Deny,
    /// Use up what is held, then refuse.
    #[default]
    Held,
    /// Let through, bounded in time and cost, and settle later.
    Allow,
}

/// The name of a time zone of the IANA database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeZoneName(Arc<str>);

impl TimeZoneName {
    /// Takes `text` if it has the form of a zone name. Whether the zone exists is known to the
    /// driver that holds the zone database, which passes `exists`.
    pub fn new(text: &str, exists: impl FnOnce(&str) -> bool) -> Option<Self> {
        let legal = !text.is_empty()
            && text.len() <= 64
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(&b));
        (legal && exists(text)).then(|| Self(Arc::from(text)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TimeZoneName {
    fn default() -> Self {
        Self(Arc::from("UTC"))
    }
}

impl fmt::Display for TimeZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
