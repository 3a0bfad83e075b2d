//! The store: a revisioned key-value store, at the level of what etcd gives.
//!
//! The contract, kept by every backend and checked by one conformance suite:
//! - Transactions are atomic and linearizable. Each one that changes something makes the next
//!   revision; revisions only grow. One that changes nothing makes none.
//! - A range is read as of one revision, now or in the past, until that is compacted away.
//! - A watch delivers every commit in order without a gap, or ends and says why; whoever is told
//!   that it ended lists again and watches from there.
//! - When an answer is given, what it says is durable. A commit whose outcome cannot be known is
//!   an error of its own, [`CommitError::OutcomeUnknown`]; it is settled by reading back.
//! - No backend reads a clock.
//!
//! Keys come from [`keyspace`] alone.

pub mod keyspace;

mod any;
mod embedded;
mod error;
mod etcd;
mod fence;
mod key;
mod lease;
mod memory;
mod range;
mod revision;
mod txn;
mod watch;

#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod flaky;

use std::future::Future;
use std::time::Duration;

pub(crate) use any::RawStore;
pub use any::{AnyStore, OpenError};
pub use embedded::{Embedded, OpenEmbeddedError};
pub use error::{BackendFailure, CommitError, CompactError, LeaseError, RangeError};
pub use etcd::{Etcd, EtcdAccess, EtcdAddress, InvalidEtcdAddress, OpenEtcdError};
pub(crate) use fence::term_base;
pub use fence::{AcquireError, Acquired, Fence};
pub use key::{KeyRange, StoreKey};
pub use lease::LeaseId;
pub use memory::Memory;
pub use range::{Entry, Page, RangeRequest};
pub use revision::StoreRevision;
pub use txn::{Guard, Refused, Txn, TxnOutcome, Write};
pub use watch::{Commit, Event, Watch, WatchEnd};

/// A revisioned key-value store. Cheap to clone; clones share the data.
pub trait Store: Clone + Send + Sync + 'static {
    /// Reads a page of a range of keys, in the order of their bytes.
    fn range(&self, request: RangeRequest)
    -> impl Future<Output = Result<Page, RangeError>> + Send;

    /// Carries out all writes if all guards hold, else none.
    fn txn(&self, txn: Txn) -> impl Future<Output = Result<TxnOutcome, CommitError>> + Send;

    /// The commits that touch `range`, from revision `from` on. One that would begin with more
    /// than [`agix_core::limits::STORE_WATCH_BACKLOG`] past events does not begin, or is cut off.
    fn watch(
        &self,
        range: KeyRange,
        from: StoreRevision,
    ) -> impl Future<Output = Result<Watch, WatchEnd>> + Send;

    /// Forgets what only revisions before `at` can see. Nothing happens if that is done already.
    fn compact(&self, at: StoreRevision) -> impl Future<Output = Result<(), CompactError>> + Send;

    /// Makes a lease, to which keys can be bound: when it ends, they are deleted.
    ///
    /// A lease ends when it is revoked, and when its holder can be taken for dead: after `ttl`
    /// without [`Store::keep_alive`] in a store that several processes share; with the process in
    /// a store that belongs to one.
    fn grant(&self, ttl: Duration) -> impl Future<Output = Result<LeaseId, LeaseError>> + Send;

    /// Begins the time of a lease anew.
    fn keep_alive(&self, lease: LeaseId) -> impl Future<Output = Result<(), LeaseError>> + Send;

    /// Ends a lease and deletes the keys bound to it.
    fn revoke(&self, lease: LeaseId) -> impl Future<Output = Result<(), LeaseError>> + Send;

    /// Reads one key as it is now.
    fn get(
        &self,
        key: &StoreKey,
    ) -> impl Future<Output = Result<Option<Entry>, RangeError>> + Send {
        let request = RangeRequest::new(KeyRange::one(key)).limit(1);
        async move { Ok(self.range(request).await?.entries.into_iter().next()) }
    }
}
