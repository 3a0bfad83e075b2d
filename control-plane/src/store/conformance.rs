//! One suite for every backend: what [`Store`] promises, as tests.
//!
//! A backend joins by implementing [`Subject`] and being named in [`conforms`] below.

mod embedded;
mod etcd;
mod leases;
mod random;
mod ranges;
mod transactions;
mod watches;

use std::path::Path;

use agix_tests::etcd::Member;
use bytes::Bytes;
use tempfile::TempDir;

use super::{
    Embedded, Entry, Etcd, KeyRange, Memory, RangeRequest, Store, StoreKey, StoreRevision, Txn,
    TxnOutcome,
};

/// A store under test.
trait Subject: Sized {
    type Store: Store;

    /// Whether leases outlive the process.
    const LEASES_SURVIVE: bool;

    /// An empty store.
    async fn fresh() -> Self;

    fn store(&self) -> &Self::Store;

    /// The store as the next process finds it: after an orderly end, or after `kill -9`.
    async fn restarted(self, how: Restart) -> Self;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restart {
    Orderly,
    Killed,
}

struct InMemory(Memory);

impl Subject for InMemory {
    type Store = Memory;
    const LEASES_SURVIVE: bool = true;

    async fn fresh() -> Self {
        Self(Memory::default())
    }

    fn store(&self) -> &Memory {
        &self.0
    }

    async fn restarted(self, _how: Restart) -> Self {
        self
    }
}

struct InFile {
    store: Embedded,
    directory: TempDir,
}

impl InFile {
    fn path(directory: &Path) -> std::path::PathBuf {
        directory.join("agix.redb")
    }
}

impl Subject for InFile {
    type Store = Embedded;
    const LEASES_SURVIVE: bool = false;

    async fn fresh() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Embedded::open(directory.path()).await.unwrap();
        Self { store, directory }
    }

    fn store(&self) -> &Embedded {
        &self.store
    }

    async fn restarted(self, how: Restart) -> Self {
        let Self { store, directory } = self;
        let directory = match how {
            Restart::Orderly => {
                store.close().await;
                directory
            }
            // What is in the file while it is open is what the kernel keeps of a killed process.
            Restart::Killed => {
                let after = TempDir::new().unwrap();
                std::fs::copy(Self::path(directory.path()), Self::path(after.path())).unwrap();
                drop(store);
                after
            }
        };
        let store = Embedded::open(directory.path()).await.unwrap();
        Self { store, directory }
    }
}

/// An etcd of its own for each store, so that revisions are counted as the suite expects.
struct InEtcd {
    store: Etcd,
    member: Member,
}

impl InEtcd {
    async fn open(member: Member) -> Self {
        let address = member.url().parse().unwrap();
        let store = Etcd::open(&address).await.unwrap();
        Self { store, member }
    }
}

impl Subject for InEtcd {
    type Store = Etcd;
    const LEASES_SURVIVE: bool = true;

    async fn fresh() -> Self {
        Self::open(Member::alone(&[]).await).await
    }

    fn store(&self) -> &Etcd {
        &self.store
    }

    async fn restarted(self, how: Restart) -> Self {
        let Self { store, mut member } = self;
        store.close().await;
        match how {
            Restart::Orderly => member.stop().await,
            Restart::Killed => member.kill(),
        }
        member.start_again().await;
        Self::open(member).await
    }
}

/// Makes the tests of every backend.
macro_rules! conforms {
    ($($module:ident: [$($test:ident),* $(,)?];)*) => {
        mod in_memory {
            $($(#[tokio::test]
            async fn $test() {
                super::$module::$test::<super::InMemory>().await;
            })*)*

            #[test]
            fn any_sequence_of_operations_behaves_as_the_contract_says() {
                super::random::check::<super::InMemory>(256);
            }
        }
        mod in_file {
            $($(#[tokio::test]
            async fn $test() {
                super::$module::$test::<super::InFile>().await;
            })*)*

            #[test]
            fn any_sequence_of_operations_behaves_as_the_contract_says() {
                super::random::check::<super::InFile>(48);
            }
        }
        mod in_etcd {
            $($(#[tokio::test]
            async fn $test() {
                super::$module::$test::<super::InEtcd>().await;
            })*)*

            #[test]
            fn any_sequence_of_operations_behaves_as_the_contract_says() {
                super::random::check::<super::InEtcd>(6);
            }
        }
    };
}

