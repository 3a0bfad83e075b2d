//! The limits of one agent as the books need them.

use std::time::Duration;

use crate::id::AgentName;
use crate::policy::{Enforcement, Policy, TimeZoneName};
use crate::units::{AlertPercent, MoneyLimit, NanoUsd, TokenLimit};

/// What limits an agent; an absent limit does not limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// Requests in any 60 seconds.
    pub requests_per_minute: Option<u64>,
    /// Requests in any 3,600 seconds.
    pub requests_per_hour: Option<u64>,
    /// Tokens in any 60 seconds.
    pub tokens_per_minute: Option<u64>,
    /// Requests at one moment.
    pub max_concurrent: Option<u64>,
    /// Most spend of a day.
    pub daily: Option<NanoUsd>,
    /// Most spend of a month.
    pub monthly: Option<NanoUsd>,
    /// Whether a limit on spend is only compared with what was spent.
    pub soft: bool,
    /// Whose midnight begins a day.
    pub timezone: TimeZoneName,
    /// The shares of a limit on spend at which alerts are due.
    pub alerts: Vec<AlertPercent>,
}

/// A window in which requests or tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
}

impl Window {
    /// Its length.
    pub const fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::from_secs(60),
            Self::Hour => Duration::from_secs(3_600),
        }
    }
}

impl Terms {
    /// What the policy says of an agent; nothing if it limits it in no way.
    pub fn of(policy: &Policy, agent: &AgentName) -> Option<Self> {
        let rates = policy.rate_limits.get(agent);
        let budget = policy.budgets.get(agent);
        if rates.is_none() && budget.is_none() {
            return None;
        }
        let mut terms = Self::default();
        if let Some(rates) = rates {
            terms.requests_per_minute = rates.requests_per_minute.map(|it| u64::from(it.get()));
            terms.requests_per_hour = rates.requests_per_hour.map(|it| u64::from(it.get()));
            terms.tokens_per_minute = rates.tokens_per_minute.map(TokenLimit::get);
            terms.max_concurrent = rates.max_concurrent.map(|it| u64::from(it.get()));
        }
        if let Some(budget) = budget {
            terms.daily = budget.daily.map(MoneyLimit::amount);
            terms.monthly = budget.monthly.map(MoneyLimit::amount);
            terms.soft = budget.enforcement == Enforcement::Soft;
            terms.timezone = budget.timezone.clone();
            terms.alerts = budget.alert_at_percent.iter().copied().collect();
        }
        Some(terms)
    }

    /// Whether requests are counted.
    pub const fn counts_requests(&self) -> bool {
        self.requests_per_minute.is_some() || self.requests_per_hour.is_some()
    }

    /// Whether spend is limited.
    pub const fn has_budget(&self) -> bool {
        self.daily.is_some() || self.monthly.is_some()
    }
}
