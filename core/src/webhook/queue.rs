//! The queue of executions as a state machine: what is accepted, who works on it, what comes next.
//!
//! A driver hands in what happens, stores what [`Queue::drain`] says has changed, and only then says
//! what it wants said. What is stored of each execution is all of its state: a queue that is made
//! from it goes on where the last one was, whatever its proxies were told.
//!
//! Rules this module keeps:
//! - Nothing is told before it is stored: an acceptance, a claim, the confirmation of an outcome.
//! - Each claim has its own number, and its outcome counts once.
//! - What is open is bounded by count and bytes; beyond that nothing is accepted.

mod assign;
mod keep;
mod settle;
mod standing;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub use standing::{Count, Standing};

use super::execution::{DeliveryKey, Execution, ExecutionId, Origin, State, Worker};
use super::outcome::{Payload, RunResult};
use super::work::{FromQueue, StepOutcome, ToQueue};
use crate::id::{ProxyId, WebhookName};
use crate::limits::{
    WEBHOOK_ATTEMPTS, WEBHOOK_OPEN, WEBHOOK_OPEN_BYTES, WEBHOOK_RETRIES, WEBHOOK_RETRY_LONGEST,
};
use crate::time::{Mono, Wall};
use workers::Seat;

/// One moment, on both clocks: leases are measured on the one that never goes back, what outlives
/// the process on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The owner's clock.
    pub mono: Mono,
    /// The wall clock.
    pub wall: Wall,
}

/// What the policy says of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Whether a model is asked; else the payload's alert is posted as it is.
    pub asks_model: bool,
    /// Whether there is somebody to call back.
    pub calls_back: bool,
    /// Most model calls of one execution.
    pub attempts: u32,
    /// Pauses between callbacks; after the last one an execution is dead.
    pub retries: Vec<Duration>,
}

/// What happens.
#[derive(Debug)]
pub enum Input {
    /// A proxy received a webhook.
    Received {
        /// Where the answer goes.
        token: u64,
        /// The id it is to get.
        id: ExecutionId,
        /// Its definition.
        webhook: WebhookName,
        /// The same for deliveries that repeat each other.
        delivery: DeliveryKey,
        /// SHA-256 of its body.
        hash: [u8; 32],
        /// What was received.
        payload: Payload,
        /// Who received it.
        proxy: ProxyId,
    },
    /// A budget crossed a threshold.
    Alert {
        /// The id it is to get.
        id: ExecutionId,
        /// The definition.
        webhook: WebhookName,
        /// The alert, with no body.
        payload: Payload,
    },
    /// An operator wants an execution delivered or run again.
    Replay {
        /// Where the answer goes.
        token: u64,
        /// Which one.
        of: ExecutionId,
        /// The id of a new one, if one is made.
        id: ExecutionId,
        /// What it received, as it is stored.
        payload: Payload,
        /// Its result, as it is stored.
        result: Option<RunResult>,
    },
    /// A proxy says something.
    Said {
        /// On which stream; its number is larger than those of streams that began before.
        stream: u64,
        /// What.
        message: ToQueue,
    },
    /// A stream is over.
    Gone {
        /// Which.
        stream: u64,
    },
    /// The definitions that hold from here on.
    Rules(BTreeMap<WebhookName, Rules>),
}

/// What is answered to whoever waits under a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is accepted, or was before.
    Accepted {
        /// The execution.
        id: ExecutionId,
        /// How far it has come.
        state: State,
        /// Whether it was accepted before.
        repeated: bool,
    },
    /// There is no room.
    Full,
    /// There is no such execution.
    Unknown,
    /// It has not come to its end.
    Open,
}

/// What has changed of one execution, to be stored in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is so now.
    Is {
        /// All of its state.
        execution: Box<Execution>,
        /// What it received; absent: as before.
        payload: Option<Arc<Payload>>,
        /// Its result; absent: as before.
        result: Option<Arc<RunResult>>,
        /// The delivery that it is the execution of; absent: as before.
        delivery: Option<DeliveryKey>,
    },
    /// It is forgotten.
    Forgotten(ExecutionId),
}

