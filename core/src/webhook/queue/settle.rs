//! What follows from the outcome of a step.

use std::sync::Arc;
use std::time::Duration;

use super::assign::is_run;
use super::{Moment, Queue, Rules, later, size};
use crate::backoff::full_jitter;
use crate::limits::{
    WEBHOOK_RETRY_LONGEST, WEBHOOK_RUN_PAUSE, WEBHOOK_RUN_PAUSE_LONGEST, WEBHOOK_TRIES,
    WEBHOOK_TRY_TEXT,
};
use crate::webhook::execution::{Execution, ExecutionId, State, Summary, Try, Worker};
use crate::webhook::outcome::{CallbackOutcome, CallbackResult, Failure, RunResult};

/// When a step is tried again.
#[derive(Debug, Clone, Copy)]
enum Again {
    /// Nobody has failed but the proxy that had it in hand.
    AtOnce,
    /// After the planned pause, or the one that was asked for if that is longer.
    AfterPause(Option<Duration>),
}

impl Queue {
    /// A model call is over.
    pub(super) fn ran(&mut self, id: ExecutionId, by: &Worker, result: RunResult, now: Moment) {
        let wanted = match &result.outcome {
            Ok(_) => None,
            Err(failure) => failure.retry_after,
        };
        self.attempted(id, by, result, Again::AfterPause(wanted), now);
    }

    fn attempted(
        &mut self,
        id: ExecutionId,
        by: &Worker,
        result: RunResult,
        again: Again,
        now: Moment,
    ) {
        let outcome = match &result.outcome {
            Ok(answer) => format!("answered by {}", answer.model),
            Err(failure) => format!("{}: {}", failure.kind, failure.message),
        };
        self.note(id, by, (false, outcome, result.latency), now);
        let random = self.draw(id);
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let execution = &mut slot.execution;
        let rules = self.rules.get(&execution.webhook);
        let attempts = rules.map_or_else(|| Rules::default().attempts, |rules| rules.attempts);
        if let Err(failure) = &result.outcome
            && failure.retryable
            && execution.runs < attempts
        {
            execution.state = State::Pending;
            let doublings = execution.runs.saturating_sub(1);
            let pause = run_pause(doublings, again, random);
            self.put_off(id, pause, now);
            return;
        }
        self.has_result(id, result, now);
    }

    /// A post is over.
    pub(super) fn called_back(
        &mut self,
        id: ExecutionId,
        by: &Worker,
        result: &CallbackResult,
        now: Moment,
    ) {
        let outcome = match &result.outcome {
            CallbackOutcome::Answered { status, .. } => format!("answered {status}"),
            CallbackOutcome::Failed(why) => why.clone(),
            CallbackOutcome::Refused(why) => format!("not called: {why}"),
            CallbackOutcome::NoCallback => "there is no callback".to_owned(),
        };
        self.note(id, by, (true, outcome, result.latency), now);
        match &result.outcome {
            CallbackOutcome::Answered {
                status: 200..=299, ..
            }
            | CallbackOutcome::NoCallback => self.delivered(id, now),
            CallbackOutcome::Answered { status: 410, .. } | CallbackOutcome::Refused(_) => {
                self.finish(id, State::Dead, now);
            }
            CallbackOutcome::Answered { retry_after, .. } => {
                self.call_back_later(id, Again::AfterPause(*retry_after), now);
            }
            CallbackOutcome::Failed(_) => {
                self.call_back_later(id, Again::AfterPause(None), now);
            }
        }
    }

