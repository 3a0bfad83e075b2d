//! Proving the books: the log is read from the store and replayed, every step is checked against what
//! must be true, and the result is compared with the books in use.

use std::sync::Arc;

use agix_core::id::AgentName;
use agix_core::ledger::{Batch, Books, Entry, Finding, Money, check, within_limits};
use agix_core::limits::{VERIFY_AGENT_CHECKS, VERIFY_FINDINGS};
use agix_core::quota::Day;
use agix_core::units::NanoUsd;
use tokio::task::spawn_blocking;

use super::desk::LedgerDesk;
use super::load::{Found, LoadError, Reader};
use crate::owned::NotServed;
use crate::store::keyspace::Shard;
use crate::store::{Store, StoreRevision};

/// What a verification came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// What is wrong, and after which batch.
    pub findings: Vec<(u64, Finding)>,
    /// The last batch of the snapshot from which the log goes on; 0: it goes back to its beginning.
    pub snapshot_batch: u64,
    /// Batches replayed.
    pub batches: u64,
    /// Facts in them.
    pub entries: u64,
    /// The last batch.
    pub last_batch: u64,
    /// Agents with books.
    pub agents: usize,
    /// Sessions with a lease.
    pub open: usize,
    /// Sessions that are over and not forgotten.
    pub closed: usize,
    /// What the money of all agents adds up to.
    pub sums: MoneySums,
    /// What the usage of all models adds up to.
    pub usage_cost: NanoUsd,
    /// The money of each agent that has some in the books.
    pub per_agent: Vec<(AgentName, MoneySums)>,
}

/// Sums of money over all days in the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MoneySums {
    /// Spent, set aside and unsettled.
    pub money: Money,
    /// Part of the spend that rests on the worst case of calls whose end nobody saw.
    pub estimated: NanoUsd,
    /// Corrections, in nano-dollars.
    pub adjusted: i64,
}

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There are no books to compare with.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// The log could not be read.
    #[error(transparent)]
    Load(LoadError),
}

/// A replay under suspicion.
#[derive(Debug)]
struct Replay {
    books: Books,
    report: Verification,
    /// Agents that can still be looked at before the end.
    looks: usize,
    broken: bool,
}

/// Verifies the ledger that `desk` leads to against the log in its store.
pub async fn verify<S: Store>(
    store: S,
    shard: Shard,
    desk: &LedgerDesk,
) -> Result<Verification, VerifyError> {
    let (live, at) = desk
        .look(|view| (view.ledger.books().clone(), view.revision))
        .await?;
    let mut replay = match replayed(store, shard, at).await {
        Ok(replay) => replay,
        Err(error @ (LoadError::Store(_) | LoadError::Interrupted(_))) => {
            return Err(VerifyError::Load(error));
        }
        Err(damaged) => Replay::broken(&damaged),
    };
    let compared = spawn_blocking(move || {
        if !replay.broken {
            replay.compare(live);
        }
        replay.finish()
    });
    compared
        .await
        .map_err(|error| VerifyError::Load(LoadError::Interrupted(error)))
}

async fn replayed<S: Store>(
    store: S,
    shard: Shard,
    at: StoreRevision,
) -> Result<Replay, LoadError> {
    let at = (at > StoreRevision::NONE).then_some(at);
    let (mut reader, books) = Reader::open(store, shard, at).await?;
    let mut replay = Replay {
        report: Verification {
            snapshot_batch: books.number,
            ..Verification::default()
        },
        books,
        looks: VERIFY_AGENT_CHECKS,
        broken: false,
    };
    while let Some(page) = reader.next().await? {
        let replaying = spawn_blocking(move || {
            for found in &page {
                if !replay.broken {
                    replay.take(found);
                }
            }
            replay
        });
        replay = replaying.await.map_err(LoadError::Interrupted)?;
    }
    Ok(replay)
}

impl Replay {
    /// Of a log that could not be read.
    fn broken(error: &LoadError) -> Self {
        let mut replay = Self {
            books: Books::default(),
            report: Verification::default(),
            looks: 0,
            broken: true,
        };
        replay.damaged(0, error);
        replay
    }

    fn take(&mut self, found: &Found) {
        let number = found.number;
        let batch = match found.decode() {
            Ok(batch) => batch,
            Err(error) => return self.damaged(number, &error),
        };
        self.report.batches = self.report.batches.saturating_add(1);
        let entries = u64::try_from(batch.entries.len()).unwrap_or(u64::MAX);
        self.report.entries = self.report.entries.saturating_add(entries);
        if let Err(corrupt) = self.apply(&batch) {
            self.broken = true;
            return self.note(number, "log", corrupt.to_string());
        }
        if let Some(left) = self.looks.checked_sub(self.books.agents.len()) {
            self.looks = left;
            self.check(number);
        }
    }

    /// Replays a batch fact by fact: a grant is within the limits at the moment it is made.
    fn apply(&mut self, batch: &Batch) -> Result<(), agix_core::ledger::Corrupt> {
        for entry in &batch.entries {
            self.books.apply(entry, batch.at)?;
            match entry {
                Entry::Granted { agent, .. } => {
                    let findings = within_limits(&self.books, agent, batch.at);
                    self.take_findings(batch.number, findings);
                }
                Entry::Escrowed { agent, day, .. } => self.check_budget(batch.number, agent, *day),
                _ => {}
            }
        }
        // What is left of the batch: its place, its time and its clocks.
        self.books.replay(&Batch {
            entries: Vec::new(),
            ..*batch
        })
    }

