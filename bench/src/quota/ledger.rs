//! The ledger's books with many agents: reports taken in and rights granted on one core, and what
//! takes a moment in which nobody is granted anything.

use std::error::Error;
use std::time::Duration;

use agix_control_plane::ledger::codec;
use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::ledger::{Batch, Books, ClockMark, Entry, Input, Ledger, LedgerTime};
use agix_core::limits::{LEASE, REPORT_AGENTS};
use agix_core::quota::{Day, Term, Terms};
use agix_core::time::Wall;
use serde::Serialize;

use super::memory::{Scales, Weight};
use super::thin::{Kind, Thin};
use super::{Place, agent_name, wide_terms};
use crate::clock;
use crate::process;
use crate::stats::{self, Ranks};

/// 25 November 2026, noon UTC.
const NOON: Wall = Wall::from_millis(1_795_608_000_000);
/// Proxies that report.
const PROXIES: usize = 4;
/// The ledger's time of one round: about a commit's.
const ROUND: Duration = Duration::from_millis(5);
/// Requests of each agent before anything is timed.
const REQUESTS: usize = 10;
/// Agents of a small report.
const FEW: usize = 16;
/// Leaps from agent to agent, so that neighbours in the books are not neighbours in time.
const STRIDE: usize = 7_919;

/// Bytes of the log that are replayed: about what a new owner finds.
const LOG_BYTES: usize = 8 * 1024 * 1024;

/// What the ledger does with many agents.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Agents with limits and a budget.
    pub agents: usize,
    /// Kinds of traffic.
    pub traffic: Vec<Traffic>,
    /// What takes a moment of its own, in milliseconds.
    pub moments: Moments,
    /// The stored snapshot, in bytes for an agent.
    pub snapshot_bytes: f64,
}

