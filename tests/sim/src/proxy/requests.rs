//! The life of a request at a proxy: begin, attempts, reservations, settlement, end.
//!
//! What the rules are told to book is booked here a second time, for the oracle.

use agix_core::id::ModelName;
use agix_core::lease::{Admission, Outcome, Refused, Reservation, Reserved, Ticket, WaiterId};
use agix_core::quota::SessionId;
use agix_core::units::{NanoUsd, Tokens};
use agix_core::usage::{Cost, PriceSource, Usage, UsageSource, UsageTotals};

use super::{Act, Process, Scene};
use crate::clock::Nanos;
use crate::job::{Job, Part};
use crate::oracle::{Booking, Wait};

/// Why a request did not begin.
pub type Refusal = Refused;

/// A request that waits or runs.
#[derive(Debug)]
pub struct Request {
    agent: usize,
    job: Job,
    /// Nothing while it waits to begin.
    ticket: Option<Ticket>,
    attempt: usize,
    part: usize,
    /// What the present attempt has cost so far.
    cost: NanoUsd,
    /// Counts what it does, so that a plan that is out of date is known.
    step: u32,
    /// What it waits for, since when, and how long its proxy had stood still by then.
    waits: Option<(WaiterId, Nanos, Nanos)>,
    /// The session its permits are of.
    session: Option<SessionId>,
    /// Tokens set aside for it.
    tokens: Option<u64>,
    /// Whether it has a place.
    slot: bool,
}

impl Process {
    /// A request arrives.
    pub fn arrive(&mut self, id: u64, agent: usize, job: Job, scene: &mut Scene<'_>) {
        let link = self.session.link();
        let need = job.need();
        let patience = job.patience;
        let admission = self.agents[agent].agent.admit(need, &link, scene.mono);
        self.followed(agent);
        let mut request = Request {
            agent,
            job,
            ticket: None,
            attempt: 0,
            part: 0,
            cost: NanoUsd::ZERO,
            step: 0,
            waits: None,
            session: None,
            tokens: None,
            slot: false,
        };
        match admission {
            Admission::Granted(ticket) => {
                scene.oracle.stats.at_hand += 1;
                self.begin(id, request, ticket, scene);
            }
            Admission::Refused(refused) => Self::refuse(agent, refused, scene),
            Admission::Parked(waiter) => {
                self.wait(id, &mut request, waiter, scene);
                if let Some(patience) = patience {
                    let at = scene.now + patience;
                    scene.acts.push(Act::Leave { request: id, at });
                }
                self.requests.insert(id, request);
            }
        }
    }

    /// One that waited was decided.
    pub(super) fn waited(
        &mut self,
        agent: usize,
        waiter: WaiterId,
        outcome: Outcome,
        scene: &mut Scene<'_>,
    ) {
        let id = self.waiters.remove(&(agent, waiter));
        let Some((id, mut request)) = id.and_then(|id| self.requests.remove_entry(&id)) else {
            scene.oracle.breach("I15", || {
                format!("{waiter:?} was decided and is not waiting")
            });
            return;
        };
        if let Some((_, since, paused)) = request.waits.take() {
            let begins = request.ticket.is_none();
            let wait = Wait {
                agent,
                begins,
                since,
                paused,
            };
            scene.oracle.waited(&wait, scene.now, scene.paused);
        }
        match outcome {
            Outcome::Admitted(ticket) => self.begin(id, request, ticket, scene),
            Outcome::Reserved(part) => self.reserved(id, request, part, scene),
            Outcome::Refused(refused) if request.ticket.is_none() => {
                Self::refuse(agent, refused, scene);
            }
            Outcome::Refused(_) => self.end(request, scene),
        }
    }

    /// It is time to look at a request again.
    pub fn step(&mut self, id: u64, step: u32, scene: &mut Scene<'_>) {
        let current = self.requests.get(&id).is_some_and(|it| it.step == step);
        let Some(mut request) = current.then(|| self.requests.remove(&id)).flatten() else {
            return;
        };
        let attempt = &request.job.attempts[request.attempt];
        if let Some(next) = attempt.parts.get(request.part + 1).copied() {
            request.part += 1;
            return self.extend(id, request, next, scene);
        }
        let is_last = request.attempt + 1 >= request.job.attempts.len();
        if is_last {
            return self.end(request, scene);
        }
        // The attempt failed: what it cost is settled, and the next one needs money of its own.
        self.settle(&mut request, scene);
        request.attempt += 1;
        request.part = 0;
        let next = request.job.attempts[request.attempt].parts[0];
        self.extend(id, request, next, scene);
    }

