//! The world: what happens, in order of time.

mod event;
mod faults;
mod loads;
mod owners;
mod proxies;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use agix_core::id::AgentName;
use agix_core::lease::Rules;
use agix_core::quota::Terms;

use crate::clock::{Clock, MINUTE, MS, Machine, Nanos, S};
use crate::oracle::Oracle;
use crate::plan::Plan;
use crate::plane::Plane;
use crate::proxy::{Journal, Proxy};
use crate::queue::Queue;
use crate::random::Random;
use crate::store::Store;

use event::Event;
use loads::Caller;
use streams::{Cut, Stream};

/// From this time on there are requests.
const OPENING: Nanos = S;
/// How long requests may go on after the last one arrived.
const LINGER: Nanos = 100 * S;
/// How long it then takes until all is quiet.
const QUIET: Nanos = 40 * S;
/// More events at one moment than that mean that something goes round in circles.
const EVENTS_AT_ONCE: u32 = 100_000;

/// Everything there is.
#[derive(Debug)]
pub struct World {
    plan: Plan,
    now: Nanos,
    queue: Queue<Event>,
    /// For faults, clocks and everything but the following.
    random: Random,
    /// For the network.
    net: Random,
    /// For the store.
    luck: Random,
    machines: Vec<Machine>,
    proxies: Vec<Proxy>,
    planes: Vec<Plane>,
    store: Store,
    streams: BTreeMap<u64, Stream>,
    cuts: Vec<Cut>,
    /// The limits in force, and how many there were before.
    rules: Vec<Rules>,
    version: usize,
    /// The newest limits that each proxy has.
    versions: Vec<usize>,
    callers: Vec<Caller>,
    next: u64,
    incarnations: u64,
    adjustments: BTreeSet<u64>,
    /// Whether the faults are over.
    healed: bool,
    /// Who checks.
    pub oracle: Oracle,
    /// What happened, if somebody wants to read it.
    pub trace: Option<Vec<String>>,
}

impl World {
    /// The world of a plan.
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let net = random.fork();
        let luck = random.fork();
        let count = if plan.one_machine { 1 } else { plan.planes };
        let machines = (0..count).map(|_| machine(&plan, &mut random)).collect();
        let proxies = (0..plan.proxies)
            .map(|number| Proxy {
                number,
                clock: clock(&mut random),
                process: None,
                paused_until: 0,
                paused: 0,
                journal: Journal::default(),
                ancestors: Vec::new(),
            })
            .collect();
        let planes = (0..plan.planes).map(|number| Plane {
            machine: number % count,
            up: true,
            incarnation: 0,
            paused_until: 0,
            shift: None,
        });
        let mut world = Self {
            now: 0,
            queue: Queue::default(),
            net,
            luck,
            machines,
            proxies,
            planes: planes.collect(),
            store: Store::new(plan.busy < 10 * MINUTE),
            streams: BTreeMap::new(),
            cuts: Vec::new(),
            rules: plan.agents.iter().map(|it| it.rules.clone()).collect(),
            version: 0,
            versions: vec![0; plan.proxies],
            callers: plan.agents.iter().map(|_| Caller::default()).collect(),
            next: 0,
            incarnations: 0,
            adjustments: BTreeSet::new(),
            healed: false,
            oracle: Oracle::new(&plan),
            trace: None,
            random,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.elect(0);
        for proxy in 0..self.proxies.len() {
            let at = self.random.below(500 * MS);
            self.queue.push(at, Event::Start { proxy });
        }
        for agent in 0..self.plan.agents.len() {
            self.begin_load(agent);
        }
        self.begin_faults();
        self.queue.push(OPENING + self.plan.busy, Event::Heal);
    }

    /// Runs to the end; stops early once something must not have happened.
    pub fn run(&mut self) {
        let end = OPENING + self.plan.busy + LINGER + QUIET;
        let mut at_once = 0_u32;
        while let Some((at, event)) = self.queue.pop() {
            if at > end {
                break;
            }
            at_once = if at == self.now { at_once + 1 } else { 0 };
            self.now = at;
            self.oracle.now = at;
            if at_once > EVENTS_AT_ONCE {
                self.oracle
                    .breach("driver", || "something goes round in circles".to_owned());
            }
            if !self.oracle.breaches.is_empty() {
                return;
            }
            self.happen(event);
        }
        self.oracle.stats.time = end;
        self.finish();
    }

