//! Who knows the truth: true time, every admission, every dollar. It checks what must hold after
//! every step, whatever went wrong.

mod books;
mod ending;
mod money;
mod policy;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use agix_core::budget::DaySpan;
use agix_core::lease::Refused;
use agix_core::limits::{ADMISSION_WAIT, BUDGET_WAIT, OUTAGE_WAIT};
use agix_core::quota::{Day, SessionId};
use agix_core::units::{AlertPercent, NanoUsd};
use agix_core::usage::UsageTotals;

use crate::clock::{MS, Nanos, S, nanos};
use crate::plan::{Mix, Plan};

pub use money::Booking;

use money::Account;
use policy::Version;
use windows::Watched;

/// Breaches that are kept of one run.
const BREACHES: usize = 20;

/// A request that waits or waited.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// Of which agent.
    pub agent: usize,
    /// Whether to begin; else for more money.
    pub begins: bool,
    /// Since when.
    pub since: Nanos,
    /// How long its proxy had stood still by then.
    pub paused: Nanos,
}

/// Something that must not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// When.
    pub at: Nanos,
    /// Which invariant.
    pub invariant: &'static str,
    /// What.
    pub what: String,
}

/// What was counted in a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Events.
    pub events: u64,
    /// True time.
    pub time: Nanos,
    /// Requests that began.
    pub admitted: u64,
    /// Of these, requests that began at once.
    pub at_hand: u64,
    /// Requests that were let through without the ledger's word.
    pub unbounded: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Requests that could not be decided.
    pub undecided: u64,
    /// Batches committed.
    pub batches: u64,
    /// Proxies killed.
    pub kills: u64,
    /// Owners of the ledger.
    pub terms: u64,
    /// Reports that were made.
    pub reports: u64,
}

/// The oracle.
#[derive(Debug)]
pub struct Oracle {
    /// True time.
    pub now: Nanos,
    /// What must not happen and did.
    pub breaches: Vec<Breach>,
    /// What was counted.
    pub stats: Stats,
    mix: Mix,
    /// The fingerprint of the run so far.
    hash: u64,
    agents: Vec<Watched>,
    versions: Vec<Vec<Version>>,
    accounts: BTreeMap<(usize, Day), Account>,
    usage: BTreeMap<(usize, u64), UsageTotals>,
    /// Processes that were killed, and whether without a journal.
    died: BTreeMap<u64, bool>,
    alerts: BTreeSet<(usize, String, AlertPercent, NanoUsd)>,
    closed: BTreeSet<SessionId>,
    adjusted: BTreeSet<u64>,
    /// When the world began, if no wall clock is ever set.
    began: Option<i64>,
    spans: BTreeMap<usize, DaySpan>,
    /// Whether it counts what one place would let begin.
    measures: bool,
}

impl Oracle {
    /// The oracle of a world.
    pub fn new(plan: &Plan) -> Self {
        let versions = plan.agents.iter().map(|agent| {
            vec![Version {
                terms: agent.rules.terms.clone(),
                until: None,
            }]
        });
        Self {
            now: 0,
            breaches: Vec::new(),
            stats: Stats::default(),
            mix: plan.mix,
            hash: 0xCBF2_9CE4_8422_2325,
            agents: plan.agents.iter().map(|_| Watched::default()).collect(),
            versions: versions.collect(),
            accounts: BTreeMap::new(),
            usage: BTreeMap::new(),
            died: BTreeMap::new(),
            alerts: BTreeSet::new(),
            closed: BTreeSet::new(),
            adjusted: BTreeSet::new(),
            began: plan.faults.wall.is_none().then_some(plan.began),
            spans: BTreeMap::new(),
            measures: false,
        }
    }

    /// Has it count what one place which sees all at once would let begin.
    pub const fn measure(&mut self) {
        self.measures = true;
    }

    /// Notes a breach.
    pub fn breach(&mut self, invariant: &'static str, what: impl FnOnce() -> String) {
        if self.breaches.len() < BREACHES {
            self.breaches.push(Breach {
                at: self.now,
                invariant,
                what: what(),
            });
        }
    }

    /// Takes something into the fingerprint of the run.
    pub const fn note(&mut self, what: u64) {
        let mixed = (self.hash ^ what).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.hash = mixed.rotate_left(29) ^ (mixed >> 31);
    }

    /// The fingerprint of the run.
    pub const fn fingerprint(&self) -> u64 {
        self.hash
    }

    /// A request was refused.
    pub fn refused(&mut self, agent: usize, refused: &Refused) {
        self.stats.refused += 1;
        if *refused == Refused::Undecided {
            self.stats.undecided += 1;
            // A proxy that has just started may not have its stream yet.
            let is_calm = self.mix == Mix::Calm && self.now > 8 * S;
            if is_calm && !self.changed_within(agent, 35 * S) {
                self.breach("I15", || {
                    format!("agent {agent}: undecided, though nothing is wrong")
                });
            }
        }
    }

    /// A request waited until now; its proxy has stood still for `paused` by now.
    pub fn waited(&mut self, wait: &Wait, now: Nanos, paused: Nanos) {
        let longest = if wait.begins && !self.had_budget(wait.agent) {
            // Longer only while the ledger may be changing its owner.
            if self.mix == Mix::Calm {
                nanos(ADMISSION_WAIT)
            } else {
                nanos(OUTAGE_WAIT) + nanos(ADMISSION_WAIT)
            }
        } else {
            nanos(BUDGET_WAIT)
        };
        let still = paused.saturating_sub(wait.paused);
        let waited = now.saturating_sub(wait.since);
        if waited > longest + longest / 1_000 + 150 * MS + still {
            self.breach("I15", || {
                format!(
                    "agent {}: a request has waited for {} ms (begins: {})",
                    wait.agent,
                    waited / MS,
                    wait.begins
                )
            });
        }
    }

    /// Usage of a request was counted.
    pub fn counted(&mut self, agent: usize, incarnation: u64, totals: &UsageTotals) {
        let sums = self.usage.entry((agent, incarnation)).or_default();
        *sums = sums.plus(totals);
    }

    /// Nothing is left of what a process did.
    pub fn forgot(&mut self, incarnation: u64) {
        self.died.insert(incarnation, true);
    }

    /// A process was killed.
    pub fn died(&mut self, incarnation: u64, amnesia: bool) {
        self.stats.kills += 1;
        self.died.insert(incarnation, amnesia);
    }
}

impl Stats {
    /// The sums of both.
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            events: self.events + other.events,
            time: self.time + other.time,
            admitted: self.admitted + other.admitted,
            at_hand: self.at_hand + other.at_hand,
            unbounded: self.unbounded + other.unbounded,
            refused: self.refused + other.refused,
            undecided: self.undecided + other.undecided,
            batches: self.batches + other.batches,
            kills: self.kills + other.kills,
            terms: self.terms + other.terms,
            reports: self.reports + other.reports,
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.at / 1_000_000_000, self.at / MS % 1_000);
        write!(
            f,
            "{seconds}.{millis:03} s {}: {}",
            self.invariant, self.what
        )
    }
}
