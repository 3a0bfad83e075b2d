//! A proxy: the real rules of a session and its agents, driven as a proxy drives them.

mod journal;
mod requests;

use std::collections::BTreeMap;

use agix_core::id::ProxyId;
use agix_core::lease::{Agent, Decided, Rules, Session, SessionEffect, SessionInput, WaiterId};
use agix_core::quota::{FromLedger, SessionId, Term, ToLedger};
use agix_core::time::Mono;

use crate::clock::{Clock, MS, Nanos};
use crate::oracle::Oracle;
use crate::plan::AgentPlan;
use crate::random::Random;

pub use journal::Journal;
pub use requests::{Refusal, Request};

/// One proxy, over all starts of its process.
#[derive(Debug)]
pub struct Proxy {
    /// Its number.
    pub number: usize,
    /// Its machine's clock.
    pub clock: Clock,
    /// The process, if it runs.
    pub process: Option<Process>,
    /// Until when it stands still.
    pub paused_until: Nanos,
    /// How long it has stood still, all in all.
    pub paused: Nanos,
    /// Its journal.
    pub journal: Journal,
    /// The processes that the journal may be of.
    pub ancestors: Vec<u64>,
}

/// One start of a proxy.
#[derive(Debug)]
pub struct Process {
    /// Which start of all of them.
    pub incarnation: u64,
    /// The conversation with the ledger.
    pub session: Session,
    /// The latest term it has heard of.
    pub term: Term,
    /// Its agents, by number.
    pub agents: Vec<Seat>,
    /// The stream asked for or open.
    pub stream: Option<u64>,
    /// Requests under way.
    pub requests: BTreeMap<u64, Request>,
    /// Which request waits under which name.
    pub waiters: BTreeMap<(usize, WaiterId), u64>,
    /// Whether it takes no more requests and stops when it can.
    pub draining: bool,
    /// Its next planned wake-up.
    pub wake: Option<Nanos>,
    /// Tells the latest plan to wake it from older ones.
    pub wakes: u64,
}

/// An agent at a proxy.
#[derive(Debug)]
pub struct Seat {
    /// The rules.
    pub agent: Agent,
    /// The session it counts for.
    pub session: Option<SessionId>,
}

/// What a proxy wants done.
#[derive(Debug)]
pub enum Act {
    /// Open a stream.
    Open {
        /// Counts the tries.
        attempt: u64,
    },
    /// Say this on its stream.
    Say(ToLedger),
    /// End its stream.
    Close,
    /// Look at a request again.
    Step {
        /// Which.
        request: u64,
        /// The step it was planned in.
        step: u32,
        /// When.
        at: Nanos,
    },
    /// A request's caller leaves.
    Leave {
        /// Which.
        request: u64,
        /// When.
        at: Nanos,
    },
    /// A request is over.
    Over {
        /// Of which agent.
        agent: usize,
        /// Why it did not begin; nothing if it did.
        refusal: Option<Refusal>,
    },
}

/// The moment at which a proxy does something, and who watches.
#[derive(Debug)]
pub struct Scene<'a> {
    /// True time.
    pub now: Nanos,
    /// The proxy's clock.
    pub mono: Mono,
    /// How long the proxy has stood still, all in all.
    pub paused: Nanos,
    /// The oracle.
    pub oracle: &'a mut Oracle,
    /// Random numbers.
    pub random: &'a mut Random,
    /// What follows.
    pub acts: &'a mut Vec<Act>,
}

impl Proxy {
    /// Starts its process.
    pub fn start(&mut self, incarnation: u64, agents: &[AgentPlan], rules: &[Rules], now: Nanos) {
        let mono = self.clock.at(now);
        let mut seats: Vec<Seat> = agents
            .iter()
            .zip(rules)
            .map(|(agent, rules)| Seat {
                agent: Agent::new(agent.name.clone(), rules.clone()),
                session: None,
            })
            .collect();
        self.journal.hand_over(&mut seats);
        let name = ProxyId::new(&format!("proxy-{}", self.number));
        self.process = Some(Process {
            incarnation,
            session: Session::new(
                name.unwrap_or_else(|_| ProxyId::unnamed()),
                incarnation,
                mono,
            ),
            term: Term::default(),
            agents: seats,
            stream: None,
            requests: BTreeMap::new(),
            waiters: BTreeMap::new(),
            draining: false,
            wake: None,
            wakes: 0,
        });
    }

    /// Something happened to its session.
    pub fn session(&mut self, input: SessionInput, scene: &mut Scene<'_>) {
        let Some(process) = &mut self.process else {
            return;
        };
        let term = match &input {
            SessionInput::Heard(FromLedger::Welcome { term, .. }) => *term,
            SessionInput::Heard(FromLedger::Update(update)) => update.term,
            _ => process.term,
        };
        let effects = process.session.handle(input, scene.mono);
        let counts = |effect: &SessionEffect| {
            use SessionEffect::{Confirmed, Deliver, Repeat};
            matches!(effect, Deliver(_) | Confirmed(_) | Repeat)
        };
        let newest = process.term;
        if term < newest && effects.iter().any(counts) {
            scene.oracle.breach("I7", || {
                format!("the word of term {term} counts after {newest} was heard")
            });
        }
        process.term = newest.max(term);
        process.carry_out(effects, scene);
    }

