//! Transactions whose outcome must be known.

use agix_core::limits::{SETTLE_ATTEMPTS, SETTLE_PAUSE};
use tracing::warn;

use crate::store::{CommitError, Store, StoreRevision, Txn, TxnOutcome};

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It was carried out.
    Committed(StoreRevision),
    /// It was not.
    Refused,
    /// A guard does not hold, but an earlier try had no answer: it may be that very try that made
    /// the guard fail.
    MaybeCommitted,
}

/// Carries out `txn`; where there is no answer, tries again until there is one. The guards must be
/// such that it cannot be carried out twice, or its writes such that this does no harm.
pub(crate) async fn settle<S: Store>(store: &S, txn: &Txn) -> Result<Settled, CommitError> {
    let mut pause = SETTLE_PAUSE;
    let mut tries = 1;
    let mut unknown = false;
    loop {
        let failure = match store.txn(txn.clone()).await {
            Ok(TxnOutcome::Committed { revision }) => return Ok(Settled::Committed(revision)),
            Ok(TxnOutcome::GuardFailed { .. }) if unknown => return Ok(Settled::MaybeCommitted),
            Ok(TxnOutcome::GuardFailed { .. }) => return Ok(Settled::Refused),
            Err(CommitError::OutcomeUnknown(failure)) => {
                unknown = true;
                failure
            }
            Err(CommitError::Unavailable(failure)) if unknown => failure,
            Err(error) => return Err(error),
        };
        if tries == SETTLE_ATTEMPTS {
            return Err(CommitError::OutcomeUnknown(failure));
        }
        warn!(error = %failure, "it is not known what became of a transaction; trying to settle it");
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
        tries += 1;
    }
}
