//! Snapshots and the logs that go on from them; batches of any size; what is damaged.

use agix_core::ledger::{Batch, ClockMark, Entry, LedgerTime};
use agix_core::limits::LEDGER_SNAPSHOT_PART_BYTES;
use agix_core::quota::Terms;

use super::*;
use crate::ledger::commit::LogWriter;
use crate::owned::Owned;
use crate::store::flaky::{Fault, Flaky};
use crate::store::{Guard, KeyRange, RangeRequest, Txn};

/// Transactions of a snapshot of two or three parts, and one more.
const STEPS: usize = 8;

/// An owner of a log, without the ownership.
fn writer<S: Store>(store: &S) -> LogWriter<S> {
    LogWriter {
        owned: Owned {
            store: store.clone(),
            what: "a log",
            fence: Guard::Absent(Key::ShardOwner(SHARD).encode()),
            stop: CancellationToken::new(),
        },
        shard: SHARD,
    }
}

/// Names that do not compress well.
fn many_agents(number: u64, count: u32) -> Batch {
    let mut random = fastrand::Rng::with_seed(number);
    let entries = (0..count).map(|_| {
        let name = format!("{:032x}{:032x}", random.u128(..), random.u128(..));
        Entry::Terms {
            agent: AgentName::new(&name).unwrap(),
            terms: Terms {
                requests_per_minute: Some(random.u64(..)),
                ..Terms::default()
            },
        }
    });
    Batch {
        number,
        at: LedgerTime::from_nanos(number),
        clock: ClockMark::default(),
        entries: entries.collect(),
    }
}

async fn keys<S: Store>(store: &S, range: KeyRange) -> usize {
    let request = RangeRequest::new(range).keys_only();
    store.range(request).await.unwrap().entries.len()
}

#[tokio::test]
async fn a_snapshot_and_the_log_after_it_add_up_to_the_whole_log() {
    let store = Memory::default();
    let log = writer(&store);
    let mut whole = Books::default();
    for number in 1..=40 {
        let batch = many_agents(number, 3);
        whole.replay(&batch).unwrap();
        log.append(&batch).await.unwrap();
        if number % 7 == 0 {
            let made = snapshot::write(&log, stored(&store).await.books)
                .await
                .unwrap();
            assert_eq!(made.batch, number);
        }
        let loaded = stored(&store).await;
        assert_eq!(loaded.books, whole);
        assert_eq!(loaded.batches, number % 7, "only the tail is replayed");
    }
    assert_eq!(keys(&store, Key::shard_log_until(SHARD, 35)).await, 0);
    assert_eq!(keys(&store, Key::shard_snapshots(SHARD)).await, 1);
}

#[tokio::test]
async fn the_driver_keeps_the_log_short() {
    let store = Memory::default();
    let plane = Plane::start(store.clone(), "one", 3_000).await;
    let mut proxy = Proxy::new(&plane, "one").await.unwrap();
    let mut batches = 0;
    while batches < 150 || keys(&store, Key::shard_log_from(SHARD, 0)).await == batches {
        assert!(proxy.step().await);
        batches += 1;
        assert!(batches < 10_000, "no snapshot is written");
    }
    let verified = check(&store, &plane).await;
    assert!(verified.snapshot_batch > 0 && verified.replayed_from_snapshot());
    proxy.check(&stored(&store).await.books);
    plane.stopped().await;
}

#[tokio::test]
async fn a_verification_beside_the_work_finds_nothing_wrong() {
    let store = Memory::default();
    let plane = Plane::start(store.clone(), "one", 3_000).await;
    let mut proxy = Proxy::new(&plane, "one").await.unwrap();
    let work = async {
        for _ in 0..200 {
            assert!(proxy.step().await);
        }
    };
    let watch = async {
        let (mut seen, mut snapshots) = (0, 0);
        for _ in 0..40 {
            let verified = verify(store.clone(), SHARD, &plane.desk).await.unwrap();
            assert_eq!(verified.findings, []);
            assert!(verified.replayed_from_snapshot() && verified.last_batch >= seen);
            snapshots += u64::from(verified.snapshot_batch > 0);
            seen = verified.last_batch;
        }
        assert!(seen > 0 && snapshots > 0);
    };
    tokio::join!(work, watch);
    plane.stopped().await;
}