    /// Does whatever is due.
    pub fn pump(&mut self, scene: &mut Scene<'_>) {
        let Some(process) = &mut self.process else {
            return;
        };
        process.time_out(scene);
        process.report(false, scene);
        self.journal.write(&mut process.agents);
    }

    /// When something is due again, in true time.
    pub fn due(&mut self, now: Nanos) -> Option<Nanos> {
        let process = self.process.as_mut()?;
        let mono = self.clock.at(now);
        let due = process.due(mono)?;
        // A timer is never exact, and nothing is done twice in one moment.
        Some(self.clock.when(due).max(now + MS / 10))
    }
}

impl Process {
    fn due(&mut self, now: Mono) -> Option<Mono> {
        let open = self.session.is_open();
        let agents = self.agents.iter_mut().flat_map(|seat| {
            let report = seat.agent.report_due(now).filter(|_| open);
            [seat.agent.poll_timeout(), report]
        });
        agents.flatten().chain(self.session.poll_timeout()).min()
    }

    fn time_out(&mut self, scene: &mut Scene<'_>) {
        let now = scene.mono;
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            let effects = self.session.handle_timeout(now);
            self.carry_out(effects, scene);
        }
        let link = self.session.link();
        for number in 0..self.agents.len() {
            let agent = &mut self.agents[number].agent;
            if agent.poll_timeout().is_some_and(|at| at <= now) {
                let decided = agent.handle_timeout(&link, now);
                if agent.poll_timeout().is_some_and(|at| at <= now) {
                    let name = agent.name().to_string();
                    scene.oracle.breach("driver", || {
                        format!("{name}: a time-out that was handled is due again at once")
                    });
                }
                self.decided(number, decided, scene);
            }
        }
    }

    /// Reports the agents that have something to say; if `forced`, even if there is none.
    fn report(&mut self, forced: bool, scene: &mut Scene<'_>) {
        let now = scene.mono;
        if !self.session.is_open() {
            return;
        }
        let number = self.session.next_number();
        let mut agents = Vec::new();
        let mut usage = Vec::new();
        let mut past = Vec::new();
        for seat in &mut self.agents {
            if seat.agent.report_due(now).is_some_and(|at| at <= now) {
                usage.extend(seat.agent.usage_report(number, now));
                past.extend(seat.agent.past_report(number, now));
                agents.push(seat.agent.report(now));
            }
        }
        if agents.is_empty() && past.is_empty() && !forced {
            return;
        }
        if let Some(report) = self.session.report(agents, usage, past, now) {
            scene.acts.push(Act::Say(report));
        }
    }

    fn carry_out(&mut self, effects: Vec<SessionEffect>, scene: &mut Scene<'_>) {
        let now = scene.mono;
        for effect in effects {
            match effect {
                SessionEffect::Open { attempt } => scene.acts.push(Act::Open { attempt }),
                SessionEffect::Say(message) => scene.acts.push(Act::Say(message)),
                SessionEffect::Close(_) => {
                    scene.acts.push(Act::Close);
                    let random = scene.random.bits();
                    let effects = self.session.handle(SessionInput::Lost { random }, now);
                    self.carry_out(effects, scene);
                }
                SessionEffect::Link(_) => {}
                SessionEffect::Repeat => {
                    let link = self.session.link();
                    for seat in &mut self.agents {
                        seat.agent.repeat(&link);
                        seat.session = link.session.or(seat.session);
                    }
                }
                SessionEffect::Confirmed(number) => {
                    for seat in &mut self.agents {
                        seat.agent.confirm(number);
                    }
                }
                SessionEffect::Deliver(update) => {
                    let link = self.session.link();
                    for told in &update.agents {
                        let known = self
                            .agents
                            .iter()
                            .position(|seat| *seat.agent.name() == told.agent);
                        let Some(number) = known else { continue };
                        let decided =
                            self.agents[number]
                                .agent
                                .update(update.session, told, &link, now);
                        self.followed(number);
                        self.decided(number, decided, scene);
                    }
                }
                SessionEffect::Report => self.report(true, scene),
            }
        }
    }

    fn decided(&mut self, agent: usize, decided: Vec<Decided>, scene: &mut Scene<'_>) {
        for Decided { waiter, outcome } in decided {
            self.waited(agent, waiter, outcome, scene);
        }
    }

    /// The agent was shown the link, and so counts for its session.
    fn followed(&mut self, agent: usize) {
        if let Some(session) = self.session.link().session {
            self.agents[agent].session = Some(session);
        }
    }

    /// Whether everything is settled and it may say goodbye.
    pub fn is_settled(&self) -> bool {
        self.requests.is_empty() && self.agents.iter().all(|seat| seat.agent.is_settled())
    }
}
