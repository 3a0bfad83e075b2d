//! Tests of the repository: over the store in memory unless the disk is the point.

mod crash;
mod replicas;

use std::collections::BTreeSet;
use std::sync::Arc;

use agix_core::id::{AgentName, Revision};
use agix_core::policy::document::SourceFile;
use agix_core::policy::{Policy, RateLimits};
use agix_core::time::Wall;
use agix_core::units::RequestLimit;
use agix_proto::convert::{decode_delta, policy_hash};
use tempfile::TempDir;

use super::*;
use crate::store::keyspace::Key;
use crate::store::{Embedded, Memory, RangeRequest, Txn};

/// A policy with one limit for each of `agents` agents.
fn policy(agents: u32, limit: u32) -> Policy {
    let limits = RateLimits {
        requests_per_minute: RequestLimit::new(limit),
        ..RateLimits::default()
    };
    let name = |n: u32| AgentName::new(&format!("agent-{n}")).unwrap();
    Policy {
        rate_limits: (0..agents).map(|n| (name(n), limits)).collect(),
        ..Policy::default()
    }
}

fn intent(author: &str) -> Intent {
    Intent {
        author: author.to_owned(),
        message: format!("by {author}"),
        time: Wall::from_millis(1_700_000_000_000),
        expected: None,
        dry_run: false,
    }
}

fn proposal(policy: Policy, intent: Intent) -> Proposal {
    let sources = vec![SourceFile {
        name: "policy.yaml".to_owned(),
        text: format!("# {} agents\n", policy.rate_limits.len()),
    }];
    Proposal {
        policy: Arc::new(policy),
        sources,
        intent,
    }
}

async fn apply<S: Store>(repository: &Repository<S>, policy: Policy) -> Applied {
    let proposal = proposal(policy, intent("ann"));
    applied(repository.apply(proposal).await.unwrap())
}

fn applied(outcome: Outcome) -> Applied {
    match outcome {
        Outcome::Applied(applied) => applied,
        Outcome::Conflict(conflict) => panic!("{conflict:?}"),
    }
}

fn conflict(outcome: Outcome) -> Conflict {
    match outcome {
        Outcome::Conflict(conflict) => conflict,
        Outcome::Applied(applied) => panic!("{applied:?}"),
    }
}

/// Every chunk in the store.
async fn chunks(store: &impl Store) -> BTreeSet<String> {
    let request = RangeRequest::new(Key::policy_chunks()).keys_only();
    let page = store.range(request).await.unwrap();
    assert_eq!(page.next, None);
    page.entries
        .iter()
        .map(|entry| entry.key.to_string())
        .collect()
}

/// Checks that every revision in the history is there as a whole.
async fn check_history<S: Store>(repository: &Repository<S>) -> Vec<RevisionInfo> {
    let history = repository.history(500, None).await.unwrap();
    assert!(!history.more);
    for info in &history.revisions {
        let loaded = repository.load(info.revision).await.unwrap();
        assert_eq!(loaded.info(), info);
        assert_eq!(policy_hash(loaded.policy()), info.hash);
        let sources = repository.sources(info.revision).await.unwrap();
        let agents = loaded.policy().rate_limits.len();
        assert_eq!(sources[0].text, format!("# {agents} agents\n"));
    }
    history.revisions
}

fn numbers(revisions: &[RevisionInfo]) -> Vec<u64> {
    revisions
        .iter()
        .map(|info| info.revision.number())
        .collect()
}

#[tokio::test]
async fn an_applied_policy_is_current_and_complete() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    assert!(repository.current().is_none());
    let mut updates = repository.subscribe();
    let first = apply(&repository, policy(3, 10)).await;
    assert_eq!(first.previous, Revision::NONE);
    assert!(!first.unchanged);
    let RevisionInfo {
        revision,
        author,
        message,
        changed,
        removed,
        total,
        ..
    } = first.current.clone();
    assert_eq!(
        (revision, author, message),
        (Revision::new(1), "ann".into(), "by ann".into())
    );
    assert_eq!((changed, removed, total), (3, 0, 3));
    updates.changed().await.unwrap();
    let current = repository.current().unwrap();
    assert_eq!(current.info(), &first.current);
    assert_eq!(**current.policy(), policy(3, 10));

    let second = apply(&repository, policy(2, 10)).await.current;
    assert_eq!((second.changed, second.removed, second.total), (0, 1, 2));
    assert_eq!(numbers(&check_history(&repository).await), [2, 1]);
}

