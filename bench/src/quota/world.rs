//! One proxy and its ledger in one process: agents behind locks as the proxy has them, and a driver
//! that carries reports and updates at the real pace. Commits and the network take no time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agix_core::id::{AgentName, InvalidName, ProxyId};
use agix_core::lease::{
    Agent, Decided, Link, Outcome, Rules, Session, SessionEffect, SessionInput,
};
use agix_core::ledger::{Books, ClockMark, Input, Ledger, LedgerTime};
use agix_core::quota::{Report, Term, ToLedger, Update};
use agix_core::time::{Mono, Wall};
use arc_swap::ArcSwap;

use super::wide_terms;
use crate::clock;

/// 25 November 2026, noon UTC: no midnight is near.
const NOON: Wall = Wall::from_millis(1_795_608_000_000);
/// Nothing is due.
const NEVER: u64 = u64::MAX;
/// The proxy's stream at its ledger.
const STREAM: u64 = 1;

/// What all agents of a proxy share.
#[derive(Debug)]
pub(super) struct Hub {
    link: ArcSwap<Link>,
    origin: Instant,
}

/// An agent behind its lock, and when the driver is to look at it.
#[derive(Debug)]
pub(super) struct Gate {
    agent: Mutex<Agent>,
    due: AtomicU64,
}

/// The driver: the proxy's session and the ledger.
#[derive(Debug)]
pub(super) struct Driver {
    hub: Arc<Hub>,
    gates: BTreeMap<AgentName, Arc<Gate>>,
    session: Session,
    ledger: Ledger,
    /// Agents reported so far.
    reported: u64,
}

impl Hub {
    fn now(&self) -> Mono {
        Mono::default().after(clock::now() - self.origin)
    }
}

impl Gate {
    /// Does something with the agent, and leaves word if the ledger should hear of it.
    pub(super) fn act<T>(&self, hub: &Hub, act: impl FnOnce(&mut Agent, &Link, Mono) -> T) -> T {
        let mut agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        let link = **hub.link.load();
        let now = hub.now();
        let outcome = act(&mut agent, &link, now);
        if let Some(due) = agent.report_due(now)
            && due.as_nanos() < self.due.load(Ordering::Relaxed)
        {
            self.due.store(due.as_nanos(), Ordering::Relaxed);
        }
        outcome
    }

    fn is_due(&self, now: Mono) -> bool {
        self.due.load(Ordering::Relaxed) <= now.as_nanos()
    }
}

impl Driver {
    /// A proxy whose session has begun, and its agents, with limits that never bind.
    pub(super) fn new(names: &[AgentName]) -> Result<Self, InvalidName> {
        let hub = Arc::new(Hub {
            link: ArcSwap::from_pointee(Link::default()),
            origin: clock::now(),
        });
        let rules = Rules {
            terms: wide_terms(),
            ..Rules::default()
        };
        let gate = |name: &AgentName| {
            let gate = Gate {
                agent: Mutex::new(Agent::new(name.clone(), rules.clone())),
                due: AtomicU64::new(NEVER),
            };
            (name.clone(), Arc::new(gate))
        };
        let mut driver = Self {
            gates: names.iter().map(gate).collect(),
            session: Session::new(ProxyId::new("bench")?, 1, hub.now()),
            ledger: Ledger::new(Books::default(), Term::new(1), LedgerTime::default()),
            hub,
            reported: 0,
        };
        let policy = names.iter().map(|name| (name.clone(), wide_terms()));
        driver.tell(Input::Policy(policy.collect()));
        let now = driver.hub.now();
        driver.session.handle_timeout(now);
        driver.take(SessionInput::Opened);
        driver.exchange();
        Ok(driver)
    }

    pub(super) fn hub(&self) -> Arc<Hub> {
        Arc::clone(&self.hub)
    }

    pub(super) fn gate(&self, name: &AgentName) -> Option<Arc<Gate>> {
        self.gates.get(name).cloned()
    }

