//! Sealing anew what is not sealed, or sealed with an old key: after it an old key can be given up.
//!
//! A value is replaced only if it is still the one that was read, so that any number of control
//! planes may do this at once, and nothing that is deleted meanwhile comes back.

use std::error::Error;

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::AnyStore;
use crate::seal;
use crate::store::keyspace::Key;
use crate::store::{CommitError, RangeError, RangeRequest, Store as _, Txn, TxnOutcome};

/// Why not everything was sealed. What was is sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewError {
    /// The store could not be read, or a value not be opened.
    #[error(transparent)]
    Read(#[from] RangeError),
    /// The store could not be written.
    #[error(transparent)]
    Write(#[from] CommitError),
}

impl AnyStore {
    /// Seals everything with the first key; says how many values were not.
    pub(crate) async fn renew_seals(&self) -> Result<usize, RenewError> {
        let Some(keys) = &self.seal else {
            return Ok(0);
        };
        let mut renewed = 0_usize;
        for range in Key::sealed() {
            let mut request = Some(RangeRequest::new(range));
            while let Some(next) = request {
                let page = self.raw.range(next.clone()).await?;
                request = next.after(&page);
                for mut entry in page.entries {
                    if seal::sealed_with(&entry.value) == Some(keys.first()) {
                        continue;
                    }
                    self.open_value(&mut entry)?;
                    let txn = Txn::new().unchanged(&entry.key, Some(&entry));
                    let written = self.txn(txn.put(&entry.key, entry.value)).await?;
                    if matches!(written, TxnOutcome::Committed { .. }) {
                        renewed = renewed.saturating_add(1);
                    }
                }
            }
        }
        Ok(renewed)
    }

    /// The same, told in the log.
    pub(crate) async fn keep_sealed(&self, stop: CancellationToken) {
        match stop.run_until_cancelled(self.renew_seals()).await {
            None | Some(Ok(0)) => {}
            Some(Ok(values)) => info!(
                values,
                "values of the store are sealed with the first key now; keys after it may go"
            ),
            Some(Err(error)) => {
                let error: &dyn Error = &error;
                warn!(
                    error,
                    "not everything is sealed with the first key; it is tried again with the next \
                     start"
                );
            }
        }
    }
}
