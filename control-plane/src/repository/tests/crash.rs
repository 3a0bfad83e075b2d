//! Faults at every step of an apply and of a collection.

use super::*;
use crate::store::flaky::{Fault, Flaky};

/// Enough for several batches of chunks.
fn incompressible(seed: u64) -> Policy {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut policy = Policy::default();
    for _ in 0..24_000 {
        let name = format!(
            "{:016x}{:016x}{:016x}",
            random.u64(..),
            random.u64(..),
            random.u64(..)
        );
        let limits = RateLimits {
            requests_per_minute: RequestLimit::new(random.u32(1..)),
            ..RateLimits::default()
        };
        policy
            .rate_limits
            .insert(AgentName::new(&name).unwrap(), limits);
    }
    policy
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_step_leaves_the_old_policy_or_the_new_one() {
    let new = incompressible(1);
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        for step in 0.. {
            let store = Memory::default();
            let repository = Repository::open(store.clone()).await.unwrap();
            apply(&repository, policy(1, 1)).await;

            let flaky = Flaky::new(store.clone(), step, 1, fault);
            let crashing = Repository::open(flaky.clone()).await.unwrap();
            let outcome = crashing.apply(proposal(new.clone(), intent("bob"))).await;
            if !flaky.happened() {
                assert!(outcome.is_ok() && step > 2, "only {step} steps");
                break;
            }
            assert!(outcome.is_err(), "{fault:?} at {step}: told as done");

            let after = Repository::open(store.clone()).await.unwrap();
            let revisions = numbers(&check_history(&after).await);
            let current = after.current().unwrap();
            if **current.policy() == new {
                assert_eq!(revisions, [2, 1]);
            } else {
                assert_eq!((revisions, &**current.policy()), (vec![1], &policy(1, 1)));
            }
            let next = apply(&after, policy(2, 2)).await.current.revision;
            after.collect().await.unwrap();
            assert_eq!(check_history(&after).await[0].revision, next);
            let used: BTreeSet<_> = used_chunks(&after).await;
            assert_eq!(
                chunks(&store).await,
                used,
                "{fault:?} at {step} left chunks behind"
            );
        }
    }
}

async fn used_chunks<S: Store>(repository: &Repository<S>) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for info in repository.history(500, None).await.unwrap().revisions {
        let loaded = repository.load(info.revision).await.unwrap();
        used.extend(
            loaded
                .chunks()
                .iter()
                .map(|id| Key::PolicyChunk(*id).encode().to_string()),
        );
    }
    used
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_settled_before_anyone_is_told() {
    for fault in [Fault::Lost, Fault::Silent, Fault::Late] {
        for (step, times) in [(0, 1), (0, 3), (1, 1), (1, 3)] {
            let store = Memory::default();
            let flaky = Flaky::new(store.clone(), step, times, fault);
            let repository = Repository::open(flaky.clone()).await.unwrap();
            let told = apply(&repository, policy(5, 1)).await.current;
            assert!(flaky.happened(), "{fault:?} at {step}");
            let after = Repository::open(store).await.unwrap();
            assert_eq!(check_history(&after).await, [told]);
            assert_eq!(
                apply(&repository, policy(6, 1)).await.previous,
                Revision::new(1)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_cannot_be_settled_is_told_as_unknown() {
    // The second transaction makes the revision; the first writes its chunks.
    for fault in [Fault::Lost, Fault::Silent] {
        let store = Memory::default();
        let flaky = Flaky::new(store.clone(), 1, usize::MAX, fault);
        let repository = Repository::open(flaky).await.unwrap();
        let proposal = proposal(policy(5, 1), intent("bob"));
        let error = repository.apply(proposal).await.unwrap_err();
        assert!(matches!(error, ApplyError::OutcomeUnknown(_)), "{error}");
        let after = Repository::open(store).await.unwrap();
        let stored = after.current().is_some();
        assert_eq!(stored, fault == Fault::Silent);
    }
}

#[tokio::test(start_paused = true)]
async fn chunks_that_cannot_be_written_change_nothing() {
    let store = Memory::default();
    let flaky = Flaky::new(store.clone(), 0, usize::MAX, Fault::Lost);
    let repository = Repository::open(flaky).await.unwrap();
    let error = repository
        .apply(proposal(policy(5, 1), intent("bob")))
        .await
        .unwrap_err();
    assert!(matches!(error, ApplyError::Store(_)), "{error}");
    assert!(error.to_string().contains("nothing was changed"));
    assert!(Repository::open(store).await.unwrap().current().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_crash_while_collecting_loses_nothing_in_use() {
    for fault in [
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::Lost,
        Fault::Silent,
        Fault::Late,
    ] {
        let store = Memory::default();
        let repository = Repository::keeping(store.clone(), 1).await.unwrap();
        apply(&repository, incompressible(1)).await;
        apply(&repository, policy(1, 1)).await;
        let flaky = Flaky::new(store.clone(), 0, 1, fault);
        drop(Repository::open(flaky).await.unwrap().collect().await);
        let after = Repository::open(store.clone()).await.unwrap();
        assert_eq!(numbers(&check_history(&after).await), [2]);
        apply(&after, incompressible(1)).await;
        after.collect().await.unwrap();
        check_history(&after).await;
    }
}
