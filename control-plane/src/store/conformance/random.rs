//! Random sequences of operations against an oracle that keeps every revision as a whole map.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Restart, Subject, entries, key, prefix};
use crate::store::{
    CommitError, Entry, Event, Guard, LeaseId, RangeError, RangeRequest, Store, StoreKey,
    StoreRevision, Txn, TxnOutcome, WatchEnd, Write,
};

/// Longer than a sequence takes, for stores that end leases by the time.
const LEASE: Duration = Duration::from_mins(10);

const KEYS: [&str; 5] = ["a", "b/", "b/1", "b/2", "c"];

/// One step. Numbers choose among what there is when the step is taken.
#[derive(Debug, Clone)]
enum Step {
    Txn {
        guards: Vec<(usize, u8, usize)>,
        writes: BTreeMap<usize, Option<(u8, Option<usize>)>>,
    },
    ReadAt(usize),
    WatchFrom(usize),
    Compact(usize),
    Grant,
    Revoke(usize),
    Restart(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let keys = 0..KEYS.len();
    let guard = (keys.clone(), 0..4_u8, any::<usize>());
    let value = proptest::option::weighted(
        0.7,
        (any::<u8>(), proptest::option::weighted(0.3, any::<usize>())),
    );
    let txn = (
        proptest::collection::vec(guard, 0..2),
        proptest::collection::btree_map(keys, value, 0..4),
    );
    prop_oneof![
        8 => txn.prop_map(|(guards, writes)| Step::Txn { guards, writes }),
        3 => any::<usize>().prop_map(Step::ReadAt),
        3 => any::<usize>().prop_map(Step::WatchFrom),
        1 => any::<usize>().prop_map(Step::Compact),
        1 => Just(Step::Grant),
        1 => any::<usize>().prop_map(Step::Revoke),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

/// What a store should be: all its revisions, each as a whole.
struct Oracle {
    revisions: Vec<BTreeMap<StoreKey, Entry>>,
    compacted: usize,
    granted: Vec<LeaseId>,
    live: BTreeSet<LeaseId>,
}

impl Oracle {
    fn head(&self) -> usize {
        self.revisions.len() - 1
    }

    fn now(&self) -> &BTreeMap<StoreKey, Entry> {
        &self.revisions[self.head()]
    }

    fn lease(&self, choice: usize) -> LeaseId {
        match self.granted.len() {
            0 => LeaseId::new(u64::MAX),
            count => self.granted[choice % count],
        }
    }

    fn request(&self, guards: &[(usize, u8, usize)], writes: &Writes) -> Txn {
        let guard = |&(name, kind, choice): &(usize, u8, usize)| {
            let key = key(KEYS[name]);
            // Half of the guards are made to hold, or nothing would ever get through.
            let entry = self.now().get(&key).filter(|_| choice % 2 == 0);
            let guess = StoreRevision::new((choice % (self.head() + 1)) as u64);
            match (kind, entry) {
                (0, _) => Guard::Absent(key),
                (1, entry) => Guard::Created(key, entry.map_or(guess, |entry| entry.created)),
                (2, entry) => Guard::Modified(key, entry.map_or(guess, |entry| entry.modified)),
                (_, Some(entry)) => Guard::Value(key, entry.value.clone()),
                (_, None) => Guard::Value(key, "other".into()),
            }
        };
        let txn = guards.iter().map(guard).fold(Txn::new(), Txn::only_if);
        writes.iter().fold(txn, |txn, (name, write)| {
            let key = key(KEYS[*name]);
            match write {
                None => txn.delete(&key),
                Some((value, None)) => txn.put(&key, vec![*value]),
                Some((value, Some(choice))) => {
                    txn.put_leased(&key, vec![*value], self.lease(*choice))
                }
            }
        })
    }

    /// What the transaction should do; `None`: be refused for its lease.
    fn txn(&mut self, txn: &Txn) -> Option<TxnOutcome> {
        let revision = StoreRevision::new(self.head() as u64);
        let holds = |guard: &Guard| match (guard, self.now().get(guard.key())) {
            (Guard::Absent(_), entry) => entry.is_none(),
            (Guard::Created(_, at), entry) => entry.is_some_and(|e| e.created == *at),
            (Guard::Modified(_, at), entry) => entry.is_some_and(|e| e.modified == *at),
            (Guard::Value(_, value), entry) => entry.is_some_and(|e| e.value == *value),
        };
        if !txn.guards().iter().all(holds) {
            return Some(TxnOutcome::GuardFailed { revision });
        }
        let mut after = self.now().clone();
        for write in txn.writes() {
            match write {
                Write::Delete(key) => drop(after.remove(key)),
                Write::Put { key, value, lease } => {
                    if lease.is_some_and(|lease| !self.live.contains(&lease)) {
                        return None;
                    }
                    let created = after.get(key).map_or(revision.next(), |e| e.created);
                    let entry = Entry {
                        key: key.clone(),
                        value: value.clone(),
                        created,
                        modified: revision.next(),
                        lease: *lease,
                    };
                    after.insert(key.clone(), entry);
                }
            }
        }
        self.push(after);
        Some(TxnOutcome::Committed {
            revision: StoreRevision::new(self.head() as u64),
        })
    }

    fn push(&mut self, after: BTreeMap<StoreKey, Entry>) {
        if after != *self.now() {
            self.revisions.push(after);
        }
    }

    fn end(&mut self, leases: &BTreeSet<LeaseId>) {
        let mut after = self.now().clone();
        after.retain(|_, entry| entry.lease.is_none_or(|lease| !leases.contains(&lease)));
        self.live.retain(|lease| !leases.contains(lease));
        self.push(after);
    }

    /// What a watch of `b/` from `from` should have seen by now.
    fn seen(&self, from: usize) -> Vec<(StoreRevision, Vec<Event>)> {
        let range = prefix("b/");
        let mut seen = Vec::new();
        for number in from.max(1)..self.revisions.len() {
            let (before, after) = (&self.revisions[number - 1], &self.revisions[number]);
            let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
            let changed = keys
                .into_iter()
                .filter(|key| range.contains(key) && before.get(*key) != after.get(*key));
            let events: Vec<_> = changed
                .map(|key| match after.get(key) {
                    Some(entry) => Event::Put(entry.clone()),
                    None => Event::Deleted(key.clone()),
                })
                .collect();
            if !events.is_empty() {
                seen.push((StoreRevision::new(number as u64), events));
            }
        }
        seen
    }
}

type Writes = BTreeMap<usize, Option<(u8, Option<usize>)>>;

/// Runs `cases` random sequences.
pub(super) fn check<T: Subject>(cases: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&proptest::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(run::<T>(steps));
            Ok(())
        })
        .unwrap();
}

async fn run<T: Subject>(steps: Vec<Step>) {
    let mut subject = T::fresh().await;
    let mut oracle = Oracle {
        revisions: vec![BTreeMap::new()],
        compacted: 0,
        granted: Vec::new(),
        live: BTreeSet::new(),
    };
    for step in steps {
        if let Step::Restart(killed) = step {
            let how = if killed {
                Restart::Killed
            } else {
                Restart::Orderly
            };
            subject = subject.restarted(how).await;
            if !T::LEASES_SURVIVE {
                oracle.end(&oracle.live.clone());
            }
        } else {
            take(subject.store(), &mut oracle, step).await;
        }
        let now: Vec<_> = oracle.now().values().cloned().collect();
        assert_eq!(entries(subject.store(), "", None).await, now);
    }
}

async fn take(store: &impl Store, oracle: &mut Oracle, step: Step) {
    match step {
        Step::Txn { guards, writes } => {
            let txn = oracle.request(&guards, &writes);
            let outcome = store.txn(txn.clone()).await;
            match oracle.txn(&txn) {
                Some(expected) => assert_eq!(outcome.unwrap(), expected),
                None => assert!(matches!(outcome, Err(CommitError::LeaseEnded))),
            }
        }
        Step::ReadAt(choice) => read(store, oracle, choice % (oracle.head() + 2)).await,
        Step::WatchFrom(choice) => watch(store, oracle, choice % (oracle.head() + 2)).await,
        Step::Compact(choice) => {
            let at = choice % (oracle.head() + 1);
            store.compact(StoreRevision::new(at as u64)).await.unwrap();
            oracle.compacted = oracle.compacted.max(at);
        }
        Step::Grant => {
            let lease = store.grant(LEASE).await.unwrap();
            assert!(!oracle.granted.contains(&lease), "a lease was named twice");
            oracle.granted.push(lease);
            oracle.live.insert(lease);
        }
        Step::Revoke(choice) => {
            let lease = oracle.lease(choice);
            let is_live = oracle.live.contains(&lease);
            assert_eq!(store.keep_alive(lease).await.is_ok(), is_live);
            assert_eq!(store.revoke(lease).await.is_ok(), is_live);
            oracle.end(&BTreeSet::from([lease]));
        }
        Step::Restart(_) => unreachable!("taken by the caller"),
    }
}

async fn read(store: &impl Store, oracle: &Oracle, at: usize) {
    let revision = StoreRevision::new(at as u64);
    if oracle.compacted <= at && at <= oracle.head() {
        let then: Vec<_> = oracle.revisions[at].values().cloned().collect();
        assert_eq!(entries(store, "", Some(revision)).await, then);
        return;
    }
    let request = RangeRequest::new(prefix("")).at(revision);
    match store.range(request).await.unwrap_err() {
        RangeError::Compacted { begins } => {
            assert_eq!(begins.number(), oracle.compacted as u64);
            assert!(at < oracle.compacted);
        }
        RangeError::Future { head } => assert_eq!(head.number(), oracle.head() as u64),
        error @ (RangeError::Unavailable(_) | RangeError::Sealed { .. }) => panic!("{error}"),
    }
}

async fn watch(store: &impl Store, oracle: &Oracle, from: usize) {
    match store
        .watch(prefix("b/"), StoreRevision::new(from as u64))
        .await
    {
        Ok(mut watch) => {
            for (revision, events) in oracle.seen(from) {
                let commit = watch.next().await.unwrap();
                assert_eq!((commit.revision, commit.events), (revision, events));
            }
        }
        Err(WatchEnd::Compacted { at }) => {
            assert_eq!(at.number(), oracle.compacted as u64);
            assert!(from <= oracle.compacted);
        }
        Err(end) => panic!("{end}"),
    }
}