#[tokio::test]
async fn an_unchanged_policy_makes_no_revision() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    apply(&repository, policy(3, 10)).await;
    let again = apply(&repository, policy(3, 10)).await;
    assert!(again.unchanged && again.changes.is_empty());
    assert_eq!(
        (again.current.revision, again.previous),
        (Revision::new(1), Revision::new(1))
    );
    let nothing = Repository::open(Memory::default()).await.unwrap();
    let first = apply(&nothing, Policy::default()).await;
    assert!(
        !first.unchanged,
        "the first policy is a revision even if it is empty"
    );
}

#[tokio::test]
async fn the_next_revision_passes_a_proxy_that_is_ahead_of_a_replaced_store() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    apply(&repository, policy(3, 10)).await;
    repository.pass(Revision::new(7));
    let again = apply(&repository, policy(3, 10)).await;
    assert_eq!(again.current.revision, Revision::new(8));
    assert!(
        !again.unchanged,
        "the proxy has another policy until it takes this one"
    );
    let next = apply(&repository, policy(4, 10)).await;
    assert_eq!(next.current.revision, Revision::new(9));
    assert_eq!(numbers(&check_history(&repository).await), [9, 8, 1]);
}

#[tokio::test]
async fn a_leap_of_the_numbers_hides_nothing_and_keeps_nothing_too_long() {
    let repository = Repository::keeping(Memory::default(), 3).await.unwrap();
    apply(&repository, policy(1, 1)).await;
    apply(&repository, policy(2, 1)).await;
    repository.pass(Revision::new(500_000));
    apply(&repository, policy(3, 1)).await;
    assert_eq!(numbers(&check_history(&repository).await), [500_001, 2, 1]);
    let page = repository
        .history(1, Some(Revision::new(500_001)))
        .await
        .unwrap();
    assert_eq!((numbers(&page.revisions), page.more), (vec![2], true));
    apply(&repository, policy(4, 1)).await;
    assert_eq!(
        numbers(&check_history(&repository).await),
        [500_002, 500_001, 2]
    );
}

#[tokio::test]
async fn one_mad_proxy_does_not_use_up_the_numbers() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    repository.pass(Revision::new(u64::MAX));
    let first = apply(&repository, policy(3, 10)).await;
    assert_eq!(first.current.revision, Revision::new(1));
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let store = Memory::default();
    let repository = Repository::open(store.clone()).await.unwrap();
    apply(&repository, policy(3, 10)).await;
    let before = chunks(&store).await;
    let dry = Intent {
        dry_run: true,
        ..intent("bob")
    };
    let told = applied(
        repository
            .apply(proposal(policy(4, 10), dry))
            .await
            .unwrap(),
    );
    assert_eq!(
        (told.current.revision, told.current.changed),
        (Revision::new(2), 1)
    );
    assert_eq!(
        repository.current().unwrap().info().revision,
        Revision::new(1)
    );
    assert_eq!(chunks(&store).await, before);
    assert_eq!(check_history(&repository).await.len(), 1);
}

#[tokio::test]
async fn an_expected_revision_that_is_not_current_is_a_conflict() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    let expecting = |revision| Intent {
        expected: Some(Revision::new(revision)),
        ..intent("bob")
    };
    let attempt =
        |agents, revision| repository.apply(proposal(policy(agents, 1), expecting(revision)));
    let early = conflict(attempt(1, 1).await.unwrap());
    assert_eq!(
        (early.current, early.current_author.as_str()),
        (Revision::NONE, "")
    );
    applied(attempt(1, 0).await.unwrap());
    let late = conflict(attempt(2, 0).await.unwrap());
    assert_eq!(late.expected, Revision::NONE);
    assert_eq!(
        (late.current, late.current_author.as_str()),
        (Revision::new(1), "bob")
    );
    applied(attempt(2, 1).await.unwrap());
    let unchanged = conflict(attempt(2, 1).await.unwrap());
    assert_eq!(
        unchanged.current,
        Revision::new(2),
        "a conflict even if nothing would change"
    );
    assert_eq!(check_history(&repository).await.len(), 2);
}

