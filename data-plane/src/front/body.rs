//! Reading a request's body: bounded in size, in time, and over all requests together.

use std::sync::Arc;

use agix_core::limits::{REQUEST_BODY_IDLE, REQUEST_BODY_TIME, REQUEST_BYTES};
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::{timeout, timeout_at};

use crate::front::refusal::Refusal;
use crate::shared::{Held, Shared};

/// The whole body, and the right to hold it.
pub(crate) async fn read(body: Incoming, shared: &Arc<Shared>) -> Result<(Bytes, Held), Refusal> {
    read_up_to(body, shared, REQUEST_BYTES).await
}

/// As [`read`], if it has at most `most` bytes.
pub(crate) async fn read_up_to(
    mut body: Incoming,
    shared: &Arc<Shared>,
    most: usize,
) -> Result<(Bytes, Held), Refusal> {
    let mut held = Held::none(shared);
    let announced = body.size_hint().lower();
    if announced > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(Refusal::body_too_large(most));
    }
    let until = shared
        .clock
        .instant(shared.clock.mono().after(REQUEST_BODY_TIME));
    let Some(first) = next(&mut body, until).await? else {
        return Ok((Bytes::new(), held));
    };
    take(&mut held, first.len(), first.len(), most)?;
    if body.is_end_stream() {
        return Ok((first, held));
    }
    let mut whole = BytesMut::with_capacity(first.len().saturating_mul(2));
    whole.extend_from_slice(&first);
    while let Some(part) = next(&mut body, until).await? {
        take(
            &mut held,
            part.len(),
            whole.len().saturating_add(part.len()),
            most,
        )?;
        whole.extend_from_slice(&part);
    }
    Ok((whole.freeze(), held))
}

fn take(held: &mut Held, bytes: usize, total: usize, most: usize) -> Result<(), Refusal> {
    if total > most {
        return Err(Refusal::body_too_large(most));
    }
    if held.grow(bytes) {
        Ok(())
    } else {
        Err(Refusal::overloaded())
    }
}

async fn next(body: &mut Incoming, until: tokio::time::Instant) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = timeout_at(until, timeout(REQUEST_BODY_IDLE, body.frame())).await;
        let frame = match frame {
            Ok(Ok(frame)) => frame,
            Ok(Err(_elapsed)) | Err(_elapsed) => return Err(Refusal::body_too_slow()),
        };
        match frame {
            None => return Ok(None),
            Some(Err(_broken)) => return Err(Refusal::body_broken()),
            Some(Ok(frame)) => {
                // Trailers carry nothing that a request needs.
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