    /// A request's caller leaves.
    pub fn leave(&mut self, id: u64, scene: &mut Scene<'_>) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        if let Some((waiter, ..)) = request.waits {
            self.waiters.remove(&(request.agent, waiter));
            self.agents[request.agent].agent.cancel(waiter);
        }
        self.end(request, scene);
    }

    /// The process is killed: nothing more is known of what it was doing.
    pub fn die(mut self, amnesia: bool, scene: &mut Scene<'_>) {
        scene.oracle.died(self.incarnation, amnesia);
        let requests = std::mem::take(&mut self.requests);
        for (_, request) in requests {
            let Some(ticket) = &request.ticket else {
                continue;
            };
            scene.oracle.ended(request.agent, request.slot);
            let mut left = request.cost;
            let mut last = None;
            for part in ticket.parts() {
                let spent = part.amount.min(left);
                left = left.saturating_sub(spent);
                last = Some(part.day);
                let booking = Booking {
                    day: part.day,
                    freed: part.amount,
                    spent,
                    presumed: part.amount,
                    ..Booking::none(request.agent, self.incarnation, part.day)
                };
                scene.oracle.book(&booking, scene.now);
            }
            let booked = last.is_some() || self.has_budget(request.agent);
            if let Some(day) = last.or(ticket.day()).filter(|_| booked) {
                let booking = Booking {
                    spent: left,
                    overrun: left,
                    unknown: left,
                    ..Booking::none(request.agent, self.incarnation, day)
                };
                scene.oracle.book(&booking, scene.now);
            }
        }
    }

    fn begin(&mut self, id: u64, mut request: Request, ticket: Ticket, scene: &mut Scene<'_>) {
        let agent = request.agent;
        let terms = &self.agents[agent].agent.rules().terms;
        let bounded = !ticket.is_unbounded();
        request.slot = terms.max_concurrent.is_some() && bounded;
        request.tokens =
            (terms.tokens_per_minute.is_some() && bounded).then_some(request.job.tokens);
        request.session = self.agents[agent].session;
        scene
            .oracle
            .admitted(agent, bounded, request.slot, scene.now);
        for part in ticket.parts() {
            self.set_aside(agent, part, scene);
        }
        request.ticket = Some(ticket);
        if let Some(leaves) = request.job.leaves {
            let at = scene.now + leaves;
            scene.acts.push(Act::Leave { request: id, at });
        }
        let first = request.job.attempts[0].parts[0];
        self.run(id, request, first, scene);
    }

    fn run(&mut self, id: u64, mut request: Request, part: Part, scene: &mut Scene<'_>) {
        request.cost = request.cost.saturating_add(part.cost);
        request.step += 1;
        let at = scene.now + part.lasts;
        scene.acts.push(Act::Step {
            request: id,
            step: request.step,
            at,
        });
        self.requests.insert(id, request);
    }

    /// Sets money aside for the next part.
    fn extend(&mut self, id: u64, mut request: Request, next: Part, scene: &mut Scene<'_>) {
        let agent = request.agent;
        if !self.has_budget(agent) || next.reserve.is_zero() {
            return self.run(id, request, next, scene);
        }
        let link = self.session.link();
        let Some(ticket) = &request.ticket else {
            return self.end(request, scene);
        };
        let reservation = self.agents[agent]
            .agent
            .reserve(ticket, next.reserve, &link, scene.mono);
        self.followed(agent);
        match reservation {
            Reservation::Held(part) => self.reserved(id, request, part, scene),
            Reservation::Refused(_) => self.end(request, scene),
            Reservation::Parked(waiter) => {
                self.wait(id, &mut request, waiter, scene);
                request.step += 1;
                self.requests.insert(id, request);
            }
        }
    }

    fn reserved(&mut self, id: u64, mut request: Request, part: Reserved, scene: &mut Scene<'_>) {
        self.set_aside(request.agent, &part, scene);
        if let Some(ticket) = &mut request.ticket {
            ticket.add(part);
        }
        let next = request.job.attempts[request.attempt].parts[request.part];
        self.run(id, request, next, scene);
    }

    fn wait(&mut self, id: u64, request: &mut Request, waiter: WaiterId, scene: &mut Scene<'_>) {
        self.waiters.insert((request.agent, waiter), id);
        request.waits = Some((waiter, scene.now, scene.paused));
    }

    fn refuse(agent: usize, refused: Refused, scene: &mut Scene<'_>) {
        scene.oracle.refused(agent, &refused);
        scene.acts.push(Act::Over {
            agent,
            refusal: Some(refused),
        });
    }

    /// Settles a request and hands back everything it has.
    fn end(&mut self, mut request: Request, scene: &mut Scene<'_>) {
        let agent = request.agent;
        let refusal = None;
        scene.acts.push(Act::Over { agent, refusal });
        if request.ticket.is_none() {
            return;
        }
        self.settle(&mut request, scene);
        let Some(ticket) = request.ticket.take() else {
            return;
        };
        let seat = &mut self.agents[agent];
        let mut totals = UsageTotals::default();
        let usage = Usage {
            input: Tokens::new(request.job.tokens_used),
            ..Usage::default()
        };
        let cost = Cost::Known(NanoUsd::ZERO, PriceSource::Simulated);
        totals.count(&usage, UsageSource::Reported, cost);
        if let Ok(model) = ModelName::new("model") {
            seat.agent.count(&model, &ticket, &totals);
            scene.oracle.counted(agent, self.incarnation, &totals);
        }
        let used = request.job.tokens_used;
        let link = self.session.link();
        // What a lost session had set aside was counted when its lease ended.
        let counts = seat.session == request.session && link.is_usable(scene.mono);
        if counts && seat.agent.rules().terms.tokens_per_minute.is_some() {
            scene
                .oracle
                .took_tokens(agent, used, request.tokens, scene.now);
        }
        scene.oracle.ended(agent, request.slot);
        seat.agent.finish(ticket, used, scene.mono);
    }

    /// Books what the present attempt cost and frees what is left of its reservation.
    fn settle(&mut self, request: &mut Request, scene: &mut Scene<'_>) {
        let now = scene.mono;
        let agent = request.agent;
        let Some(ticket) = &mut request.ticket else {
            return;
        };
        let cost = std::mem::take(&mut request.cost);
        let before: Vec<Reserved> = ticket.parts().copied().collect();
        let seat = &mut self.agents[agent];
        seat.agent.spend(ticket, cost, now);
        seat.agent.free(ticket, NanoUsd::ZERO, now);
        let day = ticket.day();
        let mut left = cost;
        for part in &before {
            let spent = part.amount.min(left);
            left = left.saturating_sub(spent);
            let booking = Booking {
                freed: part.amount,
                spent,
                ..Booking::none(agent, self.incarnation, part.day)
            };
            scene.oracle.book(&booking, scene.now);
        }
        let last = before.last().map(|part| part.day);
        let day = if self.has_budget(agent) {
            last.or(day)
        } else {
            last
        };
        if let Some(day) = day.filter(|_| !left.is_zero()) {
            let booking = Booking {
                spent: left,
                overrun: left,
                ..Booking::none(agent, self.incarnation, day)
            };
            scene.oracle.book(&booking, scene.now);
        }
    }

    fn set_aside(&self, agent: usize, part: &Reserved, scene: &mut Scene<'_>) {
        let booking = Booking {
            reserved: part.amount,
            ..Booking::none(agent, self.incarnation, part.day)
        };
        scene.oracle.book(&booking, scene.now);
    }

    fn has_budget(&self, agent: usize) -> bool {
        self.agents[agent].agent.rules().terms.has_budget()
    }

    /// Requests that wait, for what and since when.
    pub fn waiting(&self) -> impl Iterator<Item = Wait> {
        self.requests.values().filter_map(|request| {
            let (_, since, paused) = request.waits?;
            Some(Wait {
                agent: request.agent,
                begins: request.ticket.is_none(),
                since,
                paused,
            })
        })
    }
}
