//! Proxies that work on executions: what each has in hand, and when it is given up for lost.

use std::collections::BTreeSet;

use super::{Moment, Queue};
use crate::limits::{WEBHOOK_LEASE, WEBHOOK_SLOTS};
use crate::time::Mono;
use crate::webhook::execution::{Claim, ExecutionId, Worker};
use crate::webhook::work::FromQueue;

/// One start of a proxy that works, or did.
#[derive(Debug)]
pub(super) struct Seat {
    /// Where it is spoken to; absent: its stream is over.
    pub(super) stream: Option<u64>,
    pub(super) slots: usize,
    pub(super) claims: BTreeSet<u64>,
    /// When it was heard last.
    pub(super) heard: Mono,
}

impl Seat {
    pub(super) fn free(&self) -> usize {
        match self.stream {
            Some(_) => self.slots.saturating_sub(self.claims.len()),
            None => 0,
        }
    }
}

impl Queue {
    /// A proxy begins to work, or goes on.
    pub(super) fn hello(
        &mut self,
        stream: u64,
        worker: &Worker,
        (slots, claims): (u32, Vec<u64>),
        now: Moment,
    ) {
        let seat = self.seats.entry(worker.clone()).or_insert(Seat {
            stream: None,
            slots: 0,
            claims: BTreeSet::new(),
            heard: now.mono,
        });
        if seat.stream.is_some_and(|newer| newer > stream) {
            return;
        }
        let before = seat.stream.replace(stream);
        seat.slots = usize::try_from(slots)
            .unwrap_or(usize::MAX)
            .min(WEBHOOK_SLOTS);
        seat.heard = now.mono;
        let in_hand = seat.claims.clone();
        if let Some(before) = before {
            self.streams.remove(&before);
        }
        self.streams.insert(stream, worker.clone());
        self.messages.push((
            stream,
            FromQueue::Welcome {
                lease: WEBHOOK_LEASE,
            },
        ));
        let said: BTreeSet<u64> = claims.into_iter().collect();
        for claim in said.difference(&in_hand) {
            self.messages
                .push((stream, FromQueue::Revoked { claim: *claim }));
        }
        // It was not heard of these: its stream ended before.
        for claim in in_hand.difference(&said) {
            self.tell(stream, *claim);
        }
        self.lapse_predecessors(worker, now);
    }

    /// A stream is over. Its proxy may come back.
    pub(super) fn gone(&mut self, stream: u64, now: Moment) {
        let Some(worker) = self.streams.remove(&stream) else {
            return;
        };
        if let Some(seat) = self.seats.get_mut(&worker)
            && seat.stream == Some(stream)
        {
            seat.stream = None;
            if seat.claims.is_empty() {
                self.seats.remove(&worker);
            }
        }
        let mut others = self.seats.iter();
        let successor = others.find(|(other, seat)| {
            other.proxy == worker.proxy
                && other.incarnation != worker.incarnation
                && seat.stream.is_some()
        });
        if let Some((successor, _)) = successor {
            let successor = successor.clone();
            self.lapse_predecessors(&successor, now);
        }
    }

    pub(super) fn hear(&mut self, stream: u64, now: Moment) {
        let worker = self.streams.get(&stream);
        if let Some(seat) = worker.and_then(|worker| self.seats.get_mut(worker)) {
            seat.heard = now.mono;
        }
    }

    /// A proxy speaks of a claim: whose it is, and the claim is over. If it is not its own, it is
    /// told.
    pub(super) fn heard(
        &mut self,
        stream: u64,
        claim: u64,
        now: Moment,
    ) -> Option<(ExecutionId, Worker)> {
        self.hear(stream, now);
        let worker = self.streams.get(&stream)?.clone();
        let seat = self.seats.get_mut(&worker)?;
        if !seat.claims.remove(&claim) {
            self.messages.push((stream, FromQueue::Revoked { claim }));
            return None;
        }
        Some((self.claims.remove(&claim)?, worker))
    }

    /// A proxy that an owner before this one has told of a claim is expected to speak of it.
    pub(super) fn expect(&mut self, claim: &Claim, id: ExecutionId, now: Moment) {
        self.claims.insert(claim.number, id);
        let seat = self.seats.entry(claim.worker.clone()).or_insert(Seat {
            stream: None,
            slots: 0,
            claims: BTreeSet::new(),
            heard: now.mono,
        });
        seat.claims.insert(claim.number);
    }

    /// When the next proxy is given up.
    pub(super) fn next_lapse(&self) -> Option<Mono> {
        let heard = self.seats.values().map(|seat| seat.heard).min()?;
        Some(heard.after(WEBHOOK_LEASE))
    }

    /// Gives up the proxies that were not heard for too long.
    pub(super) fn lapse(&mut self, now: Moment) {
        let silent = |seat: &Seat| now.mono.since(seat.heard) >= WEBHOOK_LEASE;
        let lost: Vec<Worker> = self
            .seats
            .iter()
            .filter(|(_, seat)| silent(seat))
            .map(|(worker, _)| worker.clone())
            .collect();
        for worker in lost {
            self.give_up(&worker, now);
        }
    }

    /// An earlier start of the same proxy, whose stream is over, has ended.
    fn lapse_predecessors(&mut self, worker: &Worker, now: Moment) {
        let ended: Vec<Worker> = self
            .seats
            .iter()
            .filter(|(other, seat)| {
                other.proxy == worker.proxy && *other != worker && seat.stream.is_none()
            })
            .map(|(other, _)| other.clone())
            .collect();
        for other in ended {
            self.give_up(&other, now);
        }
    }

    /// What a proxy had in hand goes back into the queue; the attempts are used up.
    fn give_up(&mut self, worker: &Worker, now: Moment) {
        let Some(seat) = self.seats.remove(worker) else {
            return;
        };
        if let Some(stream) = seat.stream {
            self.streams.remove(&stream);
            self.ended.push(stream);
        }
        for claim in seat.claims {
            if let Some(id) = self.claims.remove(&claim) {
                self.lost(id, worker, now);
            }
        }
    }
}
