//! The ledger and the proxies' side together, over a network without faults.

mod budgets;
mod changes;
mod late;
mod limits;
mod sessions;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::id::{AgentName, ProxyId};
use crate::lease::{
    Admission, Agent, Decided, Link, Need, Outcome, Refused, Rules, Session, SessionEffect,
    SessionInput, Ticket, WaiterId,
};
use crate::ledger::{Batch, Books, ClockMark, Input, Ledger, LedgerTime, check};
use crate::quota::{Report, Term, Terms, ToLedger};
use crate::time::{Mono, Wall};
use crate::units::NanoUsd;

/// 25 November 2026, noon UTC.
const NOON: i64 = 1_795_608_000_000;

/// A ledger and proxies whose messages arrive at once and whose log never fails.
struct World {
    now: Duration,
    ledger: Ledger,
    log: Vec<Batch>,
    proxies: Vec<Proxy>,
    decided: BTreeMap<(usize, WaiterId), Outcome>,
}

struct Proxy {
    session: Session,
    agents: BTreeMap<AgentName, Agent>,
    is_cut: bool,
}

fn name(text: &str) -> AgentName {
    AgentName::new(text).unwrap()
}

fn usd(cents: u64) -> NanoUsd {
    NanoUsd::from_nanos(cents * 10_000_000)
}

fn terms(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = Terms::default();
    change(&mut terms);
    terms
}

impl World {
    fn new(proxies: usize) -> Self {
        let ledger = Ledger::new(Books::default(), Term::new(1), LedgerTime::default());
        let mut world = Self {
            now: Duration::from_secs(1),
            ledger,
            log: Vec::new(),
            proxies: Vec::new(),
            decided: BTreeMap::new(),
        };
        for _ in 0..proxies {
            world.add_proxy();
        }
        world
    }

    fn add_proxy(&mut self) {
        let number = self.proxies.len();
        let id = ProxyId::new(&format!("p{number}")).unwrap();
        let mut proxy = Proxy {
            session: Session::new(id, u64::try_from(number).unwrap(), self.mono()),
            agents: BTreeMap::new(),
            is_cut: false,
        };
        let now = self.mono();
        proxy.session.handle_timeout(now);
        self.proxies.push(proxy);
        self.input(number, SessionInput::Opened);
        self.settle();
    }

    fn mono(&self) -> Mono {
        Mono::default().after(self.now)
    }

    fn at(&self) -> LedgerTime {
        LedgerTime::default().after(self.now)
    }

    fn wall(&self) -> Wall {
        let millis = i64::try_from(self.now.as_millis()).unwrap();
        Wall::from_millis(NOON + millis)
    }

    /// Limits an agent, in the ledger and at every proxy.
    fn limit(&mut self, agent: &str, terms: &Terms) {
        let mut policy: BTreeMap<_, _> = self
            .ledger
            .agents()
            .map(|agent| (agent.clone(), self.ledger.policy[agent].clone()))
            .collect();
        policy.insert(name(agent), terms.clone());
        self.tell(Input::Policy(policy));
        let rules = Rules {
            terms: terms.clone(),
            ..Rules::default()
        };
        for proxy in &mut self.proxies {
            proxy
                .agents
                .entry(name(agent))
                .or_insert_with(|| Agent::new(name(agent), rules.clone()))
                .set_rules(rules.clone());
        }
        self.settle();
    }

    fn tell(&mut self, input: Input) {
        self.ledger.handle(input, self.at(), self.wall());
    }

