//! What only a store in etcd can get wrong.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use agix_tests::etcd::{Member, cluster};
use etcd_client::Client;

use super::{InEtcd, Subject as _, committed, guard_failed, key, pairs, prefix, put, value};
use crate::store::{
    Acquired, CommitError, Etcd, EtcdAddress, Event, Fence, LeaseError, OpenEtcdError, Store,
    StoreRevision, Txn, TxnOutcome, WatchEnd,
};

/// The error and its causes, as a person sees them.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

async fn open(urls: &[String], prefix: &str) -> Result<Etcd, OpenEtcdError> {
    let address = format!("{}/{prefix}", urls.join(","));
    Etcd::open(&address.parse().unwrap()).await
}

/// Puts, and again if it is not known what became of it.
async fn put_for_sure(store: &Etcd, name: &str, text: &str) -> StoreRevision {
    loop {
        match store.txn(Txn::new().put(&key(name), text.to_owned())).await {
            Ok(TxnOutcome::Committed { revision }) => return revision,
            Ok(TxnOutcome::GuardFailed { .. }) => panic!("there is no guard"),
            Err(CommitError::Unavailable(_) | CommitError::OutcomeUnknown(_)) => {}
            Err(error) => panic!("{}", told(&error)),
        }
    }
}

#[tokio::test]
async fn stores_of_other_prefixes_do_not_see_each_other() {
    let member = Member::alone(&[]).await;
    let one = open(&[member.url()], "one").await.unwrap();
    let other = open(&[member.url()], "one/more").await.unwrap();
    let from = put(&one, "a", "1").await;
    let mut watch = one.watch(prefix(""), from).await.unwrap();
    put(&other, "a", "2").await;
    let last = put(&one, "z", "3").await;
    assert_eq!(pairs(&one, "a", None).await, super::as_pairs(&[("a", "1")]));
    assert_eq!(value(&other, "a").await.unwrap(), "2");
    assert_eq!(value(&other, "z").await, None);
    assert_eq!(watch.next().await.unwrap().revision, from);
    assert_eq!(watch.next().await.unwrap().revision, from.next());
    assert_eq!(watch.next().await.unwrap().revision, last);
}

#[tokio::test]
async fn a_lease_that_nobody_keeps_ends_and_its_owner_can_write_nothing() {
    let subject = InEtcd::fresh().await;
    let store = subject.store();
    let ttl = Duration::from_secs(1);
    let acquired = Fence::acquire(store.clone(), key("owner"), "old".into(), ttl).await;
    let Acquired::Held(old) = acquired.unwrap() else {
        panic!("nobody else is there");
    };
    let mut watch = store
        .watch(prefix("owner"), old.term().next())
        .await
        .unwrap();
    let ended = watch.next().await.unwrap();
    assert_eq!(ended.events, [Event::Deleted(key("owner"))]);
    assert!(matches!(old.keep_alive().await, Err(LeaseError::Ended)));
    let acquired = Fence::acquire(store.clone(), key("owner"), "new".into(), ttl).await;
    let Acquired::Held(new) = acquired.unwrap() else {
        panic!("the old owner is gone");
    };
    assert!(new.term() > old.term());
    let late = Txn::new().only_if(old.guard()).put(&key("book"), "late");
    assert!(guard_failed(store, late).await);
    assert_eq!(value(store, "book").await, None);
}

#[tokio::test]
async fn a_member_that_hangs_or_dies_is_left_for_another() {
    let mut members = cluster(3, &[]).await;
    let urls: Vec<_> = members.iter().map(Member::url).collect();
    let store = open(&urls, "agix").await.unwrap();
    let lease = store.grant(Duration::from_secs(60)).await.unwrap();
    put(&store, "a", "0").await;
    members[0].pause();
    let hung = store.txn(Txn::new().put(&key("a"), "1")).await.unwrap_err();
    assert!(
        matches!(hung, CommitError::OutcomeUnknown(_)),
        "{}",
        told(&hung)
    );
    assert!(told(&hung).contains(&urls[0]), "{}", told(&hung));
    put_for_sure(&store, "a", "2").await;
    store.keep_alive(lease).await.unwrap();
    assert_eq!(value(&store, "a").await.unwrap(), "2");
    members[0].resume();
    members[1].kill();
    put_for_sure(&store, "a", "3").await;
    assert_eq!(value(&store, "a").await.unwrap(), "3");
    members[1].start_again().await;
}