    /// A step was not begun.
    pub(super) fn give_back(&mut self, id: ExecutionId, now: Moment) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        // Another one is asked.
        slot.prefers = None;
        let execution = &mut slot.execution;
        if is_run(execution) {
            execution.state = State::Pending;
            execution.runs = execution.runs.saturating_sub(1);
        } else {
            execution.callbacks = execution.callbacks.saturating_sub(1);
        }
        self.put_off(id, Duration::ZERO, now);
    }

    /// The proxy that had a step in hand is lost.
    pub(super) fn lost(&mut self, id: ExecutionId, by: &Worker, now: Moment) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.prefers = None;
        if is_run(&slot.execution) {
            let failure = Failure {
                kind: "lost".to_owned(),
                message: format!("the proxy {} was lost while it worked on this", by.proxy),
                retryable: true,
                retry_after: None,
            };
            let result = RunResult {
                outcome: Err(failure),
                latency: Duration::ZERO,
                prompt: None,
                calls: Vec::new(),
            };
            self.attempted(id, by, result, Again::AtOnce, now);
        } else {
            let outcome = "the proxy was lost".to_owned();
            self.note(id, by, (true, outcome, Duration::ZERO), now);
            self.call_back_later(id, Again::AtOnce, now);
        }
    }

    /// The result is there: it is delivered next, if there is somebody to deliver it to.
    fn has_result(&mut self, id: ExecutionId, result: RunResult, now: Moment) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        slot.execution.summary = Some(summary(&result));
        slot.execution.state = State::CallingBack;
        let result = Arc::new(result);
        let before = size(slot.payload.as_deref(), None);
        if slot.payload.as_ref().is_some_and(|it| it.alert.is_none()) {
            slot.payload = None;
        }
        slot.result = Some(Arc::clone(&result));
        let after = size(slot.payload.as_deref(), slot.result.as_deref());
        let others = self.open_bytes.saturating_sub(before);
        self.open_bytes = others.saturating_add(after);
        let webhook = slot.execution.webhook.clone();
        self.dirty.entry(id).or_default().result = Some(result);
        if self.rules_of(&webhook).calls_back {
            self.put_off(id, Duration::ZERO, now);
        } else {
            self.delivered(id, now);
        }
    }

    fn delivered(&mut self, id: ExecutionId, now: Moment) {
        let execution = self.slots.get(&id).map(|slot| &slot.execution);
        let summary = execution.and_then(|execution| execution.summary.as_ref());
        let failed = summary.is_some_and(|summary| summary.error.is_some());
        let state = if failed {
            State::Failed
        } else {
            State::Succeeded
        };
        self.finish(id, state, now);
    }

    /// Plans the next post; after the last one the execution is dead.
    fn call_back_later(&mut self, id: ExecutionId, again: Again, now: Moment) {
        let random = self.draw(id);
        let Some(slot) = self.slots.get(&id) else {
            return;
        };
        let rules = self.rules_of(&slot.execution.webhook);
        let done = usize::try_from(slot.execution.callbacks).unwrap_or(usize::MAX);
        let Some(planned) = rules.retries.get(done.saturating_sub(1)) else {
            self.finish(id, State::Dead, now);
            return;
        };
        // Up to a quarter more, so that many do not come at once.
        let quarter = planned.checked_div(4).unwrap_or_default();
        let planned = planned.saturating_add(full_jitter(quarter, quarter, 0, random));
        let pause = match again {
            Again::AtOnce => Duration::ZERO,
            Again::AfterPause(wanted) => planned.max(wanted.unwrap_or_default()),
        };
        self.put_off(id, pause.min(WEBHOOK_RETRY_LONGEST), now);
    }

    /// Nobody works on it until the pause is over.
    fn put_off(&mut self, id: ExecutionId, pause: Duration, now: Moment) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let due = later(now.wall, pause);
        slot.execution.claim = None;
        slot.execution.due = Some(due);
        self.ready.insert((due, id));
        self.dirty.entry(id).or_default();
    }

    fn finish(&mut self, id: ExecutionId, state: State, now: Moment) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let bytes = size(slot.payload.as_deref(), slot.result.as_deref());
        slot.payload = None;
        slot.result = None;
        slot.execution.state = state;
        slot.execution.claim = None;
        slot.execution.due = None;
        slot.execution.finished = Some(now.wall);
        self.open = self.open.saturating_sub(1);
        self.open_bytes = self.open_bytes.saturating_sub(bytes);
        self.finished.insert((now.wall, id));
        self.dirty.entry(id).or_default();
    }

    /// Writes down a try, in place of the oldest one if there are many.
    fn note(
        &mut self,
        id: ExecutionId,
        by: &Worker,
        (is_callback, outcome, latency): (bool, String, Duration),
        now: Moment,
    ) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let tries = &mut slot.execution.tries;
        if tries.len() >= WEBHOOK_TRIES {
            tries.remove(0);
        }
        tries.push(Try {
            at: now.wall,
            is_callback,
            proxy: by.proxy.clone(),
            outcome: shortened(outcome),
            latency,
        });
    }

    /// A number that differs between executions and their tries.
    fn draw(&self, id: ExecutionId) -> u64 {
        let tried = self.slots.get(&id).map_or(0, |slot| {
            let execution: &Execution = &slot.execution;
            u64::from(execution.runs.saturating_add(execution.callbacks))
        });
        mixed(self.jitter ^ id.low_bits() ^ tried.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// Spreads the bits of a number evenly.
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn run_pause(doublings: u32, again: Again, random: u64) -> Duration {
    match again {
        Again::AtOnce => Duration::ZERO,
        Again::AfterPause(wanted) => {
            let longest = WEBHOOK_RUN_PAUSE_LONGEST;
            let jittered = full_jitter(WEBHOOK_RUN_PAUSE, longest, doublings, random);
            jittered.max(wanted.unwrap_or_default()).min(longest)
        }
    }
}

fn summary(result: &RunResult) -> Summary {
    let (model, cost, error) = match &result.outcome {
        Ok(answer) => (Some(answer.model.clone()), answer.cost, None),
        Err(failure) => {
            let last = result.calls.last().map(|call| call.model.clone());
            (last, None, Some(shortened(failure.message.clone())))
        }
    };
    Summary {
        model,
        latency: result.latency,
        cost,
        error,
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > WEBHOOK_TRY_TEXT {
        let mut end = WEBHOOK_TRY_TEXT;
        while !text.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        text.truncate(end);
    }
    text
}