    /// Lets everything at hand be said and heard, without time passing.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.ledger.handle_timeout(self.at(), self.wall());
            for proxy in 0..self.proxies.len() {
                self.report(proxy);
            }
            let mark = ClockMark {
                wall: self.wall(),
                boot: 1,
                since_boot: u64::try_from(self.now.as_nanos()).unwrap(),
            };
            let drained = self.ledger.drain(self.at(), mark);
            self.log.extend(drained.batch);
            let nothing = drained.messages.is_empty();
            for (stream, message) in drained.messages {
                let proxy = usize::try_from(stream).unwrap();
                if !self.proxies[proxy].is_cut {
                    self.input(proxy, SessionInput::Heard(message));
                }
            }
            if nothing {
                break;
            }
        }
        let findings = check(self.ledger.books(), self.at());
        assert_eq!(findings, [], "{:?}", self.ledger.books());
    }

    fn report(&mut self, index: usize) {
        let now = self.mono();
        let proxy = &mut self.proxies[index];
        let number = proxy.session.next_number();
        let mut due: Vec<&mut Agent> = proxy
            .agents
            .values_mut()
            .filter_map(|agent| {
                agent
                    .report_due(now)
                    .is_some_and(|at| at <= now)
                    .then_some(agent)
            })
            .collect();
        if due.is_empty() || !proxy.session.is_open() || proxy.is_cut {
            return;
        }
        let usage = due
            .iter_mut()
            .flat_map(|it| it.usage_report(number, now))
            .collect();
        let past = due
            .iter_mut()
            .flat_map(|it| it.past_report(number, now))
            .collect();
        let agents = due.iter_mut().map(|it| it.report(now)).collect();
        let report = proxy.session.report(agents, usage, past, now);
        self.say(index, report.unwrap());
    }

    fn say(&mut self, index: usize, message: ToLedger) {
        let stream = u64::try_from(index).unwrap();
        if self.proxies[index].is_cut {
            return;
        }
        self.tell(match message {
            ToLedger::Hello(hello) => Input::Hello { stream, hello },
            ToLedger::Report(report) => Input::Report { stream, report },
            ToLedger::Goodbye { session } => Input::Goodbye { stream, session },
        });
    }

    fn input(&mut self, index: usize, input: SessionInput) {
        let now = self.mono();
        let effects = self.proxies[index].session.handle(input, now);
        self.carry_out(index, effects);
    }

    fn carry_out(&mut self, index: usize, effects: Vec<SessionEffect>) {
        let now = self.mono();
        for effect in effects {
            let link = self.proxies[index].session.link();
            match effect {
                SessionEffect::Say(message) => self.say(index, message),
                SessionEffect::Report => {
                    let proxy = &mut self.proxies[index];
                    if let Some(report) = proxy.session.report(vec![], vec![], vec![], now) {
                        self.say(index, report);
                    }
                }
                SessionEffect::Confirmed(number) => {
                    for agent in self.proxies[index].agents.values_mut() {
                        agent.confirm(number);
                    }
                }
                SessionEffect::Repeat => {
                    for agent in self.proxies[index].agents.values_mut() {
                        agent.repeat(&link);
                    }
                }
                SessionEffect::Deliver(update) => {
                    for told in &update.agents {
                        let agents = &mut self.proxies[index].agents;
                        let Some(agent) = agents.get_mut(&told.agent) else {
                            continue;
                        };
                        let decided = agent.update(update.session, told, &link, now);
                        self.decide(index, decided);
                    }
                }
                SessionEffect::Open { .. } | SessionEffect::Close(_) | SessionEffect::Link(_) => {}
            }
        }
    }

    fn decide(&mut self, index: usize, decided: Vec<Decided>) {
        for one in decided {
            self.decided.insert((index, one.waiter), one.outcome);
        }
    }

    /// Lets time pass in small steps.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = end.min(self.now + Duration::from_millis(20));
            let now = self.mono();
            for index in 0..self.proxies.len() {
                let proxy = &mut self.proxies[index];
                let link = proxy.session.link();
                let mut decided = Vec::new();
                for agent in proxy.agents.values_mut() {
                    if agent.poll_timeout().is_some_and(|at| at <= now) {
                        decided.extend(agent.handle_timeout(&link, now));
                    }
                }
                self.decide(index, decided);
                let effects = self.proxies[index].session.handle_timeout(now);
                self.carry_out(index, effects);
            }
            self.settle();
        }
    }

    fn agent(&mut self, proxy: usize, agent: &str) -> &mut Agent {
        self.proxies[proxy].agents.get_mut(&name(agent)).unwrap()
    }

    /// Asks for a request to begin and waits a little for the answer.
    fn ask(&mut self, proxy: usize, agent: &str, need: Need) -> Result<Ticket, Refused> {
        match self.try_ask(proxy, agent, need) {
            Ok(decided) => decided,
            Err(waiter) => panic!("{waiter:?} is still waiting"),
        }
    }

    /// A request that begins, and of which no more is known.
    fn begin(&mut self, proxy: usize, agent: &str) {
        let ticket = self.ask(proxy, agent, Need::default()).unwrap();
        drop(ticket);
    }

    /// As [`World::ask`]; a request that is still waiting is an error.
    fn try_ask(
        &mut self,
        proxy: usize,
        agent: &str,
        need: Need,
    ) -> Result<Result<Ticket, Refused>, WaiterId> {
        let link = self.link(proxy);
        let now = self.mono();
        let waiter = match self.agent(proxy, agent).admit(need, &link, now) {
            Admission::Granted(ticket) => return Ok(Ok(ticket)),
            Admission::Refused(refused) => return Ok(Err(refused)),
            Admission::Parked(waiter) => waiter,
        };
        for _ in 0..600 {
            self.now += Duration::from_millis(1);
            self.settle();
            if let Some(outcome) = self.outcome(proxy, waiter) {
                return Ok(outcome);
            }
        }
        Err(waiter)
    }

    fn outcome(&mut self, proxy: usize, waiter: WaiterId) -> Option<Result<Ticket, Refused>> {
        match self.decided.remove(&(proxy, waiter))? {
            Outcome::Admitted(ticket) => Some(Ok(ticket)),
            Outcome::Refused(refused) => Some(Err(refused)),
            Outcome::Reserved(_) => panic!("nothing was to be reserved"),
        }
    }

    fn link(&self, proxy: usize) -> Link {
        self.proxies[proxy].session.link()
    }

    /// A request that costs so much and is over.
    fn buy(&mut self, proxy: usize, agent: &str, cents: u64, cost: u64) -> Result<(), Refused> {
        let need = Need {
            money: usd(cents),
            ..Need::default()
        };
        let mut ticket = self.ask(proxy, agent, need)?;
        let now = self.mono();
        self.agent(proxy, agent).spend(&mut ticket, usd(cost), now);
        self.agent(proxy, agent).finish(ticket, 0, now);
        Ok(())
    }

    /// The log, replayed.
    fn replayed(&self) -> Books {
        let mut books = Books::default();
        for batch in &self.log {
            books.replay(batch).unwrap();
        }
        books
    }
}

/// The same books, with everything that has cooled let go.
fn at_rest(mut books: Books, now: LedgerTime) -> Books {
    for agent in books.agents.values_mut() {
        Arc::make_mut(agent).advance(now);
    }
    books
}

fn empty_report(world: &World, proxy: usize) -> Report {
    Report {
        session: world.link(proxy).session.unwrap(),
        number: 1_000,
        sent: world.mono(),
        agents: vec![],
        usage: vec![],
        past: vec![],
    }
}