#[tokio::test]
async fn a_rollback_is_a_new_revision_with_old_content() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    apply(&repository, policy(1, 1)).await;
    apply(&repository, policy(2, 2)).await;
    let back = |to, expected| Rollback {
        to: Revision::new(to),
        intent: Intent {
            expected,
            ..intent("eve")
        },
    };
    let third = applied(repository.rollback(back(1, None)).await.unwrap()).current;
    assert_eq!(
        (third.revision, third.rolled_back_to),
        (Revision::new(3), Some(Revision::new(1)))
    );
    assert_eq!(third.author, "eve");
    assert_eq!(**repository.current().unwrap().policy(), policy(1, 1));
    assert_eq!(numbers(&check_history(&repository).await), [3, 2, 1]);

    let same = applied(repository.rollback(back(3, None)).await.unwrap());
    assert!(same.unchanged);
    let stale = back(2, Some(Revision::new(2)));
    assert_eq!(
        conflict(repository.rollback(stale).await.unwrap()).current,
        Revision::new(3)
    );
    let missing = repository.rollback(back(9, None)).await.unwrap_err();
    assert_eq!(missing.to_string(), "there is no revision 9");
}

#[tokio::test]
async fn history_comes_in_pages_newest_first() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    assert_eq!(repository.history(5, None).await.unwrap().revisions, []);
    for limit in 1..=7 {
        apply(&repository, policy(1, limit)).await;
    }
    let page = |limit, before: Option<u64>| {
        let repository = repository.clone();
        async move {
            let page = repository
                .history(limit, before.map(Revision::new))
                .await
                .unwrap();
            (numbers(&page.revisions), page.more)
        }
    };
    assert_eq!(page(3, None).await, (vec![7, 6, 5], true));
    assert_eq!(page(3, Some(5)).await, (vec![4, 3, 2], true));
    assert_eq!(page(3, Some(2)).await, (vec![1], false));
    assert_eq!(page(7, None).await, (vec![7, 6, 5, 4, 3, 2, 1], false));
    assert_eq!(page(3, Some(100)).await, (vec![7, 6, 5], true));
    assert_eq!(page(3, Some(1)).await, (vec![], false));
    assert_eq!(page(3, Some(0)).await, (vec![], false));
}

#[tokio::test]
async fn old_revisions_leave_and_their_chunks_are_collected() {
    let store = Memory::default();
    let repository = Repository::keeping(store.clone(), 3).await.unwrap();
    for limit in 1..=6 {
        apply(&repository, policy(limit, limit)).await;
    }
    assert_eq!(numbers(&check_history(&repository).await), [6, 5, 4]);
    let gone = repository.load(Revision::new(3)).await.unwrap_err();
    assert!(matches!(gone, LoadError::NoSuchRevision(_)));
    assert_eq!(
        chunks(&store).await.len(),
        12,
        "a chunk for each policy and its source"
    );
    assert_eq!(repository.collect().await.unwrap(), Collected::Deleted(6));
    assert_eq!(chunks(&store).await.len(), 6);
    assert_eq!(repository.collect().await.unwrap(), Collected::Deleted(0));
    assert_eq!(numbers(&check_history(&repository).await), [6, 5, 4]);
    assert_eq!(
        apply(&repository, policy(1, 1)).await.current.revision,
        Revision::new(7)
    );
}

