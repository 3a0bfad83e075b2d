//! Requests that wait for rights.

use super::agent::Refused;
use super::ticket::{Need, Reserved, Ticket};
use crate::time::Mono;
use crate::units::NanoUsd;

/// Names a waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub u64);

/// A waiting request was decided.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// The request.
    pub waiter: WaiterId,
    /// How.
    pub outcome: Outcome,
}

/// How a waiting request was decided. If it is not waiting any more, what it was given has to be
/// handed back.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may begin.
    Admitted(Ticket),
    /// Its reservation was topped up.
    Reserved(Reserved),
    /// It was refused.
    Refused(Refused),
}

/// A waiting request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parked {
    pub(super) id: WaiterId,
    pub(super) wish: Wish,
    pub(super) since: Mono,
}

/// What it waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// To begin.
    Begin(Need),
    /// More money.
    Reserve {
        /// How much.
        amount: NanoUsd,
        /// What the request has set aside of that day: it does not come back meanwhile.
        own: NanoUsd,
    },
}

impl Wish {
    pub(super) const fn money(self) -> NanoUsd {
        match self {
            Self::Begin(need) => need.money,
            Self::Reserve { amount, .. } => amount,
        }
    }

    pub(super) const fn own(self) -> NanoUsd {
        match self {
            Self::Begin(_) => NanoUsd::ZERO,
            Self::Reserve { own, .. } => own,
        }
    }

    pub(super) const fn tokens(self) -> u64 {
        match self {
            Self::Begin(need) => need.tokens,
            Self::Reserve { .. } => 0,
        }
    }

    pub(super) const fn permits(self) -> u64 {
        match self {
            Self::Begin(_) => 1,
            Self::Reserve { .. } => 0,
        }
    }
}
