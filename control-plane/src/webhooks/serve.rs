//! Serving the queue while it is owned: take in what is there, store what follows from it, say it.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use agix_core::id::WebhookName;
use agix_core::limits::{WEBHOOK_DEDUPE_TIME, WEBHOOK_LOOK, WEBHOOK_ROUND, WEBHOOK_WAITERS};
use agix_core::policy::Policy;
use agix_core::time::Mono;
use agix_core::webhook::execution::{DeliveryKey, Execution, ExecutionId};
use agix_core::webhook::queue::{Answer, Change, Drained, Input, Moment, Queue, Rules};
use agix_core::webhook::work::FromQueue;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::{debug, warn};

use super::alerts::{self, HALF_DAYS};
use super::desk::{Awaited, Received, Request};
use super::load;
use super::write::{self, half_day};
use crate::clock::Clock;
use crate::owned::{Lost, Outlets, Owned, StreamEnd};
use crate::repository::Published;
use crate::store::{RangeError, Store, StoreKey};

/// Everything the owner of the queue has in hand.
#[derive(Debug)]
pub(super) struct Shift<S> {
    owned: Owned<S>,
    queue: Queue,
    clock: Clock,
    policy: watch::Receiver<Option<Arc<Published>>>,
    requests: mpsc::Receiver<Request>,
    outlets: Outlets<FromQueue>,
    /// Who waits for the answer to an acceptance or a replay.
    replies: BTreeMap<u64, oneshot::Sender<Answer>>,
    next_reply: u64,
    /// Who waits for a result.
    waiters: BTreeMap<ExecutionId, Vec<oneshot::Sender<Execution>>>,
    waiting: usize,
    /// When the store is looked at for alerts and old deliveries.
    look: Interval,
    /// Keys that go with what is stored next.
    gone: Vec<StoreKey>,
}

/// Why the owner stops serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The control plane stops; everything is stored and said.
    Stopped,
    /// The queue is not owned any more.
    Lost,
}

/// What the owner waits for.
enum Event {
    Request(Box<Request>),
    Policy,
    Look,
    Due,
    Stop,
}

impl<S: Store> Shift<S> {
    pub(super) fn new(
        owned: Owned<S>,
        queue: Queue,
        clock: Clock,
        mut policy: watch::Receiver<Option<Arc<Published>>>,
        requests: mpsc::Receiver<Request>,
    ) -> Self {
        policy.mark_changed();
        let mut look = interval(WEBHOOK_LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            owned,
            queue,
            clock,
            policy,
            requests,
            outlets: Outlets::default(),
            replies: BTreeMap::new(),
            next_reply: 0,
            waiters: BTreeMap::new(),
            waiting: 0,
            look,
            gone: Vec::new(),
        }
    }

    /// Serves to the end; calls `ready` when the queue can be asked.
    pub(super) async fn serve(mut self, ready: impl FnOnce()) -> End {
        self.take_rules();
        ready();
        loop {
            let event = self.next().await;
            let stopping = matches!(event, Event::Stop);
            let round = self.round(event).await;
            if stopping || (round.is_err() && self.owned.stop.is_cancelled()) {
                self.outlets.end_all(&StreamEnd::Stopping);
                return End::Stopped;
            }
            if round == Err(Lost) {
                return End::Lost;
            }
        }
    }

    async fn next(&mut self) -> Event {
        let due = self.queue.poll_timeout(moment(self.clock));
        tokio::select! {
            () = self.owned.stop.cancelled() => Event::Stop,
            Some(request) = self.requests.recv() => Event::Request(Box::new(request)),
            Ok(()) = self.policy.changed() => Event::Policy,
            _ = self.look.tick() => Event::Look,
            () = sleep_for(due) => Event::Due,
        }
    }

