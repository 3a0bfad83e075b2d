//! Where the lines of requests wait until they are written.
//!
//! A thread that makes records has a lane, which it shares with another only where there are more
//! threads than lanes; so a lock is free nearly always, and is held for one line.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use agix_core::id::ProxyId;
use agix_core::limits::{AUDIT_BYTES, AUDIT_LANE_BYTES, AUDIT_LANES};

use super::line::{self, Second};
use crate::trail::Told;

thread_local! {
    /// The lane of this thread, once it has one.
    static LANE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The lane that the next thread gets, of all that there ever were.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Lanes([Mutex<Lane>; AUDIT_LANES]);

/// What waits in one lane.
#[derive(Debug, Default)]
struct Lane {
    /// Whole lines.
    lines: Vec<u8>,
    second: Second,
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is the first in its lane.
    First,
    /// It is behind others.
    Beside,
    /// Too much waits.
    Full,
}

impl Lanes {
    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    /// Takes the line of a request into the lane of this thread.
    pub(super) fn take(&self, told: &Told<'_>, proxy: &ProxyId) -> Taken {
        let number = LANE.get().unwrap_or_else(|| {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            LANE.set(Some(number));
            number
        });
        let Some(lane) = self.0.get(number % AUDIT_LANES) else {
            return Taken::Full;
        };
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        let Lane { lines, second } = &mut *lane;
        let before = lines.len();
        line::write(lines, second, told, proxy);
        if lines.len() > AUDIT_BYTES / AUDIT_LANES {
            lines.truncate(before);
            return Taken::Full;
        }
        if before == 0 {
            Taken::First
        } else {
            Taken::Beside
        }
    }

    /// Takes what waits in a lane out, and leaves an empty buffer there.
    pub(super) fn swap(&self, lane: usize, empty: &mut Vec<u8>) {
        empty.shrink_to(AUDIT_LANE_BYTES);
        if let Some(lane) = self.0.get(lane) {
            let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut lane.lines, empty);
        }
    }
}

#[cfg(test)]
mod tests {
    use agix_core::time::Mono;

    use super::*;
    use crate::trail::{Facts, Head};

    #[test]
    fn a_lane_takes_whole_lines_up_to_its_bound_and_goes_on_once_it_is_emptied() {
        let (lanes, proxy) = (Lanes::default(), ProxyId::new("proxy-1").unwrap());
        let (head, facts) = (Head::example(), Facts::default());
        let told = Told {
            head: &head,
            facts: &facts,
            ended: Mono::default(),
        };
        assert_eq!(lanes.take(&told, &proxy), Taken::First);
        let mut count = 1;
        while lanes.take(&told, &proxy) == Taken::Beside {
            count += 1;
        }
        assert_eq!(lanes.take(&told, &proxy), Taken::Full);

        let mut taken = Vec::new();
        for lane in 0..lanes.count() {
            let mut lines = Vec::new();
            lanes.swap(lane, &mut lines);
            taken.append(&mut lines);
        }
        let lines = taken.strip_suffix(b"\n").unwrap();
        let mut lines = lines.split(|byte| *byte == b'\n');
        let first: serde_json::Value = serde_json::from_slice(lines.next().unwrap()).unwrap();
        assert_eq!(first["time"], "1970-01-01T00:00:01.000Z");
        assert_eq!(first["endpoint"], "POST /v1/chat/completions");
        assert_eq!(first["attempts"], serde_json::json!([]));
        assert_eq!(1 + lines.count(), count);
        assert!(taken.len() <= AUDIT_BYTES / AUDIT_LANES && taken.len() > AUDIT_BYTES / 16);

        assert_eq!(lanes.take(&told, &proxy), Taken::First);
    }
}