#[tokio::test]
async fn revisions_share_the_chunks_they_have_in_common() {
    let store = Memory::default();
    let repository = Repository::open(store.clone()).await.unwrap();
    let large = policy(60_000, 10);
    apply(&repository, large.clone()).await;
    let before = chunks(&store).await;
    assert!(before.len() > 8, "{} chunks", before.len());
    let mut changed = large;
    let name = AgentName::new("agent-31415").unwrap();
    changed
        .rate_limits
        .get_mut(&name)
        .unwrap()
        .requests_per_minute = RequestLimit::new(11);
    apply(&repository, changed.clone()).await;
    let added = chunks(&store).await.difference(&before).count();
    assert!(added <= 2, "{added} new chunks for one changed agent");

    let current = repository.current().unwrap();
    let base = repository
        .load(Revision::new(1))
        .await
        .unwrap()
        .info()
        .version();
    let delta = repository.delta(base, &current).await.unwrap();
    assert!(
        delta.len() < 100,
        "{} bytes for one changed agent",
        delta.len()
    );
    assert_eq!(decode_delta(&delta).unwrap().upserts.len(), 1);

    let reopened = Repository::open(store).await.unwrap();
    assert_eq!(**reopened.current().unwrap().policy(), changed);
    let current = reopened.current().unwrap();
    assert_eq!(reopened.delta(base, &current).await.unwrap(), delta);
}

#[tokio::test]
async fn a_delta_is_made_only_from_what_the_history_holds() {
    let repository = Repository::open(Memory::default()).await.unwrap();
    let first = apply(&repository, policy(50, 1)).await.current.version();
    let second = apply(&repository, policy(51, 1)).await.current.version();
    let current = repository.current().unwrap();
    assert!(repository.holds(first).await && repository.holds(second).await);
    assert!(repository.delta(first, &current).await.is_some());
    let unknown = [
        agix_core::sync::Version {
            revision: Revision::new(9),
            ..first
        },
        agix_core::sync::Version {
            hash: second.hash,
            ..first
        },
    ];
    for version in unknown {
        assert!(!repository.holds(version).await);
    }
    let fresh = Repository::open(repository.inner.store.clone())
        .await
        .unwrap();
    let current = fresh.current().unwrap();
    assert!(fresh.delta(unknown[1], &current).await.is_none());
    apply(&fresh, policy(1, 7)).await;
    let current = fresh.current().unwrap();
    assert!(
        fresh.delta(second, &current).await.is_none(),
        "the snapshot is smaller"
    );
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let before = {
        let store = Embedded::open(directory.path()).await.unwrap();
        let repository = Repository::open(store).await.unwrap();
        apply(&repository, policy(2_000, 1)).await;
        apply(&repository, policy(2_000, 2)).await;
        check_history(&repository).await
    };
    let store = Embedded::open(directory.path()).await.unwrap();
    let repository = Repository::open(store).await.unwrap();
    assert_eq!(check_history(&repository).await, before);
    assert_eq!(**repository.current().unwrap().policy(), policy(2_000, 2));
    assert_eq!(
        apply(&repository, policy(1, 1)).await.current.revision,
        Revision::new(3)
    );
}

#[tokio::test]
async fn a_damaged_chunk_is_an_error_that_says_so() {
    let store = Memory::default();
    let repository = Repository::open(store.clone()).await.unwrap();
    apply(&repository, policy(3, 1)).await;
    let page = store
        .range(RangeRequest::new(Key::policy_chunks()))
        .await
        .unwrap();
    for entry in page.entries {
        let mut value = entry.value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        store.txn(Txn::new().put(&entry.key, value)).await.unwrap();
    }
    let error = Repository::open(store).await.unwrap_err();
    assert_eq!(error.to_string(), "revision 1 is damaged in the store");
    assert!(matches!(
        error,
        LoadError::Damaged {
            damage: Damage::Chunk { .. },
            ..
        }
    ));
}

impl Repository<Memory> {
    /// A repository whose current policy is this one.
    pub(crate) async fn of(policy: Policy) -> Self {
        let repository = Self::open(Memory::default()).await.unwrap();
        apply(&repository, policy).await;
        repository
    }
}
