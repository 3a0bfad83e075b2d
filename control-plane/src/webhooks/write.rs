//! Storing what has changed: each execution whole, as many in one transaction as there is room for.

use agix_core::time::Wall;
use agix_core::webhook::queue::Change;
use agix_proto::v1;
use bytes::Bytes;
use prost::Message as _;

use crate::owned::{Lost, Owned};
use crate::store::keyspace::Key;
use crate::store::{Store, StoreKey, Txn};

/// A key and its new value; none: it goes.
type Write = (StoreKey, Option<Bytes>);

/// The half day of a moment.
pub(super) fn half_day(at: Wall) -> u32 {
    const HALF_DAY_MS: i64 = 12 * 60 * 60 * 1_000;
    u32::try_from(at.as_millis().div_euclid(HALF_DAY_MS)).unwrap_or_default()
}

/// Stores changes, and what is to go with the last of them.
pub(super) async fn store<S: Store>(
    owned: &Owned<S>,
    changes: &[Change],
    gone: Vec<StoreKey>,
    now: Wall,
) -> Result<(), Lost> {
    let groups = changes.iter().map(|change| writes(change, now));
    let gone = gone.into_iter().map(|key| vec![(key, None)]);
    let mut txn = owned.txn();
    for group in groups.chain(gone) {
        let with = group.into_iter().fold(txn.clone(), add);
        if with.check().is_ok() {
            txn = with;
            continue;
        }
        let group = with.writes().get(txn.writes().len()..).unwrap_or_default();
        let alone = group
            .iter()
            .fold(owned.txn(), |txn, write| txn.write(write.clone()));
        if !txn.writes().is_empty() {
            owned.carry_out(&txn).await?;
        }
        txn = alone;
    }
    if !txn.writes().is_empty() {
        owned.carry_out(&txn).await?;
    }
    Ok(())
}

fn add(txn: Txn, (key, value): Write) -> Txn {
    match value {
        Some(value) => txn.put(&key, value),
        None => txn.delete(&key),
    }
}

fn writes(change: &Change, now: Wall) -> Vec<Write> {
    match change {
        Change::Is {
            execution,
            payload,
            result,
            delivery,
        } => {
            let id = execution.id;
            let state = v1::WebhookExecution::from(&**execution).encode_to_vec();
            let payload = payload.as_ref().map(|payload| {
                let value = v1::WebhookPayload::from(&**payload).encode_to_vec();
                (Key::WebhookPayload(id), value)
            });
            let result = result.as_ref().map(|result| {
                let value = v1::WebhookResult::from(&**result).encode_to_vec();
                (Key::WebhookResult(id), value)
            });
            let delivery = delivery.map(|delivery| {
                let at = execution.received;
                let value = format!("{id} {}", at.as_millis()).into_bytes();
                (Key::WebhookDelivery(half_day(now), delivery), value)
            });
            let put = |(key, value): (Key, Vec<u8>)| (key.encode(), Some(Bytes::from(value)));
            [
                Some((Key::WebhookExecution(id), state)),
                payload,
                result,
                delivery,
            ]
            .into_iter()
            .flatten()
            .map(put)
            .collect()
        }
        Change::Forgotten(id) => [
            Key::WebhookExecution(*id),
            Key::WebhookPayload(*id),
            Key::WebhookResult(*id),
        ]
        .map(|key| (key.encode(), None))
        .into(),
    }
}