    async fn round(&mut self, event: Event) -> Result<(), Lost> {
        let mut taken = Vec::new();
        match event {
            Event::Request(request) => taken.push(*request),
            Event::Policy => self.take_rules(),
            Event::Look => self.look().await,
            Event::Due | Event::Stop => {}
        }
        while taken.len() < WEBHOOK_ROUND
            && let Ok(request) = self.requests.try_recv()
        {
            taken.push(request);
        }
        let deliveries = taken.iter().map(|request| match request {
            Request::Accept { received, .. } => Some(received.delivery),
            _ => None,
        });
        let known = self.known(deliveries.collect()).await;
        let now = moment(self.clock);
        let mut questions = Vec::new();
        for (request, known) in taken.into_iter().zip(known) {
            match request {
                Request::Ask(question) => questions.push(question),
                request => self.take(request, known, now),
            }
        }
        self.queue.handle_timeout(now);
        self.commit(now).await?;
        for question in questions {
            question(&self.queue);
        }
        Ok(())
    }

    /// Which of what was received was received before.
    async fn known(
        &self,
        deliveries: Vec<Option<DeliveryKey>>,
    ) -> Vec<Result<Option<ExecutionId>, RangeError>> {
        let now = moment(self.clock).wall;
        let store = &self.owned.store;
        let looked = deliveries.into_iter().map(async |delivery| {
            let Some(delivery) = delivery else {
                return Ok(None);
            };
            for back in 0..HALF_DAYS {
                let half_day = half_day(now).saturating_sub(back);
                if let Some((id, at)) = load::delivery(store, half_day, delivery).await? {
                    let age = now.as_millis().saturating_sub(at.as_millis());
                    let is_young = i128::from(age) < WEBHOOK_DEDUPE_TIME.as_millis().cast_signed();
                    return Ok(Some(id).filter(|_| is_young));
                }
            }
            Ok(None)
        });
        join_all(looked).await
    }

    fn take(
        &mut self,
        request: Request,
        known: Result<Option<ExecutionId>, RangeError>,
        now: Moment,
    ) {
        match request {
            Request::Open { stream, outlet } => self.outlets.open(stream, outlet),
            Request::Said { stream, message } => {
                // What a stream says that was ended before would give it its claims back.
                if self.outlets.has(stream) {
                    self.queue.handle(Input::Said { stream, message }, now);
                }
            }
            Request::Gone { stream, reason } => {
                self.queue.handle(Input::Gone { stream }, now);
                match reason {
                    Some(reason) => self.outlets.end(stream, reason),
                    None => self.outlets.close(stream),
                }
            }
            Request::Accept { received, reply } => match known {
                Ok(known) => self.accept(received, reply, known, now),
                // Without an answer nothing is promised.
                Err(error) => {
                    let error: &dyn Error = &error;
                    warn!(
                        error,
                        "it is not known whether a webhook was received before"
                    );
                }
            },
            Request::Await { id, reply } => {
                let awaited = self.awaited(id);
                drop(reply.send(awaited));
            }
            Request::Replay {
                of,
                payload,
                result,
                reply,
            } => {
                let token = self.token(reply);
                let id = ExecutionId::new(now.wall, fastrand::u128(..));
                let input = Input::Replay {
                    token,
                    of,
                    id,
                    payload,
                    result,
                };
                self.queue.handle(input, now);
            }
            // Asked when everything is stored.
            Request::Ask(_) => {}
        }
    }

    fn accept(
        &mut self,
        received: Received,
        reply: oneshot::Sender<Answer>,
        known: Option<ExecutionId>,
        now: Moment,
    ) {
        let token = self.token(reply);
        if let Some(known) = known {
            self.queue.answer_repeated(token, known);
            return;
        }
        let Received {
            webhook,
            delivery,
            hash,
            payload,
            proxy,
        } = received;
        let input = Input::Received {
            token,
            id: ExecutionId::new(now.wall, fastrand::u128(..)),
            webhook,
            delivery,
            hash,
            payload,
            proxy,
        };
        self.queue.handle(input, now);
    }

    fn awaited(&mut self, id: ExecutionId) -> Option<Awaited> {
        let execution = self.queue.get(id)?;
        if execution.has_result() || execution.state.is_final() {
            return Some(Awaited::There(Box::new(execution.clone())));
        }
        if self.waiting >= WEBHOOK_WAITERS {
            // Some may have left.
            self.waiters.retain(|_, waiters| {
                waiters.retain(|waiter| !waiter.is_closed());
                !waiters.is_empty()
            });
            self.waiting = self.waiters.values().map(Vec::len).sum();
            if self.waiting >= WEBHOOK_WAITERS {
                return Some(Awaited::TooMany);
            }
        }
        let (waiter, coming) = oneshot::channel();
        self.waiters.entry(id).or_default().push(waiter);
        self.waiting = self.waiting.saturating_add(1);
        Some(Awaited::Coming(coming))
    }

