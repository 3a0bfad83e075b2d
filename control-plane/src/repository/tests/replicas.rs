//! Several control planes over one store.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::flaky::Flaky;

#[tokio::test]
async fn of_racing_replicas_all_get_a_revision_of_their_own() {
    const REPLICAS: u32 = 3;
    const EACH: u32 = 5;
    let store = Memory::default();
    let mut racers = JoinSet::new();
    for replica in 0..REPLICAS {
        let repository = Repository::open(store.clone()).await.unwrap();
        racers.spawn(async move {
            let mut made = Vec::new();
            for n in 0..EACH {
                // Each policy is unlike all others, or it might be the current one already.
                let policy = policy(1, 1 + replica * EACH + n);
                made.push(apply(&repository, policy).await.current.revision.number());
                tokio::task::yield_now().await;
            }
            made
        });
    }
    let mut made: Vec<u64> = racers.join_all().await.into_iter().flatten().collect();
    made.sort_unstable();
    assert_eq!(made, (1..=u64::from(REPLICAS * EACH)).collect::<Vec<_>>());
    let after = Repository::open(store).await.unwrap();
    assert_eq!(check_history(&after).await.len(), made.len());
}

#[tokio::test]
async fn of_racing_swaps_exactly_one_wins() {
    let store = Memory::default();
    let mut racers = JoinSet::new();
    for replica in 0..4 {
        let repository = Repository::open(store.clone()).await.unwrap();
        racers.spawn(async move {
            let intent = Intent {
                expected: Some(Revision::NONE),
                ..intent("racer")
            };
            let proposal = proposal(policy(1, 1 + replica), intent);
            matches!(
                repository.apply(proposal).await.unwrap(),
                Outcome::Applied(_)
            )
        });
    }
    let won = racers
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_replica_takes_over_what_another_applied() {
    let store = Memory::default();
    let one = Repository::open(store.clone()).await.unwrap();
    let other = Repository::open(store).await.unwrap();
    let mut seen = other.subscribe();
    let following = async {
        tokio::select! {
            () = other.follow(CancellationToken::new()) => panic!("nobody stopped it"),
            () = async {
                for revision in 1..=3 {
                    seen.wait_for(|it| {
                        it.as_ref().is_some_and(|it| it.info().revision >= Revision::new(revision))
                    })
                    .await
                    .unwrap();
                }
            } => {}
        }
    };
    let applying = async {
        for limit in 1..=3 {
            apply(&one, policy(2, limit)).await;
        }
    };
    tokio::join!(following, applying);
    assert_eq!(
        other.current().unwrap().info(),
        one.current().unwrap().info()
    );
    assert_eq!(**other.current().unwrap().policy(), policy(2, 3));
}

#[tokio::test]
async fn collecting_beside_applying_never_takes_what_is_used() {
    let store = Memory::default();
    let slow = Flaky::interrupting(store.clone());
    let applying = Repository::keeping(slow.clone(), 2).await.unwrap();
    let collecting = Repository::keeping(slow, 2).await.unwrap();
    let apply_all = async {
        for round in 0..150 {
            // The same few policies again and again, so that chunks come, go and come back.
            apply(&applying, policy(3, 1 + round % 4)).await;
            let fresh = Repository::open(store.clone()).await.unwrap();
            check_history(&fresh).await;
        }
    };
    let collect_all = async {
        for _ in 0..400 {
            collecting.collect().await.unwrap();
        }
    };
    tokio::join!(apply_all, collect_all);
    collecting.collect().await.unwrap();
    assert_eq!(check_history(&applying).await.len(), 2);
    assert_eq!(
        chunks(&store).await.len(),
        3,
        "two policies and the source they share"
    );
}
