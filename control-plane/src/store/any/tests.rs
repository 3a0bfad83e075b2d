//! What a sealed store keeps, whatever is below it.

use agix_core::limits::{STORE_TXN_BYTES, STORE_VALUE_BYTES};
use agix_core::webhook::execution::ExecutionId;

use super::*;
use crate::store::Write;
use crate::store::keyspace::ChunkId;

/// Form, name of the key, nonce and tag.
const SEAL_BYTES: usize = 1 + 8 + 12 + 16;
const OLD: &str = "11111111111111111111111111111111111111111111111111111111111111aa";
const NEW: &str = "22222222222222222222222222222222222222222222222222222222222222bb";

fn over(backend: &RawStore, keys: Option<&str>) -> AnyStore {
    AnyStore {
        raw: backend.clone(),
        seal: keys.map(|keys| keys.parse().unwrap()),
    }
}

fn secret_keys() -> [StoreKey; 3] {
    let id = ExecutionId::from_bits(7);
    [
        Key::PolicyChunk(ChunkId::new([7; 32])).encode(),
        Key::WebhookPayload(id).encode(),
        Key::WebhookResult(id).encode(),
    ]
}

async fn put(store: &AnyStore, key: &StoreKey, value: &[u8]) {
    let txn = Txn::new().put(key, value.to_vec());
    let outcome = store.txn(txn).await.unwrap();
    assert!(matches!(outcome, TxnOutcome::Committed { .. }));
}

async fn stored(backend: &RawStore, key: &StoreKey) -> Bytes {
    let page = backend.range(RangeRequest::new(KeyRange::one(key))).await;
    page.unwrap().entries.remove(0).value
}

#[tokio::test]
async fn what_may_hold_secrets_is_sealed_and_read_as_it_was_written() {
    let backend = RawStore::Memory(Memory::default());
    let store = over(&backend, Some(NEW));
    for key in secret_keys() {
        put(&store, &key, b"hunter2").await;
        assert_eq!(store.get(&key).await.unwrap().unwrap().value, "hunter2");
        let stored = stored(&backend, &key).await;
        assert_eq!(stored.len(), "hunter2".len() + SEAL_BYTES);
        assert!(!stored.windows(7).any(|some| some == b"hunter2"));
    }
    let head = Key::PolicyHead.encode();
    put(&store, &head, b"not secret").await;
    assert_eq!(stored(&backend, &head).await, "not secret");
}

#[tokio::test]
async fn a_value_moved_to_another_key_does_not_open() {
    let backend = RawStore::Memory(Memory::default());
    let store = over(&backend, Some(NEW));
    let [one, other, _] = secret_keys();
    put(&store, &one, b"hunter2").await;
    let moved = Txn::new().put(&other, stored(&backend, &one).await);
    backend.txn(moved).await.unwrap();
    let refused = store.get(&other).await.unwrap_err();
    assert!(matches!(refused, RangeError::Sealed { key, .. } if key == other));
}

#[tokio::test]
async fn an_unsealed_store_opens_and_everything_is_sealed_anew_with_the_first_key() {
    let backend = RawStore::Memory(Memory::default());
    let [plain, old, gone] = secret_keys();
    put(&over(&backend, None), &plain, b"\0plain").await;
    put(&over(&backend, Some(OLD)), &old, b"\0old").await;
    let store = over(&backend, Some(&format!("{NEW} {OLD}")));
    put(&store, &gone, b"\0new").await;
    let new = stored(&backend, &gone).await;
    assert_eq!(store.renew_seals().await.unwrap(), 2);
    assert_eq!(store.renew_seals().await.unwrap(), 0);
    assert_eq!(stored(&backend, &gone).await, new, "it was sealed already");
    let without_old = over(&backend, Some(NEW));
    for (key, value) in [(plain, "\0plain"), (old, "\0old")] {
        assert_eq!(without_old.get(&key).await.unwrap().unwrap().value, value);
        assert!(over(&backend, None).get(&key).await.is_err());
    }
}

#[tokio::test]
async fn a_transaction_that_is_full_has_room_for_its_seals() {
    let backend = RawStore::Memory(Memory::default());
    let store = over(&backend, Some(NEW));
    let [one, other, _] = secret_keys();
    let keys = one.as_bytes().len() + other.as_bytes().len();
    let rest = STORE_TXN_BYTES - STORE_VALUE_BYTES - keys;
    let txn = Txn::new()
        .put(&one, vec![0; STORE_VALUE_BYTES])
        .put(&other, vec![0; rest]);
    assert!(store.txn(txn.clone()).await.is_ok());
    let more = txn.write(Write::Delete(Key::PolicyHead.encode()));
    let refused = store.txn(more).await.unwrap_err();
    assert!(matches!(refused, CommitError::Refused(_)));
}

#[tokio::test]
async fn etcd_is_not_opened_without_a_key_or_a_word_that_none_is_wanted() {
    let spec: StoreSpec = "etcd:http://127.0.0.1:1".parse().unwrap();
    let refused = AnyStore::open(&spec, SealSource::Own).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("--seal-key-file") && text.contains("--unsealed"));
}