    fn token(&mut self, reply: oneshot::Sender<Answer>) -> u64 {
        let token = self.next_reply;
        self.next_reply = self.next_reply.saturating_add(1);
        self.replies.insert(token, reply);
        token
    }

    /// Stores what is new, then says what is to be said.
    async fn commit(&mut self, now: Moment) -> Result<(), Lost> {
        let Drained {
            changes,
            messages,
            answers,
            ended,
        } = self.queue.drain(now);
        let gone = std::mem::take(&mut self.gone);
        write::store(&self.owned, &changes, gone, now.wall).await?;
        for (token, answer) in answers {
            let reply = self.replies.remove(&token);
            if reply.is_some_and(|reply| reply.send(answer).is_err()) {
                debug!("whoever sent a webhook does not wait for the answer");
            }
        }
        for (stream, message) in messages {
            let known = self.outlets.has(stream);
            if !self.outlets.send(stream, message) && known {
                self.queue.handle(Input::Gone { stream }, now);
            }
        }
        for stream in ended {
            self.outlets.end(stream, StreamEnd::Silent);
        }
        self.tell_waiters(&changes);
        Ok(())
    }

    fn tell_waiters(&mut self, changes: &[Change]) {
        for change in changes {
            let Change::Is { execution, .. } = change else {
                continue;
            };
            if !execution.has_result() && !execution.state.is_final() {
                continue;
            }
            for waiter in self.waiters.remove(&execution.id).unwrap_or_default() {
                self.waiting = self.waiting.saturating_sub(1);
                // It may have left.
                drop(waiter.send((**execution).clone()));
            }
        }
    }

    fn take_rules(&mut self) {
        self.policy.mark_unchanged();
        let policy = self.current_policy();
        let rules = policy.map_or_else(BTreeMap::new, |policy| rules_of(&policy));
        let now = moment(self.clock);
        self.queue.handle(Input::Rules(rules), now);
    }

    fn current_policy(&self) -> Option<Arc<Policy>> {
        let current = self.policy.borrow();
        current.as_ref().map(|current| Arc::clone(current.policy()))
    }

    /// Looks for alerts, and for deliveries that are too old.
    async fn look(&mut self) {
        let Some(policy) = self.current_policy() else {
            return;
        };
        let now = moment(self.clock);
        match alerts::find(&self.owned.store, &policy).await {
            Ok(found) => {
                for (id, alert) in found.alerts {
                    if self.queue.get(id).is_none() {
                        self.queue.handle(alert, now);
                    }
                }
                self.gone = found.gone;
            }
            Err(error) => {
                let error: &dyn Error = &error;
                warn!(error, "budget alerts cannot be read; trying again");
            }
        }
        match alerts::old_deliveries(&self.owned.store, now.wall).await {
            Ok(old) => self.gone.extend(old),
            Err(error) => {
                let error: &dyn Error = &error;
                warn!(error, "old deliveries cannot be read; trying again");
            }
        }
    }
}

/// Now.
pub(super) fn moment(clock: Clock) -> Moment {
    let mark = clock.mark();
    Moment {
        mono: Mono::from_nanos(mark.since_boot),
        wall: mark.wall,
    }
}

/// What the policy says of each definition.
fn rules_of(policy: &Policy) -> BTreeMap<WebhookName, Rules> {
    let definitions = policy.webhooks.iter();
    let rules = definitions.map(|(name, definition)| {
        let rules = Rules {
            asks_model: definition.model.is_some() && definition.prompt_template.is_some(),
            calls_back: definition.callback_url.is_some(),
            attempts: definition.max_attempts,
            retries: definition.callback_retries.clone(),
        };
        (name.clone(), rules)
    });
    rules.collect()
}

/// Ends after the span; never without one.
async fn sleep_for(span: Option<Duration>) {
    match span {
        Some(span) => sleep(span).await,
        None => std::future::pending().await,
    }
}