impl Verification {
    fn replayed_from_snapshot(&self) -> bool {
        self.snapshot_batch + self.batches == self.last_batch
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_value_is_there_as_a_whole_or_not_at_all() {
    let batch = many_agents(1, 25_000);
    let stored_as = record::StoredBatch::new(codec::encode_batch(&batch).into()).unwrap();
    let values = stored_as.parts.len() + 1;
    assert!(values > 2, "{values}");
    let mut whole = Books::default();
    whole.replay(&batch).unwrap();
    let mut appended = 0;
    for step in 0..=values {
        let store = Memory::default();
        let flaky = Flaky::new(store.clone(), step, 1, Fault::DiesBefore);
        let dying = writer(&flaky);
        // Nobody would stop it but the end of its process.
        dying.owned.stop.cancel();
        appended += usize::from(dying.append(&batch).await.is_ok());
        let found = stored(&store).await.books;
        assert!(found == whole || found == Books::default());
        if found.number == 0 {
            // Its successor has another batch in that place, with fewer parts.
            let other = many_agents(1, 10);
            writer(&store).append(&other).await.unwrap();
            assert_eq!(stored(&store).await.books.agents.len(), 10);
            let log = writer(&store);
            snapshot::write(&log, stored(&store).await.books)
                .await
                .unwrap();
            assert_eq!(keys(&store, Key::shard_log_parts_until(SHARD, 1)).await, 0);
        }
    }
    assert_eq!(appended, 1, "only where nothing died");
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_a_snapshot_is_written_leaves_the_old_one_or_has_the_new_one() {
    let first = many_agents(1, 1_800);
    let second = many_agents(2, 1_800);
    let mut whole = Books::default();
    whole.replay(&first).unwrap();
    whole.replay(&second).unwrap();
    let mut made = 0;
    for fault in [Fault::DiesBefore, Fault::DiesAfter, Fault::Late] {
        for step in 0..STEPS {
            let store = Memory::default();
            let log = writer(&store);
            log.append(&first).await.unwrap();
            snapshot::write(&log, stored(&store).await.books)
                .await
                .unwrap();
            log.append(&second).await.unwrap();
            let flaky = Flaky::new(store.clone(), step, 1, fault);
            let crashing = writer(&flaky);
            if fault != Fault::Late {
                crashing.owned.stop.cancel();
            }
            let written = snapshot::write(&crashing, stored(&store).await.books).await;
            made += usize::from(written.is_ok());
            assert_eq!(stored(&store).await.books, whole, "{fault:?} at {step}");
            // Whatever was left behind is gone after the next one.
            snapshot::write(&log, stored(&store).await.books)
                .await
                .unwrap();
            let loaded = stored(&store).await;
            assert_eq!((loaded.books, loaded.batches), (whole.clone(), 0));
            let parts = usize::try_from(loaded.snapshot_bytes).unwrap();
            let parts = parts.div_ceil(LEDGER_SNAPSHOT_PART_BYTES);
            assert!(parts > 1 && keys(&store, Key::shard_snapshots(SHARD)).await == parts);
            assert_eq!(keys(&store, Key::shard_log_until(SHARD, u64::MAX)).await, 0);
        }
    }
    assert!(
        (STEPS..2 * STEPS).contains(&made),
        "{made} snapshots were made in spite of it"
    );
}

#[tokio::test]
async fn a_damaged_log_is_not_served_and_named() {
    let store = Memory::default();
    let log = writer(&store);
    for number in 1..=3 {
        log.append(&many_agents(number, 2)).await.unwrap();
    }
    let second = Key::ShardLog(SHARD, 2).encode();
    let third = Key::ShardLog(SHARD, 3).encode();
    let misplaced = store.get(&third).await.unwrap().unwrap().value;
    for (txn, says) in [
        (Txn::new().put(&second, "x"), "cut off"),
        (Txn::new().put(&second, misplaced), "it is batch 3"),
        (Txn::new().delete(&second), "batch 3 follows batch 1"),
    ] {
        store.txn(txn).await.unwrap();
        let error = Loaded::read(store.clone(), SHARD).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(says), "{error}: {cause}");
    }
}

#[tokio::test]
async fn books_that_are_not_what_the_log_says_are_found_out() {
    let store = Memory::default();
    let plane = Plane::start(store.clone(), "one", u64::MAX / 4).await;
    let mut proxy = Proxy::new(&plane, "one").await.unwrap();
    for _ in 0..5 {
        assert!(proxy.step().await);
    }
    check(&store, &plane).await;
    // Somebody takes the last batch for another one: it says that a little more was spent.
    let last = plane.books().await.number;
    let key = Key::ShardLog(SHARD, last).encode();
    let value = store.get(&key).await.unwrap().unwrap().value;
    let (_, encoded) = record::StoredBatch::read(&value).unwrap();
    let mut batch = codec::decode_batch(&encoded).unwrap();
    batch.entries.push(Entry::Adjusted {
        id: 1,
        agent: agent(0),
        day: proxy.accounts[&agent(0)].today.unwrap(),
        nanos: -5,
        author: "mallory".to_owned(),
        message: String::new(),
    });
    let forged = record::StoredBatch::new(codec::encode_batch(&batch).into()).unwrap();
    // As of the revision of the last commit the log is as it was; so the forger comes first.
    store.txn(Txn::new().put(&key, forged.main)).await.unwrap();
    assert!(proxy.step().await);
    let found = verify(store.clone(), SHARD, &plane.desk).await.unwrap();
    let what: Vec<_> = found
        .findings
        .iter()
        .map(|(_, it)| it.to_string())
        .collect();
    assert!(what.iter().any(|it| it.contains("agent-0")), "{what:?}");
    plane.stopped().await;
}
