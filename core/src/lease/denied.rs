//! A limit that is known to be used up.

use super::agent::Refused;
use crate::quota::{Denial, Limit};
use crate::time::Mono;

/// A denial, for as long as it holds.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) limit: Limit,
    allows: u64,
    pub(super) again: Mono,
    releases: Vec<Mono>,
    told: usize,
    /// For tokens: requests for less are not meant.
    pub(super) tokens: u64,
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