    fn happen(&mut self, event: Event) {
        if let Some(until) = self.stands_still(&event)
            && until > self.now
        {
            self.queue.push(until, event);
            return;
        }
        self.oracle.stats.events += 1;
        self.oracle.note(self.now ^ event.mark());
        if let Some(trace) = &mut self.trace {
            let (seconds, micros) = (self.now / S, self.now / 1_000 % 1_000_000);
            trace.push(format!("{seconds:>5}.{micros:06} {event:?}"));
        }
        match event {
            Event::Start { .. }
            | Event::Wake { .. }
            | Event::Request { .. }
            | Event::Step { .. }
            | Event::Leave { .. }
            | Event::Rules { .. } => self.at_proxy(event),
            Event::Arrive { .. } | Event::Lone { .. } => self.at_caller(&event),
            Event::Dial { .. }
            | Event::Dialled { .. }
            | Event::Up { .. }
            | Event::Down { .. }
            | Event::Gone { .. }
            | Event::Lost { .. } => self.on_stream(event),
            Event::Elect { .. }
            | Event::Load { .. }
            | Event::Round { .. }
            | Event::Append { .. }
            | Event::Answer { .. }
            | Event::Notice { .. }
            | Event::StartPlane { .. }
            | Event::Serving { .. } => self.at_plane(event),
            Event::Fault(fault) => self.fault(fault),
            Event::Heal => self.heal(),
            Event::Hush => self.hush(),
        }
    }

    /// Until when whoever this happens to stands still.
    fn stands_still(&self, event: &Event) -> Option<Nanos> {
        if let Some(proxy) = event.proxy(&self.streams) {
            return Some(self.proxies[proxy].paused_until);
        }
        let plane = event.plane(&self.streams)?;
        Some(self.planes[plane].paused_until)
    }

    /// The limits of all agents.
    fn policy(&self) -> BTreeMap<AgentName, Terms> {
        let agents = self.plan.agents.iter().zip(&self.rules);
        agents
            .filter(|(_, rules)| rules.terms != Terms::default())
            .map(|(agent, rules)| (agent.name.clone(), rules.terms.clone()))
            .collect()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// All is quiet: the books must have come to the truth.
    fn finish(&mut self) {
        for proxy in &self.proxies {
            let number = proxy.number;
            let Some(process) = &proxy.process else {
                continue;
            };
            let settled = process.is_settled();
            if !settled {
                self.oracle.breach("I6", || {
                    format!("proxy {number} has not told everything: {process:?}")
                });
            }
        }
        for (number, plane) in self.planes.iter().enumerate() {
            let Some(shift) = plane.shift.as_ref().filter(|it| it.term == self.store.term) else {
                continue;
            };
            let now = shift.time(&self.mark(number));
            let live = at_rest(shift.ledger.books(), now);
            let stored = at_rest(&self.store.books, now);
            if shift.commit.is_none() && live != stored {
                self.oracle.breach("log", || {
                    "the owner's books are not those of its log".to_owned()
                });
            }
        }
        self.check_replay();
        self.oracle.quiet(&self.store.books);
    }

    fn check_replay(&mut self) {
        for replayed in [Some(self.store.load()), self.store.replay()] {
            match replayed {
                None => {}
                Some(Ok(books)) if books == self.store.books => {}
                Some(other) => {
                    let same = other.is_ok();
                    self.oracle.breach("log", || {
                        format!("the log replays to other books; replayed to the end: {same}")
                    });
                }
            }
        }
    }
}

/// Books with everything that has cooled let go.
fn at_rest(
    books: &agix_core::ledger::Books,
    now: agix_core::ledger::LedgerTime,
) -> agix_core::ledger::Books {
    let mut books = books.clone();
    for agent in books.agents.values_mut() {
        std::sync::Arc::make_mut(agent).advance(now);
    }
    books
}

fn clock(random: &mut Random) -> Clock {
    Clock {
        origin: random.below(1_000_000 * S),
        since: 0,
        ppm: i64::try_from(random.below(951)).unwrap_or(475) - 475,
    }
}

fn machine(plan: &Plan, random: &mut Random) -> Machine {
    // Wall clocks of different machines are apart by less than the rules allow for.
    let apart = if plan.one_machine { 0 } else { 9_800 };
    Machine {
        boot: u128::from(random.bits()) | 1,
        clock: clock(random),
        wall_ahead: i64::try_from(random.below(apart + 1)).unwrap_or(0) - 4_900,
    }
}
