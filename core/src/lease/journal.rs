//! What a proxy writes down of its money, so that the next process on its host can settle what a
//! crash left open.
//!
//! Written down is a state, not a change: by session, agent and day what was spent and what is set
//! aside. A driver writes before it acts on a reservation. What the process before had set aside is
//! taken for spent: nobody saw how those calls ended.

use super::agent::Agent;
use crate::quota::{Day, SessionId};
use crate::units::NanoUsd;

/// What is to be written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// The session the money belongs to.
    pub session: SessionId,
    /// The day.
    pub day: Day,
    /// How it stands; nothing if it is settled and need not be known any more.
    pub money: Option<Noted>,
}

/// Money as it was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Noted {
    /// Spent since the session began.
    pub spent: NanoUsd,
    /// Set aside for calls under way.
    pub reserved: NanoUsd,
}

impl Agent {
    /// Hands over what changed since the last time.
    pub fn take_notes(&mut self, mut note: impl FnMut(Note)) {
        if let Some(session) = self.session {
            self.money.take_notes(|day, money| {
                note(Note {
                    session,
                    day,
                    money,
                });
            });
        }
        self.past.take_notes(note);
    }

    /// Takes over what the process before had written down.
    pub fn inherit(&mut self, session: SessionId, day: Day, noted: Noted) {
        self.past.inherit(session, day, noted);
        self.dirty = true;
    }
}
