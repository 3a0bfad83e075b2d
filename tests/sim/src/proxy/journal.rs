//! The journal of a proxy: what its rules have it write down of its money. It outlives the process.

use std::collections::BTreeMap;

use agix_core::lease::{Note, Noted};
use agix_core::quota::{Day, SessionId};

use super::Seat;

/// The journal.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    rows: BTreeMap<(usize, SessionId, Day), Noted>,
}

impl Journal {
    /// Writes down what changed.
    pub(super) fn write(&mut self, seats: &mut [Seat]) {
        for (number, seat) in seats.iter_mut().enumerate() {
            seat.agent.take_notes(|note| {
                let Note {
                    session,
                    day,
                    money,
                } = note;
                let key = (number, session, day);
                match money {
                    Some(money) => self.rows.insert(key, money),
                    None => self.rows.remove(&key),
                };
            });
        }
    }

    /// Hands what was left behind to the agents of the next process.
    pub(super) fn hand_over(&self, seats: &mut [Seat]) {
        for ((number, session, day), noted) in &self.rows {
            seats[*number].agent.inherit(*session, *day, *noted);
        }
    }
}
