//! Works on what the queue hands out: one stream, so many steps at once, an outcome for each.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use agix_core::backoff::full_jitter;
use agix_core::causes::with_causes;
use agix_core::id::Revision;
use agix_core::limits::{
    RECONNECT_FIRST, RECONNECT_LONGEST, WEBHOOK_LEASE, WEBHOOK_MESSAGE_BYTES, WEBHOOK_POLICY_PAUSE,
    WEBHOOK_SLOTS,
};
use agix_core::webhook::execution::Worker as Identity;
use agix_core::webhook::outcome::{BudgetAlert, CallbackOutcome, CallbackResult, RunResult};
use agix_core::webhook::work::{FromQueue, Step, StepOutcome, ToQueue, Work};
use agix_proto::v1;
use agix_proto::v1::webhooks_client::WebhooksClient;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::callback::{self, Callbacks};
use super::{message, run};
use crate::clock;
use crate::control_line::{Channel, ControlPlanes, Line, LineError, Turn};
use crate::shared::Shared;
use crate::trail::CallbackTrail;
use crate::worker::Worker;

/// Part of the time after which a silent proxy loses its claims that passes between two words.
const PULSES: u32 = 4;
/// Steps under way, or with an outcome that is not known to be stored.
const CLAIMS: usize = 2 * WEBHOOK_SLOTS;
/// Messages waiting to be said: after a new beginning an outcome for each claim, and some more.
const OUTBOX: usize = 2 * CLAIMS;

type Stream = Line<v1::WorkRequest, v1::WorkResponse>;

/// Who works, and for which queue.
#[derive(Debug, Clone)]
pub(crate) struct WorkerConfig {
    /// Addresses of control planes, tried in turn.
    pub(crate) endpoints: ControlPlanes,
    pub(crate) identity: Identity,
}

struct Labour {
    config: WorkerConfig,
    worker: Arc<Worker>,
    callbacks: Arc<Callbacks>,
    /// What it has, and what came of it if it is over.
    claims: BTreeMap<u64, Option<StepOutcome>>,
    done: mpsc::Sender<(u64, StepOutcome)>,
    over: mpsc::Receiver<(u64, StepOutcome)>,
    tasks: TaskTracker,
    stop: CancellationToken,
    complained: bool,
}

enum Event {
    Heard(Result<FromQueue, LineError>),
    Over(u64, StepOutcome),
    Pulse,
    Draining,
    Ended,
}

/// Works for the queue. When `drain` is cancelled nothing new is begun, and it ends when the
/// outcomes of what was begun are stored, or when `stop` is cancelled.
pub(crate) async fn work(
    config: WorkerConfig,
    shared: Arc<Shared>,
    drain: CancellationToken,
    stop: CancellationToken,
) {
    if config.endpoints.is_empty() {
        return;
    }
    let callbacks = match Callbacks::new(&callback::system()) {
        Ok(callbacks) => Arc::new(callbacks),
        Err(error) => {
            let error = with_causes(&error);
            tracing::error!(error, "webhooks cannot be worked on");
            return;
        }
    };
    let (done, over) = mpsc::channel(OUTBOX);
    let labour = Labour {
        config,
        worker: Arc::new(Worker::new(&shared)),
        callbacks,
        claims: BTreeMap::new(),
        done,
        over,
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        complained: false,
    };
    let tasks = labour.tasks.clone();
    if stop.run_until_cancelled(labour.run(drain)).await.is_none() {
        tracing::warn!("webhooks that are being worked on are left to other proxies");
    }
    tasks.close();
    tasks.wait().await;
}

impl Labour {
    async fn run(mut self, drain: CancellationToken) {
        let mut failures = 0_u32;
        // Without a policy no webhook is known.
        while self.worker.shared.compiled.load().revision == Revision::NONE {
            let pause = drain.run_until_cancelled(sleep(WEBHOOK_POLICY_PAUSE));
            if pause.await.is_none() {
                return;
            }
        }
        while !(drain.is_cancelled() && self.claims.is_empty()) {
            let connected = tokio::select! {
                () = drain.cancelled(), if self.claims.is_empty() => break,
                connected = self.connect(failures) => connected,
            };
            match connected {
                Ok(mut stream) => {
                    let error = self.converse(&mut stream, &drain, &mut failures).await;
                    let Err(error) = error else {
                        stream.hang_up().await;
                        break;
                    };
                    self.complain(&error);
                }
                Err(error) => self.complain(&error),
            }
            let pause = full_jitter(
                RECONNECT_FIRST,
                RECONNECT_LONGEST,
                failures,
                clock::random(),
            );
            failures = failures.saturating_add(1);
            tokio::select! {
                () = sleep(pause) => {}
                () = drain.cancelled(), if self.claims.is_empty() => {}
            }
        }
    }

