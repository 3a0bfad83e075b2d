//! Who gets the next step: the proxy that received it, else the one with the most room.

use std::sync::Arc;

use super::{Moment, Queue, Slot};
use crate::webhook::execution::{Claim, Execution, ExecutionId, State, Worker};
use crate::webhook::work::{FromQueue, Step, Work};

impl Queue {
    /// Gives out what is due, as long as somebody has room.
    pub(super) fn assign(&mut self, now: Moment) {
        while let Some((due, id)) = self.ready.first().copied() {
            if due > now.wall {
                return;
            }
            let prefers = self.slots.get(&id).and_then(|slot| slot.prefers.as_ref());
            let preferred = self
                .seats
                .iter()
                .find(|(worker, seat)| Some(&worker.proxy) == prefers && seat.free() > 0);
            let chosen = preferred.or_else(|| {
                let free = self.seats.iter().filter(|(_, seat)| seat.free() > 0);
                free.max_by_key(|(_, seat)| seat.free())
            });
            let Some((worker, _)) = chosen else {
                return;
            };
            let worker = worker.clone();
            self.ready.pop_first();
            self.claim(id, &worker);
        }
    }

    pub(super) fn has_free_worker(&self) -> bool {
        self.seats.values().any(|seat| seat.free() > 0)
    }

    fn claim(&mut self, id: ExecutionId, worker: &Worker) {
        let Some(slot) = self.slots.get_mut(&id) else {
            return;
        };
        let number = self.next_claim;
        self.next_claim = self.next_claim.saturating_add(1);
        let execution = &mut slot.execution;
        execution.due = None;
        if is_run(execution) {
            execution.state = State::Running;
            execution.runs = execution.runs.saturating_add(1);
        } else {
            execution.callbacks = execution.callbacks.saturating_add(1);
        }
        execution.claim = Some(Claim {
            number,
            worker: worker.clone(),
        });
        self.dirty.entry(id).or_default();
        self.claims.insert(number, id);
        let stream = self.seats.get_mut(worker).and_then(|seat| {
            seat.claims.insert(number);
            seat.stream
        });
        if let Some(stream) = stream {
            self.tell(stream, number);
        }
    }

    /// Says what a claim is for.
    pub(super) fn tell(&mut self, stream: u64, claim: u64) {
        let slot = self.claims.get(&claim).and_then(|id| self.slots.get(id));
        if let Some(step) = slot.and_then(|slot| step(claim, slot)) {
            self.messages.push((stream, FromQueue::Step(step)));
        }
    }
}

/// Whether the step under way, or the next one, is a model call.
pub(super) const fn is_run(execution: &Execution) -> bool {
    matches!(execution.state, State::Pending | State::Running)
}

fn step(claim: u64, slot: &Slot) -> Option<Step> {
    let execution = &slot.execution;
    let work = if is_run(execution) {
        Work::Run {
            payload: Arc::clone(slot.payload.as_ref()?),
            attempt: execution.runs,
        }
    } else {
        let payload = slot.payload.as_ref();
        Work::CallBack {
            result: slot.result.clone(),
            alert: payload.and_then(|payload| payload.alert.clone()),
            attempt: execution.callbacks,
        }
    };
    Some(Step {
        claim,
        execution: execution.id,
        webhook: execution.webhook.clone(),
        received: execution.received,
        work,
    })
}
