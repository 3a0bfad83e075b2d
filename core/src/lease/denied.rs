//! Limits that are known to be used up: of each kind of right the last that was heard.

use super::agent::Refused;
use crate::quota::{Denial, Limit};
use crate::time::Mono;

/// What was denied last, for each kind of right.
#[derive(Debug, Default)]
pub(super) struct Denials {
    requests: Option<Denied>,
    tokens: Option<Denied>,
    slots: Option<Denied>,
}

/// A denial, for as long as it holds.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) limit: Limit,
    allows: u64,
    again: Mono,
    releases: Vec<Mono>,
    told: usize,
    /// For tokens: requests for less are not meant.
    pub(super) tokens: u64,
}

impl Denials {
    /// Takes in a denial that was heard.
    pub(super) fn put(&mut self, denied: Denied) {
        let place = match denied.limit {
            Limit::RequestsPerMinute | Limit::RequestsPerHour => &mut self.requests,
            Limit::TokensPerMinute => &mut self.tokens,
            Limit::Concurrent => &mut self.slots,
        };
        *place = Some(denied);
    }

    /// Whether requests are denied.
    pub(super) fn of_requests(&self, now: Mono) -> bool {
        self.requests.as_ref().is_some_and(|it| now < it.again)
    }

    /// Whether tokens are denied.
    pub(super) fn of_tokens(&self, now: Mono) -> bool {
        self.tokens.as_ref().is_some_and(|it| now < it.again)
    }

    /// The denial of what `lacks` finds lacking that holds longest.
    pub(super) fn longest(
        &mut self,
        now: Mono,
        lacks: impl Fn(&Denied) -> bool,
    ) -> Option<&mut Denied> {
        [&mut self.requests, &mut self.tokens, &mut self.slots]
            .into_iter()
            .flatten()
            .filter(|it| now < it.again && lacks(it))
            .max_by_key(|it| it.again)
    }
}

impl Denied {
    /// A denial heard at `now` by requests of which none waits for fewer than `tokens`.
    pub(super) fn new(denial: &Denial, tokens: u64, now: Mono) -> Self {
        Self {
            limit: denial.limit,
            allows: denial.allows,
            again: now.after(denial.again),
            releases: denial.releases.iter().map(|at| now.after(*at)).collect(),
            told: 0,
            tokens,
        }
    }

    /// The refusal of one more request, told another release than the one before.
    pub(super) fn refuse(&mut self, now: Mono) -> Refused {
        let place = self.told.checked_rem(self.releases.len()).unwrap_or(0);
        self.told = self.told.wrapping_add(1);
        let at = self.releases.get(place).copied().unwrap_or(self.again);
        Refused::Limit {
            limit: self.limit,
            allows: self.allows,
            retry_after: at.max(self.again).since(now),
        }
    }
}
