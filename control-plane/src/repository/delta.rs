//! Deltas to the current revision, each made once.

use std::sync::Arc;

use agix_core::limits::SYNC_DELTA_BYTES;
use agix_core::policy::Delta;
use agix_core::sync::Version;
use agix_proto::convert::encode_delta;
use bytes::Bytes;
use tokio::task::spawn_blocking;
use tracing::warn;

use super::{Published, Repository};
use crate::store::Store;

impl<S: Store> Repository<S> {
    /// What turns the policy of `base` into that of `to`, encoded; `None` if a snapshot does
    /// better, or `base` is not in the history.
    pub async fn delta(&self, base: Version, to: &Published) -> Option<Bytes> {
        let cell = to.delta_from(base.revision)?;
        cell.get_or_init(|| async {
            let old = match self.load(base.revision).await {
                Ok(old) if old.info().hash == base.hash => old,
                Ok(_) => return None,
                Err(error) => {
                    warn!(base = %base.revision, %error, "no delta, a snapshot is sent instead");
                    return None;
                }
            };
            let new = Arc::clone(to.policy());
            let full = to.canonical().len();
            spawn_blocking(move || encoded_if_smaller(&old.policy().delta_to(&new), full))
                .await
                .unwrap_or_default()
        })
        .await
        .clone()
    }

    /// Whether `version` is part of the history.
    pub async fn holds(&self, version: Version) -> bool {
        let current = self.current();
        if current.is_some_and(|current| current.info().version() == version) {
            return true;
        }
        match self.info(version.revision).await {
            Ok(info) => info.version() == version,
            Err(_) => false,
        }
    }
}

/// The encoding of `delta`, if it is worth sending instead of a snapshot.
pub(super) fn encoded_if_smaller(delta: &Delta, snapshot_bytes: usize) -> Option<Bytes> {
    let encoded = encode_delta(delta);
    (encoded.len() <= SYNC_DELTA_BYTES && encoded.len() <= snapshot_bytes).then(|| encoded.into())
}
