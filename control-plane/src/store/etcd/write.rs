//! Carrying out transactions.

use agix_core::limits::ETCD_ANSWER_TIME;
use etcd_client::{Compare, CompareOp, PutOptions, Txn as EtcdTxn, TxnOp};

use super::Etcd;
use super::answer::{EtcdFailure, Trouble, number_of, revision_of};
use crate::store::{BackendFailure, CommitError, Guard, LeaseId, Txn, TxnOutcome, Write};

impl Etcd {
    /// Carries out a transaction that was checked.
    pub(super) async fn commit(&self, txn: &Txn) -> Result<TxnOutcome, CommitError> {
        let guards: Vec<_> = txn
            .guards()
            .iter()
            .map(|guard| self.compare(guard))
            .collect();
        let mut writes = Vec::with_capacity(txn.writes().len());
        // A lease etcd could not even name has ended, but only matters if the guards hold.
        let mut no_such_lease = false;
        for write in txn.writes() {
            match write {
                Write::Put { key, value, lease } => {
                    let Ok(lease) =
                        lease.map_or(Ok(0), |lease: LeaseId| i64::try_from(lease.number()))
                    else {
                        no_such_lease = true;
                        continue;
                    };
                    let options = PutOptions::new().with_lease(lease);
                    writes.push(TxnOp::put(self.full(key), value.to_vec(), Some(options)));
                }
                Write::Delete(key) => writes.push(TxnOp::delete(self.full(key), None)),
            }
        }
        if no_such_lease {
            writes.clear();
        }
        let request = EtcdTxn::new().when(guards).and_then(writes);
        let asked = self.inner.endpoints.write(ETCD_ANSWER_TIME, |client| {
            let request = request.clone();
            async move { client.kv_client().txn(request).await }
        });
        let answer = asked.await.map_err(uncommitted)?;
        let revision = revision_of(answer.header()).map_err(|_malformed| {
            CommitError::OutcomeUnknown(BackendFailure::new(EtcdFailure::Malformed))
        })?;
        match (answer.succeeded(), no_such_lease) {
            (false, _) => Ok(TxnOutcome::GuardFailed { revision }),
            (true, true) => Err(CommitError::LeaseEnded),
            (true, false) => Ok(TxnOutcome::Committed { revision }),
        }
    }

    fn compare(&self, guard: &Guard) -> Compare {
        let key = self.full(guard.key());
        match guard {
            // etcd numbers the creation of what is not there with zero.
            Guard::Absent(_) => Compare::create_revision(key, CompareOp::Equal, 0),
            Guard::Created(_, at) => {
                Compare::create_revision(key, CompareOp::Equal, number_of(*at))
            }
            Guard::Modified(_, at) => Compare::mod_revision(key, CompareOp::Equal, number_of(*at)),
            Guard::Value(_, value) => Compare::value(key, CompareOp::Equal, value.to_vec()),
        }
    }
}

fn uncommitted(trouble: Trouble) -> CommitError {
    match trouble {
        Trouble::NoLease(_) => CommitError::LeaseEnded,
        Trouble::Unreached(failure) | Trouble::Refused(failure) => {
            CommitError::Unavailable(BackendFailure::new(failure))
        }
        other => CommitError::OutcomeUnknown(other.into()),
    }
}
