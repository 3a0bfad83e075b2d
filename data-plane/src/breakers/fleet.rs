//! Tells the control plane how this proxy's targets are, and hears what the fleet knows of them.
//!
//! One report and one answer at a time, twice a second. When the stream ends, what the fleet said
//! lapses by itself, and the breakers go on alone.

use std::sync::Arc;
use std::time::Duration;

use agix_core::backoff::full_jitter;
use agix_core::failover::{Reports, Words};
use agix_core::id::ProxyId;
use agix_core::limits::{
    GRPC_MESSAGE_BYTES, RECONNECT_FIRST, RECONNECT_LONGEST, SYNC_QUEUE, SYNC_SILENCE,
    TARGETS_INTERVAL,
};
use agix_proto::v1;
use agix_proto::v1::targets_client::TargetsClient;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::control_line::{Channel, ControlPlanes, Line, LineError, Turn};
use crate::shared::Shared;

type Stream = Line<v1::TargetsRequest, v1::TargetsResponse>;

/// Who reports, and to whom.
#[derive(Debug, Clone)]
pub(crate) struct FleetConfig {
    /// Addresses of control planes, tried in turn.
    pub(crate) endpoints: ControlPlanes,
    pub(crate) proxy: ProxyId,
}

/// Follows the fleet until `stop`.
pub(crate) async fn follow(config: FleetConfig, shared: Arc<Shared>, stop: CancellationToken) {
    stop.run_until_cancelled(talk_again_and_again(&config, &shared))
        .await;
}

async fn talk_again_and_again(config: &FleetConfig, shared: &Shared) {
    let (mut attempt, mut failures) = (0_u64, 0_u32);
    while let Some(turn) = Turn::of(attempt, &config.endpoints) {
        attempt = attempt.wrapping_add(1);
        let error = match turn.open(open).await {
            Ok(mut stream) => {
                failures = 0;
                talk(config, shared, &mut stream).await
            }
            Err(error) => error,
        };
        tracing::debug!(%error, "the fleet's view of targets is not to be had");
        sleep(pause(failures)).await;
        failures = failures.saturating_add(1);
    }
}

fn pause(failures: u32) -> Duration {
    full_jitter(
        RECONNECT_FIRST,
        RECONNECT_LONGEST,
        failures,
        clock::random(),
    )
}

/// Reports and hears until that goes wrong.
async fn talk(config: &FleetConfig, shared: &Shared, stream: &mut Stream) -> LineError {
    let mut ticks = interval(TARGETS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let reports = Reports {
            proxy: config.proxy.clone(),
            targets: shared.breakers.report(shared.clock.mono()),
        };
        if let Err(error) = stream.say(&reports) {
            return error;
        }
        let heard = timeout(SYNC_SILENCE, stream.next::<Words>()).await;
        let Words(words) = match heard {
            Ok(Ok(words)) => words,
            Ok(Err(error)) => return error,
            Err(_elapsed) => return LineError::Ended,
        };
        let compiled = shared.compiled.load();
        let settings = &compiled.policy.failover.breaker;
        shared.breakers.hear(words, settings, shared.clock.mono());
    }
}

async fn open(channel: Channel) -> Result<Stream, LineError> {
    let (say, said) = mpsc::channel(SYNC_QUEUE);
    let mut client = TargetsClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
    let answer = client.exchange(ReceiverStream::new(said)).await?;
    Ok(Line::new(say, answer.into_inner()))
}