#[tokio::test]
async fn a_watch_of_a_member_that_dies_ends_and_says_so() {
    let mut subject = InEtcd::fresh().await;
    let from = put(subject.store(), "a", "1").await;
    let mut watch = subject.store().watch(prefix(""), from).await.unwrap();
    assert_eq!(watch.next().await.unwrap().revision, from);
    subject.member.kill();
    let end = watch.next().await.unwrap_err();
    assert!(matches!(end, WatchEnd::Unavailable(_)), "{end}");
    subject.member.start_again().await;
    let second = put_for_sure(subject.store(), "a", "2").await;
    let mut again = subject.store().watch(prefix(""), from).await.unwrap();
    assert_eq!(again.next().await.unwrap().revision, from);
    assert!(again.next().await.unwrap().revision <= second);
}

#[tokio::test]
async fn a_cluster_that_is_full_answers_reads_and_says_what_to_do() {
    let member = Member::alone(&["--quota-backend-bytes", "4194304"]).await;
    let store = open(&[member.url()], "agix").await.unwrap();
    put(&store, "a", "1").await;
    let lease = store.grant(Duration::from_secs(60)).await.unwrap();
    let refused = loop {
        let large = Txn::new().put(&key("large"), vec![0_u8; 512 * 1024]);
        if let Err(error) = store.txn(large).await {
            break error;
        }
    };
    assert!(
        matches!(refused, CommitError::Unavailable(_)),
        "{}",
        told(&refused)
    );
    assert!(
        told(&refused).contains("etcdctl alarm disarm"),
        "{}",
        told(&refused)
    );
    let refused = store.grant(Duration::from_secs(60)).await.unwrap_err();
    assert!(
        told(&refused).contains("etcd is full"),
        "{}",
        told(&refused)
    );
    assert_eq!(value(&store, "a").await.unwrap(), "1");
    store.keep_alive(lease).await.unwrap();
}

#[tokio::test]
async fn a_store_nobody_serves_is_not_opened() {
    let refused = open(&["http://127.0.0.1:1".to_owned()], "agix")
        .await
        .unwrap_err();
    assert!(
        told(&refused).contains("http://127.0.0.1:1"),
        "{}",
        told(&refused)
    );
}

#[tokio::test]
async fn a_cluster_with_users_lets_in_who_has_the_password() {
    let member = Member::alone(&[]).await;
    let mut client = Client::connect([member.url()], None).await.unwrap();
    client.user_add("root", "sesame", None).await.unwrap();
    client.role_add("root").await.unwrap();
    client.user_grant_role("root", "root").await.unwrap();
    client.auth_enable().await.unwrap();
    let mut address: EtcdAddress = member.url().parse().unwrap();
    for user in [None, Some("wrong")] {
        address.access.user = user.map(|word| ("root".to_owned(), word.to_owned()));
        let refused = Etcd::open(&address).await.unwrap_err();
        assert!(!told(&refused).contains("sesame"));
    }
    address.access.user = Some(("root".to_owned(), "sesame".to_owned()));
    let store = Etcd::open(&address).await.unwrap();
    let revision = committed(&store, Txn::new().put(&key("a"), "1")).await;
    assert_eq!(
        store.get(&key("a")).await.unwrap().unwrap().modified,
        revision
    );
}

#[tokio::test]
async fn a_cluster_with_tls_is_reached_with_the_certificates_it_asks_for_alone() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/conformance/etcd");
    let file = |name: &str| directory.join(name);
    let named = |name: &str| file(name).to_str().unwrap().to_owned();
    let (ca, member, key_file) = (
        named("ca.pem"),
        named("member.pem"),
        named("member.key.pem"),
    );
    let options = [
        "--trusted-ca-file",
        &ca,
        "--cert-file",
        &member,
        "--key-file",
        &key_file,
    ];
    let member = Member::alone(&[&options[..], &["--client-cert-auth"]].concat()).await;
    let mut address: EtcdAddress = member.tls_url().unwrap().parse().unwrap();
    // Vouched for by nobody we trust.
    address.access.ca = Some(file("member.pem"));
    Etcd::open(&address).await.unwrap_err();
    // Without a certificate of our own.
    address.access.ca = Some(file("ca.pem"));
    Etcd::open(&address).await.unwrap_err();
    address.access.identity = Some((file("client.pem"), file("client.key.pem")));
    let store = Etcd::open(&address).await.unwrap();
    put(&store, "a", "1").await;
    assert_eq!(value(&store, "a").await.unwrap(), "1");
}