conforms! {
    transactions: [
        a_transaction_is_all_or_nothing,
        each_guard_holds_when_it_should,
        only_a_change_makes_a_revision,
        a_key_created_again_has_a_new_creation,
        limits_are_refused_and_change_nothing,
        of_many_racing_swaps_one_wins_each_round,
    ];
    ranges: [
        keys_come_in_order_and_only_those_of_the_range,
        the_past_can_be_read_as_it_was,
        pages_together_are_the_range_at_one_revision,
        a_range_can_be_read_from_its_end,
        a_page_ends_before_it_grows_too_large,
        the_compacted_past_is_refused_and_the_rest_unchanged,
        the_future_is_refused,
        everything_is_there_after_a_restart,
    ];
    watches: [
        a_watch_delivers_each_commit_once_and_in_order,
        a_watch_begins_in_the_past_without_a_gap,
        a_watch_beginning_later_waits_for_it,
        a_watch_of_the_compacted_past_is_refused,
        a_watcher_that_does_not_keep_up_is_cut_off_after_its_backlog,
        a_watch_too_far_back_is_refused,
        a_watch_sees_only_its_range,
        commits_racing_with_the_start_of_a_watch_are_not_lost,
    ];
    leases: [
        a_revoked_lease_takes_its_keys_along,
        a_key_leaves_its_lease_when_it_is_put_without,
        nothing_can_be_bound_to_a_lease_that_ended,
        of_two_owners_one_holds_and_the_next_has_a_larger_term,
        what_an_owner_could_not_give_up_does_not_stand_in_its_own_way,
        an_owner_that_lost_its_key_can_write_nothing,
        a_lease_ends_with_its_process,
    ];
}

fn key(name: &str) -> StoreKey {
    StoreKey::new(name.to_owned())
}

fn prefix(name: &str) -> KeyRange {
    KeyRange::prefix(&key(name))
}

/// Sets a key and says at which revision.
async fn put(store: &impl Store, name: &str, value: &str) -> StoreRevision {
    committed(store, Txn::new().put(&key(name), value.to_owned())).await
}

async fn delete(store: &impl Store, name: &str) -> StoreRevision {
    committed(store, Txn::new().delete(&key(name))).await
}

/// Carries out a transaction that must succeed.
async fn committed(store: &impl Store, txn: Txn) -> StoreRevision {
    match store.txn(txn).await.unwrap() {
        TxnOutcome::Committed { revision } => revision,
        TxnOutcome::GuardFailed { revision } => panic!("a guard failed at {revision}"),
    }
}

async fn guard_failed(store: &impl Store, txn: Txn) -> bool {
    matches!(
        store.txn(txn).await.unwrap(),
        TxnOutcome::GuardFailed { .. }
    )
}

async fn value(store: &impl Store, name: &str) -> Option<Bytes> {
    store
        .get(&key(name))
        .await
        .unwrap()
        .map(|entry| entry.value)
}

/// All entries whose keys begin with `name`, read page by page, in the order of the keys.
async fn entries(store: &impl Store, name: &str, at: Option<StoreRevision>) -> Vec<Entry> {
    let mut request = RangeRequest::new(prefix(name)).limit(2);
    request.at = at;
    let up = read(store, request.clone()).await;
    let mut down = read(store, request.descending()).await;
    down.reverse();
    assert_eq!(up, down);
    up
}

async fn read(store: &impl Store, mut request: RangeRequest) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let page = store.range(request.clone()).await.unwrap();
        let next = request.after(&page);
        entries.extend(page.entries);
        match next {
            Some(next) => request = next,
            None => return entries,
        }
    }
}

/// The same as pairs of text.
async fn pairs(store: &impl Store, name: &str, at: Option<StoreRevision>) -> Vec<(String, String)> {
    let entries = entries(store, name, at).await;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    entries
        .iter()
        .map(|entry| (text(entry.key.as_bytes()), text(&entry.value)))
        .collect()
}

fn as_pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
