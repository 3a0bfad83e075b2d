//! Reading what is stored of executions.

use agix_core::limits::STORE_PAGE_ENTRIES;
use agix_core::time::Wall;
use agix_core::webhook::execution::{DeliveryKey, Execution, ExecutionId, Origin};
use agix_core::webhook::outcome::{Payload, RunResult};
use agix_core::webhook::queue::Stored;
use agix_proto::convert::InvalidMessage;
use agix_proto::v1;
use prost::Message;

use crate::store::keyspace::Key;
use crate::store::{RangeError, RangeRequest, Store, StoreKey};

/// Why what is stored of executions cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The store could not be read.
    #[error("the webhooks cannot be read from the store")]
    Store(#[from] RangeError),
    /// A value is malformed.
    #[error("{key} in the store cannot be decoded")]
    Encoding {
        /// Its key.
        key: StoreKey,
        /// How.
        source: prost::DecodeError,
    },
    /// A value has a field that means nothing.
    #[error("{key} in the store is not what was written")]
    Invalid {
        /// Its key.
        key: StoreKey,
        /// How.
        source: InvalidMessage,
    },
}

/// Everything a queue begins with.
pub(super) async fn all<S: Store>(store: &S) -> Result<Vec<Stored>, LoadError> {
    let mut all = Vec::new();
    let request = RangeRequest::new(Key::webhook_executions()).limit(STORE_PAGE_ENTRIES);
    let mut next = Some(request);
    while let Some(request) = next {
        let page = store.range(request.clone()).await?;
        next = request.after(&page);
        for entry in page.entries {
            let execution = decode::<v1::WebhookExecution, Execution>(&entry.key, &entry.value)?;
            all.push(Stored {
                execution,
                payload: None,
                result: None,
            });
        }
    }
    for stored in &mut all {
        let Execution { id, state, .. } = stored.execution;
        if state.is_final() {
            continue;
        }
        let has_result = stored.execution.has_result();
        if !has_result || stored.execution.origin == Origin::Alert {
            stored.payload = payload(store, id).await?;
        }
        if has_result {
            stored.result = result(store, id).await?;
        }
    }
    Ok(all)
}

/// What an execution received.
pub(super) async fn payload<S: Store>(
    store: &S,
    id: ExecutionId,
) -> Result<Option<Payload>, LoadError> {
    one::<v1::WebhookPayload, _>(store, Key::WebhookPayload(id)).await
}

/// What came of its model call.
pub(super) async fn result<S: Store>(
    store: &S,
    id: ExecutionId,
) -> Result<Option<RunResult>, LoadError> {
    one::<v1::WebhookResult, _>(store, Key::WebhookResult(id)).await
}

/// Which execution a delivery has, and since when.
pub(super) async fn delivery<S: Store>(
    store: &S,
    half_day: u32,
    delivery: DeliveryKey,
) -> Result<Option<(ExecutionId, Wall)>, RangeError> {
    let key = Key::WebhookDelivery(half_day, delivery).encode();
    let entry = store.get(&key).await?;
    Ok(entry.and_then(|entry| {
        let text = std::str::from_utf8(&entry.value).ok()?;
        let (id, millis) = text.split_once(' ')?;
        let at = Wall::from_millis(millis.parse().ok()?);
        Some((ExecutionId::parse(id)?, at))
    }))
}

async fn one<M, T>(store: &impl Store, key: Key) -> Result<Option<T>, LoadError>
where
    M: Message + Default,
    T: TryFrom<M, Error = InvalidMessage>,
{
    let key = key.encode();
    let entry = store.get(&key).await?;
    entry
        .map(|entry| decode::<M, T>(&key, &entry.value))
        .transpose()
}

/// Reads a value of the store.
pub(super) fn decode<M, T>(key: &StoreKey, value: &[u8]) -> Result<T, LoadError>
where
    M: Message + Default,
    T: TryFrom<M, Error = InvalidMessage>,
{
    let message = M::decode(value).map_err(|source| LoadError::Encoding {
        key: key.clone(),
        source,
    })?;
    T::try_from(message).map_err(|source| LoadError::Invalid {
        key: key.clone(),
        source,
    })
}
