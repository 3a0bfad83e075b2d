//! Making revisions.

mod commit;
mod prepare;
mod seen;

use std::sync::Arc;

use agix_core::id::Revision;
use agix_core::limits::{APPLY_ATTEMPTS, APPLY_PAUSE};
use agix_core::policy::document::SourceFile;
use agix_core::policy::{Change, Policy};
use agix_core::time::Wall;
use bytes::Bytes;
use tokio::task::spawn_blocking;
use tracing::info;

use self::prepare::Prepared;
use super::record::Record;
use super::{ApplyError, LoadError, Published, Repository, RevisionInfo, RollbackError};
use crate::store::Store;

/// A policy to be applied.
#[derive(Debug)]
pub struct Proposal {
    /// The policy, checked.
    pub policy: Arc<Policy>,
    /// The files it was read from, secrets redacted.
    pub sources: Vec<SourceFile>,
    /// How to apply it.
    pub intent: Intent,
}

/// Who changes the policy, why, and under which condition.
#[derive(Debug, Clone)]
pub struct Intent {
    /// Who.
    pub author: String,
    /// Why.
    pub message: String,
    /// When.
    pub time: Wall,
    /// Only if this is the current revision; [`Revision::NONE`]: only if there is none.
    pub expected: Option<Revision>,
    /// Only say what would happen.
    pub dry_run: bool,
}

/// A revision to be taken back.
#[derive(Debug)]
pub struct Rollback {
    /// The revision whose content becomes current again.
    pub to: Revision,
    /// How.
    pub intent: Intent,
}

/// What became of a proposal.
#[derive(Debug)]
pub enum Outcome {
    /// It is the policy now, or would be.
    Applied(Applied),
    /// Another revision than the expected one is current. Nothing was changed.
    Conflict(Conflict),
}

/// A policy that was applied.
#[derive(Debug)]
pub struct Applied {
    /// The revision now current.
    pub current: RevisionInfo,
    /// The revision before it.
    pub previous: Revision,
    /// Whether it was the policy already; then no revision was made.
    pub unchanged: bool,
    /// What it changes.
    pub changes: Vec<Change>,
}

/// A compare-and-swap that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The revision that should have been current.
    pub expected: Revision,
    /// The one that is.
    pub current: Revision,
    /// Who made it; empty if there is none.
    pub current_author: String,
}

impl<S: Store> Repository<S> {
    /// Makes a policy the current one, whole or not at all.
    pub async fn apply(&self, proposal: Proposal) -> Result<Outcome, ApplyError> {
        self.make_revision(proposal, None).await
    }

    /// Makes a new revision with the content of an old one.
    pub async fn rollback(&self, request: Rollback) -> Result<Outcome, RollbackError> {
        let Rollback { to, intent } = request;
        let old = self.load(to).await?;
        let problems = old.policy().check();
        if !problems.is_empty() {
            return Err(RollbackError::Refused {
                revision: to,
                problems,
            });
        }
        let proposal = Proposal {
            policy: Arc::clone(old.policy()),
            sources: self.sources(to).await?,
            intent,
        };
        Ok(self.make_revision(proposal, Some(to)).await?)
    }

    async fn make_revision(
        &self,
        proposal: Proposal,
        rolled_back_to: Option<Revision>,
    ) -> Result<Outcome, ApplyError> {
        let Proposal {
            policy,
            sources,
            intent,
        } = proposal;
        let prepared = blocking(move || Prepared::new(policy, sources)).await??;
        let prepared = Arc::new(prepared);
        let _writing = self.inner.writing.lock().await;
        for _ in 0..APPLY_ATTEMPTS {
            let seen = self.look().await?;
            if let Some(conflict) = seen.conflict(intent.expected) {
                return Ok(Outcome::Conflict(conflict));
            }
            if let Some(current) = seen.current.as_ref()
                && current.info().hash == prepared.hash
                && current.info().revision >= self.latest_seen()
            {
                return Ok(Outcome::Applied(Applied {
                    current: current.info().clone(),
                    previous: current.info().revision,
                    unchanged: true,
                    changes: Vec::new(),
                }));
            }
            let difference = {
                let prepared = Arc::clone(&prepared);
                let current = seen.current.clone();
                blocking(move || prepared.difference(current.as_deref())).await?
            };
            let revision = self.number_after(seen.revision());
            let record = prepared.record(revision, &difference, &intent, rolled_back_to);
            let applied = Applied {
                current: record.info.clone(),
                previous: seen.revision(),
                unchanged: false,
                changes: difference.changes,
            };
            if intent.dry_run {
                return Ok(Outcome::Applied(applied));
            }
            if self.commit(&prepared, &seen, &record).await? {
                let base = applied.previous;
                self.announce(prepared, record, (base, difference.delta))
                    .await;
                return Ok(Outcome::Applied(applied));
            }
            // Whoever lost waits a moment of its own, or the same ones lose again.
            tokio::time::sleep(APPLY_PAUSE.mul_f64(fastrand::f64())).await;
        }
        Err(ApplyError::Contended)
    }

    /// Makes the new revision current in this process.
    async fn announce(
        &self,
        prepared: Arc<Prepared>,
        record: Record,
        (base, delta): (Revision, Option<Bytes>),
    ) {
        let RevisionInfo {
            revision, author, ..
        } = &record.info;
        info!(%revision, author, "a policy was applied");
        let policy = Arc::clone(&prepared.policy);
        let published = Published::new(record, policy, prepared.canonical.clone());
        if let Some(cell) = published.delta_from(base) {
            cell.get_or_init(|| async { delta }).await;
        }
        self.publish(&Arc::new(published));
    }
}

/// Runs work that takes long without waiting for anything.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApplyError> {
    spawn_blocking(work)
        .await
        .map_err(|error| ApplyError::Load(LoadError::Interrupted(error)))
}
