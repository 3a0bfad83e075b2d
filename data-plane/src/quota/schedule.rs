//! When which gate is to be looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use agix_core::time::Mono;

use super::Gate;

/// Gates by the time at which they are due. A gate whose time was brought forward stands here twice;
/// whoever takes it looks at the gate's own word.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    gates: BTreeMap<(Mono, u64), Arc<Gate>>,
    entries: u64,
}

impl Schedule {
    pub(super) fn add(&mut self, at: Mono, gate: Arc<Gate>) {
        self.entries = self.entries.wrapping_add(1);
        self.gates.insert((at, self.entries), gate);
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Mono> {
        self.gates.keys().next().map(|(at, _)| *at)
    }

    /// The next one that is due at `now`.
    pub(super) fn take(&mut self, now: Mono) -> Option<Arc<Gate>> {
        while let Some(entry) = self.gates.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                return None;
            }
            let gate = entry.remove();
            match gate.due() {
                Some(due) if due <= now => return Some(gate),
                Some(due) => self.add(due, gate),
                None => {}
            }
        }
        None
    }
}