/// What a queue wants done: first the changes are stored, then the rest is said.
#[derive(Debug, Default)]
pub struct Drained {
    /// To be stored.
    pub changes: Vec<Change>,
    /// What to say, and on which stream.
    pub messages: Vec<(u64, FromQueue)>,
    /// What to answer, and to whom.
    pub answers: Vec<(u64, Answer)>,
    /// Streams to end, after that: their proxies were given up, and may begin anew.
    pub ended: Vec<u64>,
}

/// An execution as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// All of its state.
    pub execution: Execution,
    /// What it received; needed while it is open.
    pub payload: Option<Payload>,
    /// Its result; needed while it is open.
    pub result: Option<RunResult>,
}

/// The queue, while it is owned.
#[derive(Debug)]
pub struct Queue {
    rules: BTreeMap<WebhookName, Rules>,
    slots: BTreeMap<ExecutionId, Slot>,
    /// Open, and nobody works on it: by the time of the next step.
    ready: BTreeSet<(Wall, ExecutionId)>,
    /// Came to their end, by when.
    finished: BTreeSet<(Wall, ExecutionId)>,
    claims: BTreeMap<u64, ExecutionId>,
    next_claim: u64,
    seats: BTreeMap<Worker, Seat>,
    streams: BTreeMap<u64, Worker>,
    open: usize,
    open_bytes: usize,
    /// Accepted since the last drain.
    fresh: BTreeMap<DeliveryKey, ExecutionId>,
    dirty: BTreeMap<ExecutionId, Dirty>,
    forgotten: Vec<ExecutionId>,
    messages: Vec<(u64, FromQueue)>,
    answers: Vec<(u64, Answer)>,
    ended: Vec<u64>,
    /// Spreads the callbacks of many executions.
    jitter: u64,
}

/// An execution in hand.
#[derive(Debug)]
struct Slot {
    execution: Execution,
    /// While a step may need it.
    payload: Option<Arc<Payload>>,
    /// While a step may need it.
    result: Option<Arc<RunResult>>,
    /// Who is asked first.
    prefers: Option<ProxyId>,
}

/// What of an execution is not stored yet, beside its state.
#[derive(Debug, Default)]
struct Dirty {
    payload: Option<Arc<Payload>>,
    result: Option<Arc<RunResult>>,
    delivery: Option<DeliveryKey>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            asks_model: true,
            calls_back: true,
            attempts: WEBHOOK_ATTEMPTS,
            retries: WEBHOOK_RETRIES.to_vec(),
        }
    }
}

impl Queue {
    /// A queue over what is stored. `term` is larger than that of any owner before; `jitter` is drawn
    /// at random.
    pub fn new(stored: Vec<Stored>, term: u64, jitter: u64, now: Moment) -> Self {
        let mut queue = Self {
            rules: BTreeMap::new(),
            slots: BTreeMap::new(),
            ready: BTreeSet::new(),
            finished: BTreeSet::new(),
            claims: BTreeMap::new(),
            next_claim: first_claim(term),
            seats: BTreeMap::new(),
            streams: BTreeMap::new(),
            open: 0,
            open_bytes: 0,
            fresh: BTreeMap::new(),
            dirty: BTreeMap::new(),
            forgotten: Vec::new(),
            messages: Vec::new(),
            answers: Vec::new(),
            ended: Vec::new(),
            jitter,
        };
        for stored in stored {
            queue.take_up(stored, now);
        }
        queue
    }

    /// Takes an input in.
    pub fn handle(&mut self, input: Input, now: Moment) {
        match input {
            Input::Received {
                token,
                id,
                webhook,
                delivery,
                hash,
                payload,
                proxy,
            } => {
                if let Some(known) = self.fresh.get(&delivery).copied() {
                    self.answer_repeated(token, known);
                    return;
                }
                if !self.has_room(&payload) {
                    self.answers.push((token, Answer::Full));
                    return;
                }
                self.fresh.insert(delivery, id);
                let origin = Origin::Received(proxy);
                self.begin((id, webhook, origin), hash, payload, now);
                self.dirty.entry(id).or_default().delivery = Some(delivery);
                self.answer_accepted(token, id);
            }
            Input::Alert {
                id,
                webhook,
                payload,
            } => self.begin((id, webhook, Origin::Alert), [0; 32], payload, now),
            Input::Replay {
                token,
                of,
                id,
                payload,
                result,
            } => self.replay(token, (of, id), (payload, result), now),
            Input::Said { stream, message } => self.said(stream, message, now),
            Input::Gone { stream } => self.gone(stream, now),
            Input::Rules(rules) => self.rules = rules,
        }
    }