/// What takes a moment, and how long, in milliseconds.
type Moments = Vec<(&'static str, f64)>;

/// One kind of traffic.
#[derive(Debug, Serialize)]
pub(crate) struct Traffic {
    /// Which.
    pub what: &'static str,
    /// Reports of an agent that one core takes in, a second.
    pub reports_per_second: f64,
    /// Grants it makes meanwhile, of requests, tokens, places or money.
    pub grants_per_second: f64,
    /// Time of a round, of the reports of all proxies together.
    pub round: Ranks,
    /// Time to encode, as a share of all.
    pub codec_share: f64,
    /// Bytes of the log for a report of an agent.
    pub log_bytes: f64,
}

/// The ledger and its proxies.
struct Fleet {
    ledger: Ledger,
    proxies: Vec<Thin>,
    names: Vec<AgentName>,
    model: ModelName,
    day: Day,
    now: LedgerTime,
    /// The agent whose turn is next.
    next: usize,
}

/// Sums over the rounds of one measurement.
#[derive(Default)]
struct Sums {
    reports: usize,
    grants: usize,
    bytes: usize,
    deciding: Duration,
    encoding: Duration,
    rounds: Vec<u32>,
}

/// Measures everything of the ledger's books.
pub(super) fn run(
    agents: usize,
    place: &Place<'_>,
    progress: fn(&str),
) -> Result<(Vec<Weight>, Figures), Box<dyn Error>> {
    process::pin_thread(place.core)?;
    progress(&format!("the ledger, {agents} agents"));
    let mut fleet = Fleet::new(agents)?;
    let mut scales = Scales::new(agents)?;
    let policy = fleet.policy();
    fleet.tell(Input::Policy(policy));
    scales.weigh("at the ledger, never used")?;
    let mut sums = Sums::default();
    fleet.requests(&mut sums);
    scales.weigh("at the ledger, after a request")?;
    for _ in 1..REQUESTS {
        fleet.requests(&mut sums);
    }
    scales.weigh("at the ledger, 10 requests within the hour, 4 proxies")?;

    let asking = [Kind::Ask, Kind::Settle];
    let cases: [(&'static str, &[Kind], usize); 3] = [
        ("rare requests, 16 agents a report", &asking, FEW),
        ("rare requests, 512 agents a report", &asking, REPORT_AGENTS),
        ("busy agents, 512 a report", &[Kind::Busy], REPORT_AGENTS),
    ];
    let mut traffic = Vec::new();
    for (what, kinds, batch) in cases {
        progress(&format!("the ledger, {what}"));
        traffic.push(fleet.measure(what, kinds, batch, place.span)?);
    }
    progress("the ledger, what takes a moment");
    let (moments, snapshot) = fleet.moments()?;
    let figures = Figures {
        agents,
        traffic,
        moments,
        snapshot_bytes: per(snapshot, agents)?,
    };
    Ok((scales.weights(), figures))
}

impl Fleet {
    fn new(agents: usize) -> Result<Self, Box<dyn Error>> {
        let mut proxies = Vec::new();
        for (number, stream) in (0..PROXIES).zip(1..) {
            let id = ProxyId::new(&format!("p{number}"))?;
            proxies.push(Thin::new(id, stream, agents));
        }
        let names = (0..agents).map(agent_name).collect::<Result<_, _>>()?;
        Ok(Self {
            ledger: Ledger::new(Books::default(), Term::new(1), LedgerTime::default()),
            proxies,
            names,
            model: ModelName::new("gpt-4o")?,
            day: Day::new(2026, 11, 25).ok_or("no such day")?,
            now: LedgerTime::default(),
            next: 0,
        }
        .welcomed())
    }

    fn welcomed(mut self) -> Self {
        for proxy in 0..self.proxies.len() {
            if let Some(hello) = self.proxies.get(proxy).map(Thin::hello) {
                self.tell(hello);
            }
        }
        self.drain();
        self
    }

    fn policy(&self) -> std::collections::BTreeMap<AgentName, Terms> {
        let names = self.names.iter().cloned();
        names.map(|name| (name, wide_terms())).collect()
    }

    fn tell(&mut self, input: Input) {
        self.ledger.handle(input, self.now, NOON);
    }

    /// Lets the ledger decide, and the proxies hear what it says; the batch that is to be committed.
    fn drain(&mut self) -> Option<Batch> {
        self.ledger.handle_timeout(self.now, NOON);
        let drained = self.ledger.drain(self.now, ClockMark::default());
        for (stream, message) in drained.messages {
            let proxy = self.proxies.iter_mut().find(|it| it.stream() == stream);
            if let Some(proxy) = proxy {
                proxy.hear(&message);
            }
        }
        drained.batch
    }

    /// A request of every agent, at another proxy each time.
    fn requests(&mut self, sums: &mut Sums) {
        let turn = self.next;
        for first in (0..self.names.len()).step_by(REPORT_AGENTS) {
            for kind in [Kind::Ask, Kind::Settle] {
                let proxy = (first / REPORT_AGENTS + turn) % PROXIES;
                let numbers = first..first + REPORT_AGENTS;
                let report = self.report(proxy, kind, numbers);
                self.round(report.into_iter().collect(), sums);
            }
        }
        self.next = self.next.wrapping_add(1);
    }

    /// A report of one proxy.
    fn report(
        &mut self,
        proxy: usize,
        kind: Kind,
        numbers: impl Iterator<Item = usize>,
    ) -> Option<Input> {
        let Self {
            proxies,
            names,
            model,
            day,
            ..
        } = self;
        let agents = numbers.filter_map(|number| Some((number, names.get(number)?)));
        let proxy = proxies.get_mut(proxy)?;
        Some(proxy.report(kind, agents, model, *day))
    }

    /// Takes reports in, decides and encodes what is to be committed.
    fn round(&mut self, reports: Vec<Input>, sums: &mut Sums) -> Option<Vec<u8>> {
        self.now = self.now.after(ROUND);
        for input in &reports {
            if let Input::Report { report, .. } = input {
                sums.reports += report.agents.len();
            }
        }
        let began = clock::now();
        for report in reports {
            self.ledger.handle(report, self.now, NOON);
        }
        self.ledger.handle_timeout(self.now, NOON);
        let drained = self.ledger.drain(self.now, ClockMark::default());
        let decided = clock::now();
        let encoded = drained.batch.as_ref().map(codec::encode_batch);
        let done = clock::now();
        sums.deciding += decided - began;
        sums.encoding += done - decided;
        sums.rounds.push(stats::nanos(done - began));
        for (stream, message) in drained.messages {
            let proxy = self.proxies.iter_mut().find(|it| it.stream() == stream);
            if let Some(proxy) = proxy {
                proxy.hear(&message);
            }
        }
        sums.grants += drained.batch.iter().map(grants).sum::<usize>();
        sums.bytes += encoded.as_ref().map_or(0, Vec::len);
        encoded
    }

    /// One round of every kind: a report of each proxy, of agents that are nowhere near each other.
    fn rounds(&mut self, kinds: &[Kind], batch: usize, sums: &mut Sums) -> Vec<Vec<u8>> {
        let agents = self.names.len();
        let first = self.next;
        self.next = self.next.wrapping_add(batch * PROXIES) % agents;
        let mut log = Vec::new();
        for kind in kinds {
            let mut reports = Vec::new();
            for proxy in 0..PROXIES {
                let own = first + proxy * batch;
                let numbers = (own..own + batch).map(|it| it.wrapping_mul(STRIDE) % agents);
                reports.extend(self.report(proxy, *kind, numbers));
            }
            log.extend(self.round(reports, sums));
        }
        log
    }

    fn measure(
        &mut self,
        what: &'static str,
        kinds: &[Kind],
        batch: usize,
        span: Duration,
    ) -> Result<Traffic, Box<dyn Error>> {
        // The first round of an agent's new kind of traffic is like no other.
        let warm_up = clock::now() + span / 4;
        while clock::now() < warm_up {
            self.rounds(kinds, batch, &mut Sums::default());
        }
        let mut sums = Sums::default();
        let end = clock::now() + span;
        while clock::now() < end {
            self.rounds(kinds, batch, &mut sums);
        }
        let all = (sums.deciding + sums.encoding).as_secs_f64();
        Ok(Traffic {
            what,
            reports_per_second: f64::from(u32::try_from(sums.reports)?) / all,
            grants_per_second: f64::from(u32::try_from(sums.grants)?) / all,
            round: stats::ranks(sums.rounds).ok_or("no round was made")?,
            codec_share: sums.encoding.as_secs_f64() / all,
            log_bytes: per(sums.bytes, sums.reports)?,
        })
    }

    /// What takes a moment of its own, and the length of the stored books.
    fn moments(&mut self) -> Result<(Moments, usize), Box<dyn Error>> {
        let mut moments = Vec::new();
        self.drain();
        let mut books = timed(&mut moments, "copy the books for a snapshot", || {
            self.ledger.books().clone()
        });
        let snapshot = timed(
            &mut moments,
            "encode the snapshot, beside the ledger",
            || codec::encode_books(&books),
        );
        let read = timed(&mut moments, "read the snapshot", || {
            codec::decode_books(&snapshot)
        })?;
        if read != books {
            return Err("the snapshot has other books".into());
        }
        drop(read);
        let log = self.some_log();
        timed(&mut moments, "replay 8 MiB of the log", || {
            replay(&mut books, &log)
        })?;
        if &books != self.ledger.books() {
            return Err("the replay comes to other books".into());
        }
        drop(books);

        let mut policy = self.policy();
        if let Some(terms) = self.names.first().and_then(|it| policy.get_mut(it)) {
            terms.requests_per_minute = Some(3_000_000_000);
        }
        timed(&mut moments, "change one agent's limits", || {
            self.tell(Input::Policy(policy));
            self.drain();
        });
        let again = self.proxies.first().map(Thin::hello);
        timed(
            &mut moments,
            "tell a proxy all its agents, on a new stream",
            || {
                if let Some(hello) = again {
                    self.tell(hello);
                }
                self.ledger.drain(self.now, ClockMark::default())
            },
        );
        self.now = self.now.after(LEASE * 2);
        timed(
            &mut moments,
            "close all 4 sessions, their leases over",
            || {
                self.ledger.handle_timeout(self.now, NOON);
                self.ledger.drain(self.now, ClockMark::default())
            },
        );
        Ok((moments, snapshot.len()))
    }

    /// A stretch of the log from here on.
    fn some_log(&mut self) -> Vec<Vec<u8>> {
        let mut log = Vec::new();
        let mut bytes = 0_usize;
        while bytes < LOG_BYTES {
            let more = self.rounds(&[Kind::Ask, Kind::Settle], FEW, &mut Sums::default());
            if more.is_empty() {
                break;
            }
            bytes += more.iter().map(Vec::len).sum::<usize>();
            log.extend(more);
        }
        log
    }
}

/// Rights that a batch grants.
fn grants(batch: &Batch) -> usize {
    let is_grant = |entry: &&Entry| matches!(entry, Entry::Granted { .. } | Entry::Escrowed { .. });
    batch.entries.iter().filter(is_grant).count()
}

fn replay(books: &mut Books, log: &[Vec<u8>]) -> Result<(), Box<dyn Error>> {
    for bytes in log {
        books.replay(&codec::decode_batch(bytes)?)?;
    }
    Ok(())
}

fn timed<T>(moments: &mut Moments, what: &'static str, act: impl FnOnce() -> T) -> T {
    let began = clock::now();
    let outcome = act();
    moments.push((what, (clock::now() - began).as_secs_f64() * 1e3));
    outcome
}

fn per(sum: usize, count: usize) -> Result<f64, Box<dyn Error>> {
    Ok(f64::from(u32::try_from(sum)?) / f64::from(u32::try_from(count)?))
}
