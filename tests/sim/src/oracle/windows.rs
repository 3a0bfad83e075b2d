//! Requests and tokens of every window of true time.

use std::collections::VecDeque;

use agix_core::quota::Window;

use super::Oracle;
use crate::clock::{HOUR, MINUTE, Nanos};
use crate::plan::Mix;

/// What happened of one agent.
#[derive(Debug, Default)]
pub(super) struct Watched {
    minute: VecDeque<Nanos>,
    hour: VecDeque<Nanos>,
    tokens: VecDeque<(Nanos, u64)>,
    tokens_sum: u64,
    concurrent: u64,
    /// Requests that one place which sees all at once would let begin, and how many there were.
    ideal: VecDeque<Nanos>,
    ideal_count: u64,
    /// When one was last let through without the ledger's word.
    pub(super) unbounded: Option<Nanos>,
    /// Tokens beyond what was set aside, ever.
    overdrawn: u64,
}

impl Oracle {
    /// A request began.
    pub fn admitted(&mut self, agent: usize, bounded: bool, slot: bool, now: Nanos) {
        self.stats.admitted += 1;
        self.note(now);
        let watched = &mut self.agents[agent];
        if !bounded {
            self.stats.unbounded += 1;
            watched.unbounded = Some(now);
            return;
        }
        watched.concurrent += u64::from(slot);
        let concurrent = watched.concurrent;
        let minute = slide(&mut watched.minute, now, MINUTE);
        let hour = slide(&mut watched.hour, now, HOUR);
        // Requests of a session that was lost go on, and count nowhere: not so in a calm world.
        let places = self.bound(agent, 10 * MINUTE, |terms| terms.max_concurrent);
        if let Some(most) = places
            && concurrent > most
            && slot
            && self.mix == Mix::Calm
        {
            self.breach("I1", || {
                format!("agent {agent}: {concurrent} requests at once are more than {most}")
            });
        }
        for (count, window, name) in [
            (minute, Window::Minute, "60 s"),
            (hour, Window::Hour, "3,600 s"),
        ] {
            if let Some(most) = self.requests_bound(agent, window, 0)
                && count > most
            {
                self.breach("I1", || {
                    format!("agent {agent}: {count} requests within {name} are more than {most}")
                });
            }
        }
    }

    /// A request is asked for.
    pub fn wanted(&mut self, agent: usize, now: Nanos) {
        if !self.measures {
            return;
        }
        let limit = self.newest(agent).requests_per_minute.unwrap_or(u64::MAX);
        let watched = &mut self.agents[agent];
        while watched.ideal.front().is_some_and(|at| at + MINUTE <= now) {
            watched.ideal.pop_front();
        }
        if u64::try_from(watched.ideal.len()).unwrap_or(u64::MAX) < limit {
            watched.ideal.push_back(now);
            watched.ideal_count += 1;
        }
    }

    /// How many requests one place which sees all at once would have let begin.
    pub fn ideal(&self, agent: usize) -> u64 {
        self.agents[agent].ideal_count
    }

    /// A request that began has ended.
    pub fn ended(&mut self, agent: usize, slot: bool) {
        let concurrent = &mut self.agents[agent].concurrent;
        *concurrent = concurrent.saturating_sub(u64::from(slot));
    }

    /// A request took tokens; so many were set aside for it.
    pub fn took_tokens(&mut self, agent: usize, used: u64, reserved: Option<u64>, now: Nanos) {
        let watched = &mut self.agents[agent];
        let reserved = reserved.unwrap_or(0);
        watched.overdrawn += used.saturating_sub(reserved);
        watched.tokens.push_back((now, used));
        watched.tokens_sum += used;
        while let Some((at, count)) = watched.tokens.front().copied() {
            if at + MINUTE > now {
                break;
            }
            watched.tokens.pop_front();
            watched.tokens_sum -= count;
        }
        let (sum, overdrawn) = (watched.tokens_sum, watched.overdrawn);
        let most = self.bound(agent, MINUTE, |terms| terms.tokens_per_minute);
        if let Some(most) = most
            && sum > most + overdrawn
        {
            self.breach("I1", || {
                format!("agent {agent}: {sum} tokens within 60 s are more than {most}")
            });
        }
    }

    /// Whether nothing was let through without the ledger's word in the last window.
    pub(super) fn is_bounded(&self, agent: usize, span: Nanos) -> bool {
        let last = self.agents[agent].unbounded;
        last.is_none_or(|at| at + span + 5 * MINUTE < self.now)
    }
}

/// Counts an event at `now` and those of the window that ends with it.
fn slide(times: &mut VecDeque<Nanos>, now: Nanos, span: Nanos) -> u64 {
    times.push_back(now);
    while times.front().is_some_and(|at| at + span <= now) {
        times.pop_front();
    }
    u64::try_from(times.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_at_its_beginning_and_closed_at_its_end() {
        let mut times = VecDeque::new();
        assert_eq!(slide(&mut times, 10, 60), 1);
        assert_eq!(slide(&mut times, 69, 60), 2);
        assert_eq!(slide(&mut times, 70, 60), 2, "the first is out by now");
    }
}
