//! What a request needs and what it has been given.

use crate::quota::{Day, SessionId};
use crate::units::NanoUsd;

/// What a request needs besides one permit and one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// Tokens it may take, input and output.
    pub tokens: u64,
    /// What its first attempt may cost.
    pub money: NanoUsd,
}

/// Money set aside for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// The session it was granted to; absent: let through without the ledger's word.
    pub session: Option<SessionId>,
    /// The day it belongs to.
    pub day: Day,
    /// How much.
    pub amount: NanoUsd,
    /// How many reservations it is made of.
    pub(super) calls: u32,
}

/// A request's rights. It must be handed back with [`super::Agent::finish`], whatever becomes of the
/// request.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "rights that are not handed back are lost"]
pub struct Ticket {
    /// The session its tokens and its place belong to.
    pub(super) session: Option<SessionId>,
    pub(super) tokens: u64,
    pub(super) slot: bool,
    /// Money set aside, first come first charged. More than one part only if it was topped up over
    /// a midnight or a change of session.
    pub(super) first: Option<Reserved>,
    pub(super) more: Vec<Reserved>,
    /// The day that what it costs is booked on, if its agent has a budget.
    pub(super) day: Option<Day>,
    /// Whether it was let through without the ledger's word.
    pub(super) unbounded: bool,
}

impl Ticket {
    /// The ticket of a request that nothing limits.
    pub const fn free() -> Self {
        Self {
            session: None,
            tokens: 0,
            slot: false,
            first: None,
            more: Vec::new(),
            day: None,
            unbounded: false,
        }
    }

    /// Money set aside.
    pub fn reserved(&self) -> NanoUsd {
        self.parts()
            .fold(NanoUsd::ZERO, |sum, part| sum.saturating_add(part.amount))
    }

    /// The day that what it costs is booked on, if its agent has a budget.
    pub const fn day(&self) -> Option<Day> {
        self.day
    }

    /// Whether it was let through without the ledger's word.
    pub const fn is_unbounded(&self) -> bool {
        self.unbounded
    }

    /// The parts of the money set aside.
    pub fn parts(&self) -> impl Iterator<Item = &Reserved> {
        self.first.iter().chain(&self.more)
    }

    /// Adds money that was set aside.
    pub fn add(&mut self, part: Reserved) {
        self.day = self.day.or(Some(part.day));
        let Some(first) = &mut self.first else {
            self.first = Some(part);
            return;
        };
        let same = std::iter::once(first)
            .chain(&mut self.more)
            .find(|it| it.session == part.session && it.day == part.day);
        match same {
            Some(same) => {
                same.amount = same.amount.saturating_add(part.amount);
                same.calls = same.calls.saturating_add(part.calls);
            }
            None => self.more.push(part),
        }
    }
}
