//! What came to its end: kept for a while, and replayed.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Moment, Queue, later, size, until};
use crate::limits::{WEBHOOK_FORGET_STEP, WEBHOOK_KEPT, WEBHOOK_KEPT_FOR};
use crate::webhook::execution::{ExecutionId, Origin, State};
use crate::webhook::outcome::{Payload, RunResult};

impl Queue {
    /// How long until the oldest is old enough to be forgotten.
    pub(super) fn next_forgetting(&self, now: Moment) -> Option<Duration> {
        let (at, _) = self.finished.first()?;
        if self.finished.len() > WEBHOOK_KEPT {
            return Some(Duration::ZERO);
        }
        Some(until(later(*at, WEBHOOK_KEPT_FOR), now.wall))
    }

    /// Forgets what is too old or too much, a bounded part of it at a time.
    pub(super) fn forget(&mut self, now: Moment) {
        for _ in 0..WEBHOOK_FORGET_STEP {
            if self.next_forgetting(now) != Some(Duration::ZERO) {
                return;
            }
            if let Some((_, id)) = self.finished.pop_first() {
                self.slots.remove(&id);
                self.dirty.remove(&id);
                self.forgotten.push(id);
            }
        }
    }

    /// Delivers a dead one again, under its id; runs any other that has ended once more, as a new one.
    pub(super) fn replay(
        &mut self,
        token: u64,
        (of, id): (ExecutionId, ExecutionId),
        (payload, result): (Payload, Option<RunResult>),
        now: Moment,
    ) {
        if !self.has_room(&payload) {
            self.answers.push((token, Answer::Full));
            return;
        }
        let Some(slot) = self.slots.get_mut(&of) else {
            self.answers.push((token, Answer::Unknown));
            return;
        };
        let execution = &mut slot.execution;
        let Some(finished) = execution.finished else {
            self.answers.push((token, Answer::Open));
            return;
        };
        let is_plain_alert = execution.origin == Origin::Alert && execution.summary.is_none();
        if execution.state != State::Dead || (result.is_none() && !is_plain_alert) {
            let (webhook, hash) = (execution.webhook.clone(), execution.payload_hash);
            self.begin((id, webhook, Origin::Replay(of)), hash, payload, now);
            self.answer_accepted(token, id);
            return;
        }
        execution.state = State::CallingBack;
        execution.finished = None;
        execution.due = Some(now.wall);
        execution.callbacks = 0;
        slot.payload = Some(Arc::new(payload)).filter(|payload| payload.alert.is_some());
        slot.result = result.map(Arc::new);
        let bytes = size(slot.payload.as_deref(), slot.result.as_deref());
        self.open = self.open.saturating_add(1);
        self.open_bytes = self.open_bytes.saturating_add(bytes);
        self.finished.remove(&(finished, of));
        self.ready.insert((now.wall, of));
        self.dirty.entry(of).or_default();
        self.answer_accepted(token, of);
    }
}
