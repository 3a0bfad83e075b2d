//! Who asks for requests, and where.

use agix_core::lease::Refused;
use agix_core::quota::Limit;

use super::event::Event;
use super::{OPENING, World};
use crate::clock::{MINUTE, MS, Nanos, S, nanos};
use crate::job::Job;
use crate::plan::{Mix, Pattern};

/// The single caller of an agent.
#[derive(Debug, Default)]
pub(super) struct Caller {
    /// Counts its requests, so that one that was lost is known.
    chain: u64,
    /// Whether it waited for as long as it was told.
    waited: bool,
}

impl World {
    pub(super) fn begin_load(&mut self, agent: usize) {
        let at = OPENING + self.random.below(S);
        let event = if self.plan.agents[agent].load.pattern == Pattern::Lone {
            Event::Lone { agent, chain: 0 }
        } else {
            Event::Arrive { agent }
        };
        self.queue.push(at, event);
    }

    pub(super) fn at_caller(&mut self, event: &Event) {
        if self.healed {
            return;
        }
        match *event {
            Event::Arrive { agent } => {
                self.ask(agent);
                let load = &self.plan.agents[agent].load;
                let pattern = load.pattern;
                let mean = MINUTE / load.per_minute;
                let pause = match pattern {
                    Pattern::Bursts(every) => {
                        let burst = (every / mean).max(1);
                        for _ in 1..burst.min(300) {
                            self.ask(agent);
                        }
                        every
                    }
                    _ => self.random.pause(mean),
                };
                self.queue
                    .push(self.now + pause.max(1), Event::Arrive { agent });
            }
            Event::Lone { agent, chain } => self.lone(agent, chain),
            _ => {}
        }
    }

    fn lone(&mut self, agent: usize, chain: u64) {
        if chain == self.callers[agent].chain && !self.ask(agent) {
            self.ask_again(agent, S);
        }
    }

    /// Sends a request of an agent to some proxy; false: there is none.
    fn ask(&mut self, agent: usize) -> bool {
        let Some(proxy) = self.some_proxy(agent) else {
            return false;
        };
        self.oracle.wanted(agent, self.now);
        let job = Box::new(Job::new(&self.plan.agents[agent].load, &mut self.random));
        self.queue
            .push(self.now, Event::Request { proxy, agent, job });
        true
    }

    fn some_proxy(&mut self, agent: usize) -> Option<usize> {
        let count = self.proxies.len();
        let first = match self.plan.agents[agent].load.pattern {
            Pattern::Uniform | Pattern::Bursts(_) | Pattern::Lone => self.random.index(count),
            Pattern::Skewed => {
                let one = self.random.index(count);
                self.random.index(one + 1)
            }
            Pattern::Moving(every) => {
                let hot = usize::try_from(self.now / every).unwrap_or(0) % count;
                if self.random.permille(900) {
                    hot
                } else {
                    self.random.index(count)
                }
            }
            Pattern::One => agent % count,
        };
        let serves = |number: &usize| {
            let process = self.proxies[*number].process.as_ref();
            process.is_some_and(|it| !it.draining)
        };
        (0..count).map(|step| (first + step) % count).find(serves)
    }

    /// A request is over: a single caller goes on as it was told.
    pub(super) fn over(&mut self, agent: usize, refusal: Option<&Refused>) {
        if self.plan.agents[agent].load.pattern != Pattern::Lone || self.healed {
            return;
        }
        let calm = self.plan.mix == Mix::Calm && !self.oracle.was_changed_lately(agent);
        let waited = std::mem::take(&mut self.callers[agent].waited);
        let pause = match refusal {
            None => self.random.below(300 * MS),
            Some(Refused::Limit {
                limit, retry_after, ..
            }) => {
                let requests = matches!(limit, Limit::RequestsPerMinute | Limit::RequestsPerHour);
                if waited && requests && calm {
                    self.oracle.breach("I14", || {
                        format!("agent {agent}: a lone caller waited as told, and got {refusal:?}")
                    });
                }
                self.callers[agent].waited = requests;
                nanos(*retry_after).div_ceil(S).max(1) * S
            }
            Some(Refused::Budget { .. }) => 20 * S,
            Some(Refused::Undecided | Refused::Crowded) => S,
        };
        self.ask_again(agent, pause);
    }

    fn ask_again(&mut self, agent: usize, pause: Nanos) {
        self.callers[agent].chain += 1;
        let chain = self.callers[agent].chain;
        self.queue
            .push(self.now + pause, Event::Lone { agent, chain });
    }

    /// Requests were lost with their proxy: single callers begin anew.
    pub(super) fn callers_lost(&mut self) {
        for agent in 0..self.callers.len() {
            if self.plan.agents[agent].load.pattern == Pattern::Lone {
                self.callers[agent].waited = false;
                self.ask_again(agent, S);
            }
        }
    }
}