    /// Agents reported so far.
    pub(super) const fn reported(&self) -> u64 {
        self.reported
    }

    /// Does everything that is due now.
    pub(super) fn turn(&mut self) {
        let now = self.hub.now();
        let effects = self.session.handle_timeout(now);
        self.carry_out(effects);
        self.report();
        self.exchange();
    }

    fn report(&mut self) {
        let now = self.hub.now();
        let number = self.session.next_number();
        let (mut agents, mut usage, mut past) = (Vec::new(), Vec::new(), Vec::new());
        for gate in self.gates.values().filter(|gate| gate.is_due(now)) {
            gate.act(&self.hub, |agent, _, now| {
                gate.due.store(NEVER, Ordering::Relaxed);
                agents.push(agent.report(now));
                usage.extend(agent.usage_report(number, now));
                past.extend(agent.past_report(number, now));
            });
        }
        if agents.is_empty() {
            return;
        }
        if let Some(ToLedger::Report(report)) = self.session.report(agents, usage, past, now) {
            self.say(report);
        }
    }

    fn say(&mut self, report: Report) {
        self.reported += u64::try_from(report.agents.len()).unwrap_or(u64::MAX);
        self.tell(Input::Report {
            stream: STREAM,
            report,
        });
    }

    fn tell(&mut self, input: Input) {
        let now = self.ledger_time();
        self.ledger.handle(input, now, NOON);
    }

    /// Lets the ledger decide, and takes in what it says.
    fn exchange(&mut self) {
        loop {
            let now = self.ledger_time();
            self.ledger.handle_timeout(now, NOON);
            let drained = self.ledger.drain(now, ClockMark::default());
            if drained.messages.is_empty() {
                return;
            }
            for (_, message) in drained.messages {
                self.take(SessionInput::Heard(message));
            }
        }
    }

    fn take(&mut self, input: SessionInput) {
        let now = self.hub.now();
        let effects = self.session.handle(input, now);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<SessionEffect>) {
        for effect in effects {
            match effect {
                SessionEffect::Say(ToLedger::Hello(hello)) => {
                    let stream = STREAM;
                    self.tell(Input::Hello { stream, hello });
                }
                SessionEffect::Say(ToLedger::Report(report)) => self.say(report),
                SessionEffect::Link(link) => self.hub.link.store(Arc::new(link)),
                SessionEffect::Report => {
                    let now = self.hub.now();
                    let report = self.session.report(vec![], vec![], vec![], now);
                    if let Some(ToLedger::Report(report)) = report {
                        self.say(report);
                    }
                }
                SessionEffect::Confirmed(number) => {
                    for gate in self.gates.values() {
                        gate.act(&self.hub, |agent, _, _| agent.confirm(number));
                    }
                }
                SessionEffect::Deliver(update) => self.deliver(&update),
                SessionEffect::Repeat
                | SessionEffect::Open { .. }
                | SessionEffect::Close(_)
                | SessionEffect::Say(ToLedger::Goodbye { .. }) => {}
            }
        }
    }

    fn deliver(&self, update: &Update) {
        for told in &update.agents {
            if let Some(gate) = self.gates.get(&told.agent) {
                gate.act(&self.hub, |agent, link, now| {
                    let decided = agent.update(update.session, told, link, now);
                    decline(agent, decided, now);
                });
            }
        }
    }

    fn ledger_time(&self) -> LedgerTime {
        let passed = Duration::from_nanos(self.hub.now().as_nanos());
        LedgerTime::default().after(passed)
    }
}

/// Hands back what requests were given that wait no longer: here they try again.
fn decline(agent: &mut Agent, decided: Vec<Decided>, now: Mono) {
    for one in decided {
        match one.outcome {
            Outcome::Admitted(ticket) => agent.finish(ticket, 0, now),
            Outcome::Reserved(part) => agent.hand_back(part, now),
            Outcome::Refused(_) => {}
        }
    }
}
