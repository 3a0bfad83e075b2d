//! The chain of administrative acts in the store.
//!
//! Rules this module keeps:
//! - A record is written in the transaction that does the act, where the act is one of the store's.
//!   Where it is another's (the ledger's, the queue's) it is written before: no act is without its
//!   record, and a record of such an act says what was asked.
//! - Records are bounded in number. The oldest goes in the transaction that adds one, and the head
//!   remembers what it led up to.

use agix_core::audit::{Act, Broken, Head, Record};
use agix_core::limits::{ACTS, APPLY_ATTEMPTS, APPLY_PAUSE};
use agix_proto::convert::InvalidMessage;
use agix_proto::v1;
use bytes::Bytes;
use prost::Message as _;

use crate::store::keyspace::Key;
use crate::store::{CommitError, Entry, RangeError, RangeRequest, Store, Txn, TxnOutcome};

/// Why acts could not be read or recorded.
#[derive(Debug, thiserror::Error)]
pub enum ActsError {
    /// The store cannot be read.
    #[error("the administrative acts cannot be read")]
    Read(#[from] RangeError),
    /// The store cannot be written.
    #[error("the administrative act cannot be recorded, so it was not done")]
    Write(#[from] CommitError),
    /// What is stored is not what was written.
    #[error("the record of administrative acts is damaged in the store")]
    Damaged(#[source] Damage),
    /// Others were faster, too often.
    #[error("too many acts at once: try again")]
    Contended,
}

/// How a record differs from what was written.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It is no message.
    #[error(transparent)]
    Malformed(#[from] prost::DecodeError),
    /// Its fields make no sense.
    #[error(transparent)]
    Invalid(#[from] InvalidMessage),
}

/// The end of the chain, as it is before an act.
#[derive(Debug)]
pub(crate) struct End {
    entry: Option<Entry>,
    head: Head,
    /// The oldest record, if there are as many as are kept.
    oldest: Option<Record>,
}

/// What came of looking through the chain.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) head: Head,
    /// Records that are there.
    pub(crate) found: u64,
    pub(crate) outcome: Result<(), Broken>,
}

impl End {
    /// Looks where the chain ends.
    pub(crate) async fn look<S: Store>(store: &S) -> Result<Self, ActsError> {
        let entry = store.get(&Key::ActsHead.encode()).await?;
        let head = entry.as_ref().map(head).transpose()?.unwrap_or_default();
        let oldest = if head.len() < ACTS {
            None
        } else {
            let oldest = store.get(&Key::Act(head.first).encode()).await?;
            oldest.as_ref().map(record).transpose()?
        };
        Ok(Self {
            entry,
            head,
            oldest,
        })
    }

    /// Adds the record of an act to the transaction that does it.
    pub(crate) fn record(&self, txn: Txn, act: Act) -> Txn {
        let (record, mut head) = self.head.followed_by(act);
        let mut txn = txn;
        if let Some(oldest) = &self.oldest {
            head = head.without(oldest);
            txn = txn.delete(&Key::Act(oldest.number).encode());
        }
        let encoded = |message: Vec<u8>| Bytes::from(message);
        txn.unchanged(&Key::ActsHead.encode(), self.entry.as_ref())
            .put(
                &Key::Act(record.number).encode(),
                encoded(v1::Act::from(&record).encode_to_vec()),
            )
            .put(
                &Key::ActsHead.encode(),
                encoded(v1::ActsHead::from(&head).encode_to_vec()),
            )
    }
}

/// Records an act that is about to be asked of somebody else.
pub(crate) async fn record_first<S: Store>(store: &S, act: Act) -> Result<(), ActsError> {
    let mut unknown = false;
    for _ in 0..APPLY_ATTEMPTS {
        let end = End::look(store).await?;
        if unknown && is_newest(store, &end.head, act.id).await? {
            return Ok(());
        }
        // What is being restored has a chain of its own.
        let txn = Txn::new().absent(&Key::Restoring.encode());
        match store.txn(end.record(txn, act.clone())).await {
            Ok(TxnOutcome::Committed { .. }) => return Ok(()),
            Ok(TxnOutcome::GuardFailed { .. }) => {}
            // Written twice it would still be one act: its id tells.
            Err(CommitError::OutcomeUnknown(_)) => unknown = true,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(APPLY_PAUSE.mul_f64(fastrand::f64())).await;
    }
    Err(ActsError::Contended)
}

async fn is_newest<S: Store>(store: &S, head: &Head, id: u64) -> Result<bool, ActsError> {
    let newest = store.get(&Key::Act(head.last).encode()).await?;
    let newest = newest.as_ref().map(record).transpose()?;
    Ok(newest.is_some_and(|newest| newest.act.id == id))
}

/// The newest acts that `wanted` takes, newest first, and whether there are more of them.
pub(crate) async fn newest<S: Store>(
    store: &S,
    most: usize,
    wanted: impl Fn(&Record) -> bool,
) -> Result<(Vec<Record>, bool), ActsError> {
    let mut found = Vec::new();
    let mut request = Some(RangeRequest::new(Key::acts()).descending());
    while let Some(next) = request {
        let page = store.range(next.clone()).await?;
        for entry in &page.entries {
            let record = record(entry)?;
            if wanted(&record) {
                if found.len() >= most {
                    return Ok((found, true));
                }
                found.push(record);
            }
        }
        request = next.after(&page);
    }
    Ok((found, false))
}

/// Looks through the whole chain. Acts that are recorded meanwhile may make it look again.
pub(crate) async fn verify<S: Store>(store: &S) -> Result<Verified, ActsError> {
    for _ in 0..APPLY_ATTEMPTS {
        let before = End::look(store).await?;
        let mut records = Vec::new();
        let mut request = Some(RangeRequest::new(Key::acts()));
        while let Some(next) = request {
            let page = store.range(next.clone()).await?;
            for entry in &page.entries {
                records.push(record(entry)?);
            }
            request = next.after(&page);
        }
        if End::look(store).await?.head == before.head {
            return Ok(Verified {
                found: u64::try_from(records.len()).unwrap_or(u64::MAX),
                outcome: before.head.verify(&records),
                head: before.head,
            });
        }
    }
    Err(ActsError::Contended)
}

fn head(entry: &Entry) -> Result<Head, ActsError> {
    let wire = v1::ActsHead::decode(entry.value.as_ref());
    let wire = wire.map_err(|error| ActsError::Damaged(error.into()))?;
    Head::try_from(wire).map_err(|error| ActsError::Damaged(error.into()))
}

fn record(entry: &Entry) -> Result<Record, ActsError> {
    let wire = v1::Act::decode(entry.value.as_ref());
    let wire = wire.map_err(|error| ActsError::Damaged(error.into()))?;
    Record::try_from(wire).map_err(|error| ActsError::Damaged(error.into()))
}

#[cfg(test)]
mod tests {
    use agix_core::audit::Kind;
    use agix_core::id::Revision;
    use agix_core::time::Wall;

    use super::*;
    use crate::store::Memory;

    fn act(id: u64) -> Act {
        Act {
            id,
            time: Wall::from_millis(1),
            author: "ann".to_owned(),
            kind: Kind::AdjustBudget,
            subject: "reader".to_owned(),
            old: Revision::new(3),
            new: Revision::new(3),
            message: "why".to_owned(),
        }
    }

    #[tokio::test]
    async fn beyond_the_bound_the_oldest_goes_and_the_rest_is_still_verified() {
        let store = Memory::default();
        for id in 0..ACTS + 3 {
            record_first(&store, act(id)).await.unwrap();
        }
        let verified = verify(&store).await.unwrap();
        assert_eq!(verified.found, ACTS);
        assert_eq!(verified.outcome, Ok(()));
        assert_eq!(verified.head.first, 4);
        let (newest, more) = newest(&store, 2, |_| true).await.unwrap();
        let ids: Vec<_> = newest.iter().map(|record| record.act.id).collect();
        assert_eq!((ids, more), (vec![ACTS + 2, ACTS + 1], true));
    }

    #[tokio::test]
    async fn a_record_that_was_changed_in_the_store_is_noticed() {
        let store = Memory::default();
        for id in 0..3 {
            record_first(&store, act(id)).await.unwrap();
        }
        let key = Key::Act(2).encode();
        let mut changed = record(&store.get(&key).await.unwrap().unwrap()).unwrap();
        changed.act.author = "nobody".to_owned();
        let value = Bytes::from(v1::Act::from(&changed).encode_to_vec());
        store.txn(Txn::new().put(&key, value)).await.unwrap();
        let outcome = verify(&store).await.unwrap().outcome;
        assert_eq!(outcome, Err(Broken::Changed(2)));
        store.txn(Txn::new().delete(&key)).await.unwrap();
        let outcome = verify(&store).await.unwrap().outcome;
        assert_eq!(outcome, Err(Broken::Missing(2)));
    }
}