    async fn connect(&self, failures: u32) -> Result<Stream, LineError> {
        let attempt = self.config.identity.incarnation;
        let attempt = attempt.wrapping_add(failures.into());
        match Turn::of(attempt, &self.config.endpoints) {
            Some(turn) => turn.open(|channel| self.connect_to(channel)).await,
            None => Err(LineError::Ended),
        }
    }

    async fn connect_to(&self, channel: Channel) -> Result<Stream, LineError> {
        let (say, said) = mpsc::channel(OUTBOX);
        let mut client = WebhooksClient::new(channel)
            .max_decoding_message_size(WEBHOOK_MESSAGE_BYTES)
            .max_encoding_message_size(WEBHOOK_MESSAGE_BYTES);
        let hello = ToQueue::Hello {
            worker: self.config.identity.clone(),
            slots: u32::try_from(WEBHOOK_SLOTS).unwrap_or(u32::MAX),
            claims: self.claims.keys().copied().collect(),
        };
        // Said before the answer's head is waited for, which may come with the first word only.
        if say.try_send((&hello).into()).is_err() {
            return Err(LineError::NotRead);
        }
        let stream = client.work(ReceiverStream::new(said)).await?;
        Ok(Line::new(say, stream.into_inner()))
    }

    /// Talks on a stream until there is nothing left to do, or it is lost.
    async fn converse(
        &mut self,
        stream: &mut Stream,
        drain: &CancellationToken,
        failures: &mut u32,
    ) -> Result<(), LineError> {
        let mut pulse = every(WEBHOOK_LEASE);
        loop {
            let is_draining = drain.is_cancelled();
            if is_draining && self.claims.is_empty() {
                return Ok(());
            }
            match self.event(stream, drain, &mut pulse).await {
                Event::Heard(heard) => {
                    let heard = heard?;
                    if let FromQueue::Welcome { lease } = heard {
                        pulse = every(lease);
                        *failures = 0;
                        self.complained = false;
                        self.repeat(stream)?;
                    } else {
                        self.hear(heard, stream, is_draining)?;
                    }
                }
                Event::Over(claim, outcome) => self.over(claim, outcome, stream)?,
                Event::Pulse => stream.say(&ToQueue::Alive)?,
                Event::Draining => {}
                Event::Ended => return Err(LineError::Ended),
            }
        }
    }

    async fn event(
        &mut self,
        stream: &mut Stream,
        drain: &CancellationToken,
        pulse: &mut Interval,
    ) -> Event {
        let is_draining = drain.is_cancelled();
        tokio::select! {
            biased;
            () = drain.cancelled(), if !is_draining => Event::Draining,
            over = self.over.recv() => match over {
                Some((claim, outcome)) => Event::Over(claim, outcome),
                None => Event::Ended,
            },
            heard = stream.next() => Event::Heard(heard),
            _ = pulse.tick() => Event::Pulse,
        }
    }

    /// Says again what is not known to be stored.
    fn repeat(&self, stream: &Stream) -> Result<(), LineError> {
        for (claim, outcome) in &self.claims {
            if let Some(outcome) = outcome {
                say_done(stream, *claim, outcome)?;
            }
        }
        Ok(())
    }

    fn hear(
        &mut self,
        heard: FromQueue,
        stream: &Stream,
        is_draining: bool,
    ) -> Result<(), LineError> {
        match heard {
            FromQueue::Welcome { .. } => Ok(()),
            FromQueue::Recorded { claim } | FromQueue::Revoked { claim } => {
                self.claims.remove(&claim);
                Ok(())
            }
            FromQueue::Step(step) => match self.claims.get(&step.claim) {
                // Under way.
                Some(None) => Ok(()),
                Some(Some(outcome)) => say_done(stream, step.claim, outcome),
                None if is_draining || self.claims.len() >= CLAIMS => {
                    stream.say(&ToQueue::Released { claim: step.claim })
                }
                None => {
                    self.begin(step);
                    Ok(())
                }
            },
        }
    }

