//! What a fleet of proxies knows of its targets together.
//!
//! Each proxy reports what it saw; the machine answers which targets are to be left alone, and which
//! proxy may try one. Rules it keeps:
//! - A target is left alone by all once two proxies, or all there are, leave it alone by what they saw
//!   themselves: one proxy with a bad network does not take a target from the others.
//! - Of a target that is left alone, one proxy at a time may try it with one call, and one that has
//!   requests for it. So a fleet of any size tries a dead target once a second.
//! - Before the time that a proxy says it needs, be it that its provider named one, nobody tries it.
//! - As soon as one call is answered, all use the target again. What proxies say of the time before that
//!   (an older epoch) counts no more.
//! - Nothing is stored: a proxy that leaves takes its word with it, and without this machine each proxy
//!   decides by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::id::{ModelName, ProviderName, ProxyId};
use crate::limits::{BREAKER_LONGEST, TARGET_ERRORS, TARGETS, TRIAL_PAUSE};
use crate::time::{Mono, Wall};

/// A model at a provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId {
    /// The provider.
    pub provider: ProviderName,
    /// The model, by its name in the policy.
    pub model: ModelName,
}

/// What a proxy saw of one target since its last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which one.
    pub target: TargetId,
    /// The newest epoch the proxy heard of.
    pub epoch: u64,
    /// Whether it leaves the target alone by what it saw itself.
    pub open: bool,
    /// How long nobody is to try the target, as its provider said or such a failure needs.
    pub alone_for: Duration,
    /// Whether a call was answered while it left the target alone.
    pub recovered: bool,
    /// Requests that passed the target over.
    pub passed_over: u64,
    /// Calls.
    pub attempts: u64,
    /// Calls that failed.
    pub failures: u64,
    /// The last failure, and how long ago it was.
    pub error: Option<(String, Duration)>,
}

/// All reports of one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reports {
    /// The proxy.
    pub proxy: ProxyId,
    /// Its targets.
    pub targets: Vec<Report>,
}

/// What the fleet says of one target to one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Which one.
    pub target: TargetId,
    /// Counts how often the target recovered.
    pub epoch: u64,
    /// Whether it is left alone.
    pub open: bool,
    /// Whether this proxy may try it with one call.
    pub trial: bool,
}

/// What the fleet says to one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(pub Vec<Word>);

/// How a target is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetStatus {
    /// Whether the fleet leaves it alone.
    pub open: bool,
    /// Proxies that leave it alone by what they saw.
    pub open_at: usize,
    /// Calls.
    pub attempts: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Requests that passed it over.
    pub passed_over: u64,
    /// The last failures, the newest first.
    pub errors: VecDeque<PastError>,
}

/// A failure that a proxy told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastError {
    /// The proxy.
    pub proxy: ProxyId,
    /// What it was.
    pub reason: String,
    /// When.
    pub at: Wall,
}

/// What is known of all targets.
#[derive(Debug, Default)]
pub struct FleetTargets {
    targets: BTreeMap<TargetId, Known>,
    /// The streams of proxies.
    sessions: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Known {
    status: TargetStatus,
    epoch: u64,
    /// Who leaves it alone by what they saw, in this epoch.
    openers: BTreeSet<u64>,
    /// When it may be tried next.
    next_trial: Mono,
}

impl FleetTargets {
    /// A proxy begins to report.
    pub fn join(&mut self, session: u64) {
        self.sessions.insert(session);
        self.judge();
    }

    /// A proxy reports no more.
    pub fn leave(&mut self, session: u64) {
        self.sessions.remove(&session);
        for known in self.targets.values_mut() {
            known.openers.remove(&session);
        }
        self.judge();
    }

    /// Takes the reports of a proxy, and says what it has to know.
    pub fn report(&mut self, session: u64, reports: Reports, now: (Mono, Wall)) -> Words {
        let Reports { proxy, targets } = reports;
        let sessions = self.sessions.len();
        let mut wanting = BTreeSet::new();
        let mut heard = BTreeSet::new();
        for report in targets {
            if !self.make_room_for(&report.target) {
                continue;
            }
            if report.passed_over > 0 {
                wanting.insert(report.target.clone());
            }
            heard.insert(report.target.clone());
            let known = self.targets.entry(report.target.clone()).or_default();
            known.take(session, &proxy, report, now);
            known.judge(sessions);
        }
        let mut words = Vec::new();
        for (target, known) in &mut self.targets {
            if !known.status.open && !heard.contains(target) {
                continue;
            }
            let trial = known.status.open && wanting.contains(target) && known.next_trial <= now.0;
            if trial {
                known.next_trial = now.0.after(TRIAL_PAUSE);
            }
            words.push(Word {
                target: target.clone(),
                epoch: known.epoch,
                open: known.status.open,
                trial,
            });
        }
        Words(words)
    }

    /// How a target is; nothing if no proxy told of it.
    pub fn status(&self, target: &TargetId) -> Option<&TargetStatus> {
        self.targets.get(target).map(|known| &known.status)
    }

    /// All targets that a proxy told of.
    pub fn all(&self) -> impl Iterator<Item = (&TargetId, &TargetStatus)> {
        self.targets
            .iter()
            .map(|(target, known)| (target, &known.status))
    }

    /// Proxies that report.
    pub fn proxies(&self) -> usize {
        self.sessions.len()
    }

    fn judge(&mut self) {
        let sessions = self.sessions.len();
        for known in self.targets.values_mut() {
            known.judge(sessions);
        }
    }

    /// Whether a target is known or may become so. One that nobody leaves alone makes room.
    fn make_room_for(&mut self, target: &TargetId) -> bool {
        if self.targets.len() < TARGETS || self.targets.contains_key(target) {
            return true;
        }
        let quiet = self
            .targets
            .iter()
            .find(|(_, known)| known.openers.is_empty());
        let Some(quiet) = quiet.map(|(target, _)| target.clone()) else {
            return false;
        };
        self.targets.remove(&quiet);
        true
    }
}

impl Known {
    fn take(&mut self, session: u64, proxy: &ProxyId, report: Report, (now, at): (Mono, Wall)) {
        let status = &mut self.status;
        status.attempts = status.attempts.saturating_add(report.attempts);
        status.failures = status.failures.saturating_add(report.failures);
        status.passed_over = status.passed_over.saturating_add(report.passed_over);
        if let Some((reason, age)) = report.error {
            let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
            status.errors.push_front(PastError {
                proxy: proxy.clone(),
                reason,
                at: Wall::from_millis(at.as_millis().saturating_sub(age)),
            });
            status.errors.truncate(TARGET_ERRORS);
        }
        // Another control plane was asked before: its count goes on.
        if report.epoch > self.epoch {
            self.epoch = report.epoch;
            self.openers.clear();
        }
        if report.recovered && status.open {
            self.epoch = self.epoch.saturating_add(1);
            self.openers.clear();
            // A time that was named before the answer is of the past.
            self.next_trial = self.next_trial.min(now.after(TRIAL_PAUSE));
        } else if report.open && report.epoch == self.epoch {
            self.openers.insert(session);
            let alone_for = report.alone_for.min(BREAKER_LONGEST);
            self.next_trial = self.next_trial.max(now.after(alone_for));
        } else {
            self.openers.remove(&session);
        }
    }

    fn judge(&mut self, sessions: usize) {
        let quorum = sessions.clamp(1, 2);
        self.status.open_at = self.openers.len();
        self.status.open = self.openers.len() >= quorum;
    }
}

#[cfg(test)]
mod tests;
