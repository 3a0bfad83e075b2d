//! What only a store in a file can get wrong.

use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::{InFile, Restart, Subject, put, value};
use crate::store::{CommitError, Embedded, OpenEmbeddedError, Store as _, Txn, WatchEnd};

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

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_file_and_its_directory_are_for_their_owner_alone() {
    let parent = TempDir::new().unwrap();
    let directory = parent.path().join("a/b");
    let store = Embedded::open(&directory).await.unwrap();
    let file = InFile::path(&directory);
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    drop(store);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let _store = Embedded::open(&directory).await.unwrap();
    assert_eq!(mode(&file), 0o600);
}

#[tokio::test]
async fn a_second_opening_is_refused_and_the_first_goes_on() {
    let first = InFile::fresh().await;
    let refused = Embedded::open(first.directory.path()).await.unwrap_err();
    assert!(matches!(refused, OpenEmbeddedError::InUse { .. }));
    assert!(refused.to_string().contains("in use by another process"));
    put(first.store(), "a", "1").await;
    assert_eq!(value(first.store(), "a").await.unwrap(), "1");
}

#[tokio::test]
async fn a_closed_store_can_be_opened_again_and_says_so_to_who_still_uses_it() {
    let InFile { store, directory } = InFile::fresh().await;
    let from = put(&store, "a", "1").await;
    let mut watch = store.watch(super::prefix("b"), from).await.unwrap();
    store.close().await;
    let again = Embedded::open(directory.path()).await.unwrap();
    put(&again, "b", "1").await;
    assert!(matches!(watch.next().await.unwrap_err(), WatchEnd::Closed));
    let refused = store.get(&super::key("a")).await.unwrap_err();
    assert_eq!(
        told(&refused),
        "the store cannot be read: the store is closed"
    );
    let refused = store
        .txn(Txn::new().delete(&super::key("a")))
        .await
        .unwrap_err();
    assert!(matches!(refused, CommitError::Unavailable(_)));
    store.close().await;
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_as_it_is() {
    let directory = TempDir::new().unwrap();
    let file = InFile::path(directory.path());
    let content = "something else entirely\n".repeat(1000);
    fs::write(&file, &content).unwrap();
    let refused = Embedded::open(directory.path()).await.unwrap_err();
    assert!(
        matches!(refused, OpenEmbeddedError::Foreign { .. }),
        "{}",
        told(&refused)
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), content);

    fs::remove_file(&file).unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("theirs");
    let database = redb::Database::create(&file).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(table).unwrap();
    txn.commit().unwrap();
    drop(database);
    let refused = Embedded::open(directory.path()).await.unwrap_err();
    assert!(
        matches!(refused, OpenEmbeddedError::Foreign { .. }),
        "{}",
        told(&refused)
    );
}

#[tokio::test]
async fn a_later_schema_is_refused() {
    let InFile { store, directory } = InFile::fresh().await;
    drop(store);
    let table = redb::TableDefinition::<&str, u64>::new("meta");
    let database = redb::Database::create(InFile::path(directory.path())).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(table).unwrap().insert("schema", 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    let refused = Embedded::open(directory.path()).await.unwrap_err();
    assert!(matches!(
        refused,
        OpenEmbeddedError::Schema { found: 2, .. }
    ));
}

#[tokio::test]
async fn a_torn_or_overwritten_file_is_an_error_never_wrong_data() {
    let subject = InFile::fresh().await;
    for n in 0..50 {
        put(subject.store(), &format!("key/{n}"), &"value".repeat(50)).await;
    }
    let InFile { store, directory } = subject;
    drop(store);
    let whole = fs::read(InFile::path(directory.path())).unwrap();
    let expected = {
        let store = Embedded::open(directory.path()).await.unwrap();
        super::pairs(&store, "key/", None).await
    };
    let cuts = [1, 7, 512, 4096, whole.len() / 2, whole.len() - 1];
    let torn = cuts.iter().map(|cut| whole[..*cut].to_vec());
    let overwritten = (0..whole.len()).step_by(whole.len() / 40).map(|at| {
        let mut bytes = whole.clone();
        for byte in bytes.iter_mut().skip(at).take(64) {
            *byte ^= 0xa5;
        }
        bytes
    });
    let mut refused = 0;
    for bytes in torn.chain(overwritten) {
        let directory = TempDir::new().unwrap();
        fs::write(InFile::path(directory.path()), &bytes).unwrap();
        match Embedded::open(directory.path()).await {
            Ok(store) => assert_eq!(super::pairs(&store, "key/", None).await, expected),
            Err(error) => {
                assert!(!told(&error).contains("panic"), "{}", told(&error));
                refused += 1;
            }
        }
    }
    assert!(refused >= cuts.len() / 2, "only {refused} refused");
}

#[tokio::test]
async fn a_process_killed_while_it_made_the_store_leaves_a_usable_one() {
    let directory = TempDir::new().unwrap();
    fs::write(InFile::path(directory.path()), b"").unwrap();
    drop(Embedded::open(directory.path()).await.unwrap());

    let directory = TempDir::new().unwrap();
    drop(redb::Database::create(InFile::path(directory.path())).unwrap());
    let store = Embedded::open(directory.path()).await.unwrap();
    put(&store, "a", "1").await;
    let subject = InFile { store, directory };
    let subject = subject.restarted(Restart::Killed).await;
    assert_eq!(value(subject.store(), "a").await.unwrap(), "1");
}