    fn begin(&mut self, step: Step) {
        self.claims.insert(step.claim, None);
        let worker = Arc::clone(&self.worker);
        let callbacks = Arc::clone(&self.callbacks);
        let done = self.done.clone();
        let stop = self.stop.clone();
        self.tasks.spawn(stop.run_until_cancelled_owned(async move {
            let outcome = carry_out(&worker, &callbacks, &step).await;
            // Nobody listens any more when the proxy stops.
            drop(done.send((step.claim, outcome)).await);
        }));
    }

    fn over(&mut self, claim: u64, outcome: StepOutcome, stream: &Stream) -> Result<(), LineError> {
        // It may have been revoked meanwhile.
        let Some(place) = self.claims.get_mut(&claim) else {
            return Ok(());
        };
        let outcome = place.insert(outcome);
        say_done(stream, claim, outcome)
    }

    fn complain(&mut self, error: &dyn Error) {
        if !std::mem::replace(&mut self.complained, true) {
            let error = with_causes(error);
            tracing::warn!(error, "no queue of webhooks; trying again");
        }
    }
}

/// When to say that the proxy is there, for claims that are lost after `lease`.
fn every(lease: Duration) -> Interval {
    let period = lease.checked_div(PULSES).filter(|it| !it.is_zero());
    let mut pulse = interval(period.unwrap_or(WEBHOOK_LEASE));
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pulse
}

fn say_done(stream: &Stream, claim: u64, outcome: &StepOutcome) -> Result<(), LineError> {
    stream.say(&ToQueue::Done {
        claim,
        outcome: outcome.clone(),
    })
}

async fn carry_out(worker: &Arc<Worker>, callbacks: &Callbacks, step: &Step) -> StepOutcome {
    match &step.work {
        Work::Run {
            payload,
            attempt: _,
        } => StepOutcome::Ran(run::run(worker, step, payload).await),
        Work::CallBack {
            result,
            alert,
            attempt: _,
        } => {
            let clock = worker.shared.clock;
            let began = clock.mono();
            let body = told(step, result.as_deref(), alert.as_ref());
            let outcome = call_back(worker, callbacks, step, body).await;
            StepOutcome::CalledBack(CallbackResult {
                outcome,
                latency: clock.mono().since(began),
            })
        }
    }
}

/// What the receiver is told, if there is anything.
fn told(step: &Step, result: Option<&RunResult>, alert: Option<&BudgetAlert>) -> Option<Bytes> {
    let name = step.webhook.as_str();
    match (result, alert) {
        (Some(result), alert) => Some(message::report(step.execution, name, result, alert)),
        (None, Some(alert)) => Some(message::alert(step.execution, name, step.received, alert)),
        (None, None) => None,
    }
}

async fn call_back(
    worker: &Arc<Worker>,
    callbacks: &Callbacks,
    step: &Step,
    body: Option<Bytes>,
) -> CallbackOutcome {
    let shared = &worker.shared;
    let compiled = shared.compiled.load_full();
    let hook = compiled.hook(step.webhook.as_str());
    let (hook, body) = match (hook, body) {
        (Some(hook), Some(body)) => (hook, body),
        // It may be defined by a revision that this proxy does not have yet.
        (None, _) => return CallbackOutcome::Failed(run::UNDEFINED.to_owned()),
        (_, None) => return CallbackOutcome::Refused("there is nothing to tell".to_owned()),
    };
    let Some(url) = &hook.callback else {
        return CallbackOutcome::NoCallback;
    };
    let trail = CallbackTrail::begin(shared, step);
    let now = shared.clock.wall();
    let headers = message::headers(hook, step.execution, now, &body);
    let outcome = callbacks.post(url, hook.allowed, headers, body, now).await;
    if let Some(trail) = trail {
        trail.end(step, url, &outcome);
    }
    outcome
}