    /// Checks that what was set aside fits the limits on spend.
    fn check_budget(&mut self, batch: u64, agent: &AgentName, day: Day) {
        let Some(books) = self.books.agents.get(agent) else {
            return;
        };
        let month = day.month();
        let periods = [
            (books.terms.daily, day, day),
            (books.terms.monthly, month.first_day(), month.last_day()),
        ];
        let mut passed = Vec::new();
        for (limit, from, to) in periods {
            let purses = books.purses.range(from..=to);
            let money = purses.fold(Money::default(), |sum, (_, purse)| {
                sum.plus(&self.books.money_of(purse))
            });
            if limit.is_some_and(|limit| money.committed() > limit) {
                passed.push(format!(
                    "{agent}: with what was set aside on {day}, {} of {} are spoken for",
                    money.committed(),
                    limit.unwrap_or_default()
                ));
            }
        }
        for what in passed {
            self.note(batch, "I4", what);
        }
    }

    fn check(&mut self, batch: u64) {
        let findings = check(&self.books, self.books.time);
        self.take_findings(batch, findings);
    }

    /// Compares with the books in use, of the same moment.
    fn compare(&mut self, mut live: Books) {
        self.check(self.books.number);
        let mut replayed = self.books.clone();
        // What has cooled is let go of when an agent is next looked at; that is no difference.
        for books in [&mut live, &mut replayed] {
            let time = books.time;
            for agent in books.agents.values_mut() {
                Arc::make_mut(agent).advance(time);
            }
        }
        if live == replayed {
            return;
        }
        let batch = live.number;
        let mut differences = Vec::new();
        if live.number != replayed.number {
            differences.push(format!(
                "the log ends with batch {}, the books in use with {}",
                replayed.number, live.number
            ));
        }
        let agents = live.agents.keys().chain(replayed.agents.keys());
        let agents: std::collections::BTreeSet<_> = agents.collect();
        for agent in agents {
            if live.agents.get(agent) != replayed.agents.get(agent) {
                differences.push(format!(
                    "{agent}: the books in use are not what the log adds up to"
                ));
            }
        }
        if live.sessions != replayed.sessions {
            differences.push("the sessions in use are not what the log adds up to".to_owned());
        }
        if live.usage != replayed.usage {
            differences.push("the usage in use is not what the log adds up to".to_owned());
        }
        if differences.is_empty() {
            differences.push("the books in use are not what the log adds up to".to_owned());
        }
        for what in differences {
            self.note(batch, "log", what);
        }
    }

    /// Sums up.
    fn finish(self) -> Verification {
        let Self { books, report, .. } = self;
        let open = books.sessions.values().filter(|it| it.open).count();
        let mut sums = MoneySums::default();
        let mut per_agent = Vec::new();
        for (agent, of_agent) in &books.agents {
            if of_agent.purses.is_empty() {
                continue;
            }
            let mut of_this = MoneySums::default();
            for purse in of_agent.purses.values() {
                let guessed = purse.parts.values().filter(|part| part.estimated);
                let estimated =
                    guessed.fold(NanoUsd::ZERO, |sum, part| sum.saturating_add(part.spent));
                of_this = of_this.plus(&MoneySums {
                    money: books.money_of(purse),
                    estimated,
                    adjusted: purse.adjusted,
                });
            }
            sums = sums.plus(&of_this);
            per_agent.push((agent.clone(), of_this));
        }
        let usage_cost = books
            .usage
            .values()
            .fold(NanoUsd::ZERO, |sum, totals| sum.saturating_add(totals.cost));
        Verification {
            last_batch: books.number,
            agents: books.agents.len(),
            open,
            closed: books.sessions.len().saturating_sub(open),
            sums,
            usage_cost,
            per_agent,
            ..report
        }
    }

    fn damaged(&mut self, batch: u64, error: &LoadError) {
        self.broken = true;
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
            (*error).source()
        });
        let text: Vec<String> = causes.map(ToString::to_string).collect();
        self.note(batch, "log", text.join(": "));
    }

    fn take_findings(&mut self, batch: u64, findings: Vec<Finding>) {
        for finding in findings {
            self.note(batch, finding.invariant, finding.what);
        }
    }

    /// What is wrong is said once, and at most so often.
    fn note(&mut self, batch: u64, invariant: &'static str, what: String) {
        let finding = Finding { invariant, what };
        let findings = &mut self.report.findings;
        let known = findings.iter().any(|(_, known)| *known == finding);
        if !known && findings.len() < VERIFY_FINDINGS {
            findings.push((batch, finding));
        }
    }
}

impl MoneySums {
    fn plus(&self, other: &Self) -> Self {
        Self {
            money: self.money.plus(&other.money),
            estimated: self.estimated.saturating_add(other.estimated),
            adjusted: self.adjusted.saturating_add(other.adjusted),
        }
    }
}
