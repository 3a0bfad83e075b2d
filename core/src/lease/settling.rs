//! Settling what a request set aside: booked once, where it was set aside, whatever became of that
//! session. Never refused.

use super::agent::Agent;
use super::ticket::{Reserved, Ticket};
use crate::quota::SessionId;
use crate::time::Mono;
use crate::units::NanoUsd;

impl Agent {
    /// Books what an attempt cost, against what the ticket has set aside. Never refused.
    pub fn spend(&mut self, ticket: &mut Ticket, cost: NanoUsd, now: Mono) {
        if !self.rules.terms.has_budget() && ticket.first.is_none() {
            return;
        }
        self.dirty = true;
        self.urgent |= self.is_pressed(now);
        let mut left = cost;
        let mut last = None;
        for part in ticket.first.iter_mut().chain(&mut ticket.more) {
            let paid = part.amount.min(left);
            left = left.saturating_sub(paid);
            part.amount = part.amount.saturating_sub(paid);
            last = Some(*part);
            self.settle(part, paid, paid);
        }
        // What was not set aside is spent all the same, and is debt.
        let unbounded = ticket.day.map(|day| Reserved {
            session: self.session,
            day,
            amount: NanoUsd::ZERO,
            calls: 0,
        });
        if let Some(part) = last.or(unbounded).filter(|_| !left.is_zero()) {
            self.settle(&part, NanoUsd::ZERO, left);
        }
    }

    /// Frees what a ticket has set aside beyond `keep`.
    pub fn free(&mut self, ticket: &mut Ticket, keep: NanoUsd, now: Mono) {
        let mut kept = keep;
        for part in ticket.first.iter_mut().chain(&mut ticket.more) {
            let stays = part.amount.min(kept);
            kept = kept.saturating_sub(stays);
            let freed = part.amount.saturating_sub(stays);
            part.amount = stays;
            self.settle(part, freed, NanoUsd::ZERO);
        }
        self.dirty = true;
        self.urgent |= self.is_pressed(now);
    }

    /// Frees money that was set aside and belongs to no ticket.
    pub fn hand_back(&mut self, part: Reserved, now: Mono) {
        self.settle(&part, part.amount, NanoUsd::ZERO);
        self.let_go(&part);
        self.dirty = true;
        self.urgent |= self.is_pressed(now);
    }

    /// A request has ended and took so many tokens: its place and what it set aside are free.
    pub fn finish(&mut self, mut ticket: Ticket, tokens: u64, now: Mono) {
        self.free(&mut ticket, NanoUsd::ZERO, now);
        for part in ticket.parts() {
            self.let_go(part);
        }
        if ticket.session != self.session {
            return;
        }
        self.tokens.release(ticket.tokens);
        if self.rules.terms.tokens_per_minute.is_some() {
            self.tokens.consume(tokens, now);
        }
        if ticket.slot {
            self.slots.release(1);
        }
    }

    /// Books a part of a ticket where it belongs: in the present session or in a closed one.
    fn settle(&mut self, part: &Reserved, freed: NanoUsd, spent: NanoUsd) {
        match self.closed_one(part) {
            Some(session) => self.past.settle(session, part.day, freed, spent),
            None => self.money.settle(part.day, freed, spent),
        }
    }

    /// No call charges a part of a ticket any more.
    fn let_go(&mut self, part: &Reserved) {
        match self.closed_one(part) {
            Some(session) => self.past.let_go(session, part.day, part.calls),
            None => self.money.let_go(part.day, part.calls),
        }
    }

    fn closed_one(&self, part: &Reserved) -> Option<SessionId> {
        part.session.filter(|_| part.session != self.session)
    }
}