    /// Says that a webhook was accepted before, as the store knows.
    pub fn answer_repeated(&mut self, token: u64, id: ExecutionId) {
        let state = self.slots.get(&id).map(|slot| slot.execution.state);
        let answer = Answer::Accepted {
            id,
            // What is not kept any more had come to its end.
            state: state.unwrap_or(State::Succeeded),
            repeated: true,
        };
        self.answers.push((token, answer));
    }

    /// How long until [`Queue::handle_timeout`] is due.
    pub fn poll_timeout(&self, now: Moment) -> Option<Duration> {
        let step = match self.ready.first() {
            // With nobody to give it to, a step that is due waits for a proxy.
            Some((due, _)) if *due > now.wall || self.has_free_worker() => {
                Some(until(*due, now.wall))
            }
            Some(_) | None => None,
        };
        let lease = self.next_lapse().map(|at| at.since(now.mono));
        [step, lease, self.next_forgetting(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: Moment) {
        self.lapse(now);
        self.forget(now);
    }

    /// What is to be stored and said, as of all inputs so far.
    pub fn drain(&mut self, now: Moment) -> Drained {
        self.assign(now);
        self.fresh.clear();
        let dirty = std::mem::take(&mut self.dirty);
        let kept = dirty.into_iter().filter_map(|(id, dirty)| {
            let execution = Box::new(self.slots.get(&id)?.execution.clone());
            Some(Change::Is {
                execution,
                payload: dirty.payload,
                result: dirty.result,
                delivery: dirty.delivery,
            })
        });
        let forgotten = std::mem::take(&mut self.forgotten);
        Drained {
            changes: kept
                .chain(forgotten.into_iter().map(Change::Forgotten))
                .collect(),
            messages: std::mem::take(&mut self.messages),
            answers: std::mem::take(&mut self.answers),
            ended: std::mem::take(&mut self.ended),
        }
    }

    /// An execution that is kept.
    pub fn get(&self, id: ExecutionId) -> Option<&Execution> {
        Some(&self.slots.get(&id)?.execution)
    }

    /// All that are kept, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Execution> {
        self.slots.values().rev().map(|slot| &slot.execution)
    }

    fn said(&mut self, stream: u64, message: ToQueue, now: Moment) {
        match message {
            ToQueue::Hello {
                worker,
                slots,
                claims,
            } => self.hello(stream, &worker, (slots, claims), now),
            ToQueue::Done { claim, outcome } => {
                let Some((id, worker)) = self.heard(stream, claim, now) else {
                    return;
                };
                self.messages.push((stream, FromQueue::Recorded { claim }));
                match outcome {
                    StepOutcome::Ran(result) => self.ran(id, &worker, result, now),
                    StepOutcome::CalledBack(result) => self.called_back(id, &worker, &result, now),
                }
            }
            ToQueue::Released { claim } => {
                let Some((id, _)) = self.heard(stream, claim, now) else {
                    return;
                };
                self.messages.push((stream, FromQueue::Recorded { claim }));
                self.give_back(id, now);
            }
            ToQueue::Alive => self.hear(stream, now),
        }
    }

    fn rules_of(&self, webhook: &WebhookName) -> Rules {
        self.rules.get(webhook).cloned().unwrap_or_default()
    }

    fn has_room(&self, payload: &Payload) -> bool {
        let bytes = self.open_bytes.saturating_add(size(Some(payload), None));
        self.open < WEBHOOK_OPEN && bytes <= WEBHOOK_OPEN_BYTES
    }

    fn answer_accepted(&mut self, token: u64, id: ExecutionId) {
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        let answer = Answer::Accepted {
            id,
            state: slot.execution.state,
            repeated: false,
        };
        self.answers.push((token, answer));
    }

    /// Begins an execution.
    fn begin(
        &mut self,
        (id, webhook, origin): (ExecutionId, WebhookName, Origin),
        hash: [u8; 32],
        payload: Payload,
        now: Moment,
    ) {
        let asks = self.rules_of(&webhook).asks_model || payload.alert.is_none();
        let prefers = match &origin {
            Origin::Received(proxy) => Some(proxy.clone()),
            Origin::Replay(_) | Origin::Alert => None,
        };
        let execution = Execution {
            id,
            webhook,
            received: now.wall,
            origin,
            payload_hash: hash,
            payload_bytes: u64::try_from(payload.body.len()).unwrap_or(u64::MAX),
            state: if asks {
                State::Pending
            } else {
                State::CallingBack
            },
            due: Some(now.wall),
            claim: None,
            runs: 0,
            callbacks: 0,
            tries: Vec::new(),
            summary: None,
            finished: None,
        };
        let payload = Arc::new(payload);
        self.dirty.entry(id).or_default().payload = Some(Arc::clone(&payload));
        self.insert(Slot {
            execution,
            payload: Some(payload),
            result: None,
            prefers,
        });
    }

    /// Takes up what a queue before this one has stored.
    fn take_up(&mut self, stored: Stored, now: Moment) {
        let Stored {
            mut execution,
            payload,
            result,
        } = stored;
        if let Some(claim) = execution.claim.clone() {
            self.expect(&claim, execution.id, now);
        } else if !execution.state.is_final() {
            // A clock that was set back must not make what is due wait for longer.
            let longest = later(now.wall, WEBHOOK_RETRY_LONGEST);
            execution.due = Some(execution.due.unwrap_or(now.wall).min(longest));
        }
        let is_open = !execution.state.is_final();
        let needs_payload =
            is_open && (!execution.has_result() || execution.origin == Origin::Alert);
        self.insert(Slot {
            payload: payload.filter(|_| needs_payload).map(Arc::new),
            result: result.filter(|_| is_open).map(Arc::new),
            prefers: None,
            execution,
        });
    }

    fn insert(&mut self, slot: Slot) {
        let id = slot.execution.id;
        match (slot.execution.finished, slot.execution.due) {
            (Some(at), _) => {
                self.finished.insert((at, id));
            }
            (None, Some(due)) if slot.execution.claim.is_none() => {
                self.ready.insert((due, id));
            }
            (None, _) => {}
        }
        if slot.execution.finished.is_none() {
            self.open = self.open.saturating_add(1);
            let bytes = size(slot.payload.as_deref(), slot.result.as_deref());
            self.open_bytes = self.open_bytes.saturating_add(bytes);
        }
        self.slots.insert(id, slot);
    }
}

/// Claims of one owner are larger than those of all before it.
fn first_claim(term: u64) -> u64 {
    const CLAIMS_OF_AN_OWNER: u64 = 1 << 24;
    term.saturating_mul(CLAIMS_OF_AN_OWNER).saturating_add(1)
}

/// Bytes that an execution holds in memory.
fn size(payload: Option<&Payload>, result: Option<&RunResult>) -> usize {
    let headers = payload.map_or(0, |payload| {
        let texts = payload.headers.iter();
        texts.fold(0_usize, |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.len())
        })
    });
    let output = result.map_or(0, |result| match &result.outcome {
        Ok(answer) => answer.output.len(),
        Err(failure) => failure.message.len(),
    });
    let prompt = result.and_then(|result| result.prompt.as_ref());
    [
        payload.map_or(0, |payload| payload.body.len()),
        headers,
        output,
        prompt.map_or(0, String::len),
    ]
    .into_iter()
    .fold(0, usize::saturating_add)
}

fn later(wall: Wall, span: Duration) -> Wall {
    let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Wall::from_millis(wall.as_millis().saturating_add(millis))
}

fn until(due: Wall, now: Wall) -> Duration {
    let millis = due.as_millis().saturating_sub(now.as_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

#[cfg(test)]
mod tests;
