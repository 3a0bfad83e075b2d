//! The state of one agent behind its lock, and what a request holds of it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use agix_core::id::{AgentName, ModelName};
use agix_core::lease::{
    Admission, Agent, Decided, Link, Need, Note, Outcome, Refused, Reservation, Rules, Ticket,
    WaiterId,
};
use agix_core::limits::PUSH_INTERVAL;
use agix_core::quota::{AgentUpdate, Day, SessionId, Standing};
use agix_core::time::Mono;
use agix_core::units::NanoUsd;
use agix_core::usage::{Cost, Usage, UsageSource, UsageTotals};
use tokio::sync::oneshot;

use super::journal::{Left, Row, Slot};
use super::{Hub, Journal};

/// One agent at this proxy.
pub(crate) struct Gate {
    name: AgentName,
    hub: Arc<Hub>,
    /// Whether anything limits it: a request of one that nothing limits begins without the lock.
    limited: AtomicBool,
    state: Mutex<State>,
}

/// What the lock guards.
#[derive(Debug)]
pub(super) struct State {
    pub(super) agent: Agent,
    waiting: BTreeMap<WaiterId, oneshot::Sender<Outcome>>,
    /// When the driver means to look at the agent.
    due: Option<Mono>,
    /// When it last did.
    looked: Mono,
    /// Whether the driver is about to look when that is.
    queued: bool,
    /// Whether the driver has said that it cannot report: the agent is to be looked at only for those
    /// who wait.
    unheard: bool,
    /// Where its money stands in the journal.
    places: BTreeMap<(SessionId, Day), Slot>,
    /// Whether the agent was ever used: only then has the ledger heard of it.
    used: bool,
}

/// The rights of a request. What it does not settle is handed back when it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    ticket: Option<Ticket>,
}

/// What a model billed.
#[derive(Debug, Clone)]
pub(crate) struct Charge {
    pub(crate) model: ModelName,
    pub(crate) usage: Usage,
    pub(crate) source: UsageSource,
    pub(crate) cost: Cost,
}

/// Whether more money is set aside.
#[derive(Debug)]
pub(crate) enum Extension {
    Held,
    Waiting(Waiter),
    Refused(Refused),
}

/// A request that waits for rights. Dropped, it waits no more, and hands back what it was given
/// meanwhile.
#[derive(Debug)]
pub(crate) struct Waiter {
    gate: Arc<Gate>,
    id: WaiterId,
    outcome: oneshot::Receiver<Outcome>,
    decided: bool,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Gate {
    pub(super) fn new(name: AgentName, rules: Rules, hub: &Arc<Hub>) -> Self {
        Self {
            limited: AtomicBool::new(limits(&rules)),
            state: Mutex::new(State {
                agent: Agent::new(name.clone(), rules),
                waiting: BTreeMap::new(),
                due: None,
                looked: Mono::default(),
                queued: false,
                unheard: false,
                places: BTreeMap::new(),
                used: false,
            }),
            name,
            hub: Arc::clone(hub),
        }
    }

    pub(super) const fn name(&self) -> &AgentName {
        &self.name
    }

    /// Whether anything limits the agent.
    pub(crate) fn is_limited(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    pub(super) fn set_rules(self: &Arc<Self>, rules: Rules) {
        self.limited.store(limits(&rules), Ordering::Relaxed);
        let mut state = self.lock();
        if *state.agent.rules() != rules {
            state.agent.set_rules(rules);
            self.announce(&mut state, self.hub.clock.mono());
        }
    }

    /// Lets a request begin that nothing limits.
    pub(crate) fn let_in(self: &Arc<Self>) -> Pass {
        self.hub.metrics.unlimited.inc();
        self.pass(Ticket::free())
    }

    /// Lets a request begin, or says why it may not. Waits if that is not known yet.
    pub(crate) async fn enter(self: &Arc<Self>, need: Need) -> Result<Pass, Refused> {
        let metrics = &self.hub.metrics;
        let waiter = match self.ask(need) {
            Ok(Ok(ticket)) => {
                metrics.at_hand.inc();
                return Ok(self.pass(ticket));
            }
            Ok(Err(refused)) => {
                metrics.refused(&refused);
                return Err(refused);
            }
            Err(waiter) => waiter,
        };
        match waiter.await {
            Outcome::Admitted(ticket) => {
                metrics.waited.inc();
                Ok(self.pass(ticket))
            }
            Outcome::Refused(refused) => {
                metrics.refused(&refused);
                Err(refused)
            }
            Outcome::Reserved(part) => {
                // Not what was asked for.
                self.act(|state, _, now| state.agent.hand_back(part, now));
                Err(Refused::Undecided)
            }
        }
    }

    fn ask(self: &Arc<Self>, need: Need) -> Result<Result<Ticket, Refused>, Waiter> {
        self.act(|state, link, now| {
            // What is more than the limit itself could never begin.
            let most = state.agent.rules().terms.tokens_per_minute;
            let need = Need {
                tokens: need.tokens.min(most.unwrap_or(u64::MAX)),
                ..need
            };
            match state.agent.admit(need, link, now) {
                Admission::Granted(ticket) => Ok(Ok(ticket)),
                Admission::Refused(refused) => Ok(Err(refused)),
                Admission::Parked(id) => Err(self.wait(state, id)),
            }
        })
    }

    fn wait(self: &Arc<Self>, state: &mut State, id: WaiterId) -> Waiter {
        let (decide, outcome) = oneshot::channel();
        state.waiting.insert(id, decide);
        self.hub.metrics.parked.inc();
        Waiter {
            gate: Arc::clone(self),
            id,
            outcome,
            decided: false,
        }
    }

    fn reserved(
        self: &Arc<Self>,
        state: &mut State,
        ticket: &mut Ticket,
        reservation: Reservation,
    ) -> Extension {
        match reservation {
            Reservation::Held(part) => {
                ticket.add(part);
                Extension::Held
            }
            Reservation::Refused(refused) => Extension::Refused(refused),
            Reservation::Parked(id) => Extension::Waiting(self.wait(state, id)),
        }
    }

    fn pass(self: &Arc<Self>, ticket: Ticket) -> Pass {
        Pass {
            gate: Arc::clone(self),
            ticket: Some(ticket),
        }
    }

    /// How the agent stands against its budget, as far as it is known here.
    pub(crate) fn standing(&self) -> Option<Standing> {
        self.lock().agent.standing()
    }

    /// Does something with the state, writes down what that does to its money, and tells the driver if
    /// the ledger should hear of it.
    pub(super) fn act<T>(self: &Arc<Self>, act: impl FnOnce(&mut State, &Link, Mono) -> T) -> T {
        let mut state = self.lock();
        // Both are read under the lock: who comes later sees no older link.
        let link = **self.hub.link.load();
        let now = self.hub.clock.mono();
        state.used = true;
        let outcome = act(&mut state, &link, now);
        if let Some(journal) = &self.hub.journal {
            state.write_down(journal, &self.name);
        }
        self.announce(&mut state, now);
        outcome
    }

    /// Takes in what the ledger says.
    pub(super) fn update(self: &Arc<Self>, session: SessionId, update: &AgentUpdate) {
        self.act(|state, link, now| {
            let decided = state.agent.update(session, update, link, now);
            state.tell(decided, now);
        });
    }

    /// Takes over what a process before left open. It stays written down as it was found until it is
    /// settled.
    pub(super) fn inherit(self: &Arc<Self>, left: &Left) {
        let Row {
            session,
            day,
            money,
            ..
        } = left.row;
        self.act(|state, _, _| {
            state.places.insert((session, day), left.slot);
            state.agent.inherit(session, day, money);
        });
    }

    /// Decides who has waited long enough.
    pub(super) fn decide_overdue(self: &Arc<Self>) {
        self.act(|state, link, now| {
            let decided = state.agent.handle_timeout(link, now);
            state.tell(decided, now);
        });
    }

    /// The driver has the gate in hand: what changes from now on is news again. Says when the agent
    /// is to be looked at.
    pub(super) fn take_up(&self) -> Option<Mono> {
        let mut state = self.lock();
        state.queued = false;
        state.due
    }

    /// When the agent is to be looked at.
    pub(super) fn due(&self) -> Option<Mono> {
        self.lock().due
    }

    /// Whether the ledger has anything to do with the agent.
    pub(super) fn is_used(&self) -> bool {
        self.lock().used
    }

    /// Whether everything was reported and confirmed and nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.lock().agent.is_settled()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the gate on the driver's list if it is to be looked at earlier than was said before.
    fn announce(self: &Arc<Self>, state: &mut State, now: Mono) {
        let report = (!state.unheard).then(|| state.agent.report_due(now));
        // Those who wait for money are looked at now and then until they have waited long enough.
        let soonest = state.looked.after(PUSH_INTERVAL);
        let timeout = state.agent.poll_timeout().map(|at| at.max(soonest));
        let due = report.flatten().into_iter().chain(timeout).min();
        let earlier = match (due, state.due) {
            (Some(due), Some(said)) => due < said,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if !earlier {
            return;
        }
        state.due = due;
        if !state.queued {
            state.queued = true;
            if self.hub.news.try_send(Arc::clone(self)).is_err() {
                state.queued = false;
                self.hub.missed.store(true, Ordering::Release);
            }
        }
    }
}

impl State {
    /// The driver looks at the agent: what is due next counts anew. `heard` says whether the ledger
    /// can be told of it.
    pub(super) const fn look(&mut self, heard: bool, now: Mono) {
        self.due = None;
        self.looked = now;
        self.unheard = !heard;
    }

    /// Brings the journal up to date.
    fn write_down(&mut self, journal: &Journal, name: &AgentName) {
        let places = &mut self.places;
        self.agent.take_notes(
            |Note {
                 session,
                 day,
                 money,
             }| {
                let key = (session, day);
                let Some(money) = money else {
                    if let Some(slot) = places.remove(&key) {
                        journal.clear(slot);
                    }
                    return;
                };
                let slot = match places.entry(key) {
                    Entry::Occupied(place) => *place.get(),
                    Entry::Vacant(place) => match journal.place() {
                        Some(slot) => *place.insert(slot),
                        None => return,
                    },
                };
                let row = Row {
                    agent: name.clone(),
                    session,
                    day,
                    money,
                };
                journal.note(slot, &row);
            },
        );
    }

    /// Gives those who wait here what has just become free.
    fn serve(&mut self, link: &Link, now: Mono) {
        if self.agent.waiting() > 0 {
            let decided = self.agent.handle_timeout(link, now);
            self.tell(decided, now);
        }
    }

    /// Tells those who waited how it was decided.
    fn tell(&mut self, decided: Vec<Decided>, now: Mono) {
        for Decided { waiter, outcome } in decided {
            let untold = match self.waiting.remove(&waiter) {
                Some(decide) => decide.send(outcome).err(),
                None => Some(outcome),
            };
            if let Some(outcome) = untold {
                self.take_back(outcome, now);
            }
        }
    }

    /// Takes back what nobody waits for any more.
    fn take_back(&mut self, outcome: Outcome, now: Mono) {
        match outcome {
            Outcome::Admitted(ticket) => self.agent.finish(ticket, 0, now),
            Outcome::Reserved(part) => self.agent.hand_back(part, now),
            Outcome::Refused(_) => {}
        }
    }
}

impl Future for Waiter {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        Pin::new(&mut self.outcome).poll(cx).map(|outcome| {
            self.decided = true;
            outcome.unwrap_or(Outcome::Refused(Refused::Undecided))
        })
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.gate.hub.metrics.parked.dec();
        if self.decided {
            return;
        }
        self.gate.act(|state, _, now| {
            state.waiting.remove(&self.id);
            state.agent.cancel(self.id);
            if let Ok(outcome) = self.outcome.try_recv() {
                state.take_back(outcome, now);
            }
        });
    }
}

impl Pass {
    /// The money set aside.
    pub(crate) fn reserved(&self) -> NanoUsd {
        self.ticket.as_ref().map_or(NanoUsd::ZERO, Ticket::reserved)
    }

    /// Sets `needed` aside besides what is `lost` already; what was more is free again. A request
    /// that has to wait for money holds none meanwhile but what is lost, or requests that wait would
    /// wait for each other.
    pub(crate) async fn hold(&mut self, needed: NanoUsd, lost: NanoUsd) -> Result<(), Refused> {
        let total = needed.saturating_add(lost);
        let Some(ticket) = self.ticket.as_mut().filter(|it| it.day().is_some()) else {
            return Ok(());
        };
        let gate = &self.gate;
        let reserved = ticket.reserved();
        if reserved >= total || ticket.is_unbounded() {
            if reserved > total {
                gate.act(|state, link, now| {
                    state.agent.free(ticket, total, now);
                    state.serve(link, now);
                });
            }
            return Ok(());
        }
        let extension = gate.act(|state, link, now| {
            let missing = total.saturating_sub(reserved);
            let mut reservation = state.agent.reserve(ticket, missing, link, now);
            if let Reservation::Parked(id) = reservation
                && reserved > lost
            {
                state.agent.cancel(id);
                state.agent.free(ticket, lost, now);
                reservation = state.agent.reserve(ticket, needed, link, now);
            }
            let extension = gate.reserved(state, ticket, reservation);
            state.serve(link, now);
            extension
        });
        match extension {
            Extension::Held => Ok(()),
            Extension::Refused(refused) => Err(refused),
            Extension::Waiting(waiter) => {
                let outcome = waiter.await;
                self.take(outcome)
            }
        }
    }

    /// Brings the money set aside up to `total`, if that is possible at once.
    pub(crate) fn extend(&mut self, total: NanoUsd) -> Extension {
        let missing = total.saturating_sub(self.reserved());
        let Some(ticket) = self.ticket.as_mut().filter(|it| it.day().is_some()) else {
            return Extension::Held;
        };
        if missing.is_zero() || ticket.is_unbounded() {
            return Extension::Held;
        }
        let gate = &self.gate;
        gate.act(|state, link, now| {
            let reservation = state.agent.reserve(ticket, missing, link, now);
            gate.reserved(state, ticket, reservation)
        })
    }

    /// Takes what a [`Waiter`] was given.
    pub(crate) fn take(&mut self, outcome: Outcome) -> Result<(), Refused> {
        match (outcome, &mut self.ticket) {
            (Outcome::Reserved(part), Some(ticket)) => {
                ticket.add(part);
                Ok(())
            }
            (Outcome::Refused(refused), _) => Err(refused),
            (outcome, _) => {
                self.gate.act(|state, _, now| state.take_back(outcome, now));
                Err(Refused::Undecided)
            }
        }
    }

    /// Settles: books what was billed, and frees the rest.
    pub(crate) fn settle(mut self, charges: impl Iterator<Item = Charge>) {
        self.close(charges);
    }

    fn close(&mut self, charges: impl Iterator<Item = Charge>) {
        let Some(mut ticket) = self.ticket.take() else {
            return;
        };
        let mut charges = charges.peekable();
        if charges.peek().is_none() && ticket == Ticket::free() {
            return;
        }
        let overrun = self.gate.act(|state, link, now| {
            let mut tokens = 0_u64;
            let mut cost = NanoUsd::ZERO;
            for charge in charges {
                let mut totals = UsageTotals::default();
                totals.count(&charge.usage, charge.source, charge.cost);
                state.agent.count(&charge.model, &ticket, &totals);
                cost = cost.saturating_add(totals.cost);
                tokens = tokens.saturating_add(tokens_of(&charge.usage));
            }
            let was_reserved = ticket.parts().next().is_some();
            let overrun = cost.saturating_sub(ticket.reserved());
            state.agent.spend(&mut ticket, cost, now);
            state.agent.finish(ticket, tokens, now);
            state.serve(link, now);
            if was_reserved { overrun } else { NanoUsd::ZERO }
        });
        if !overrun.is_zero() {
            self.gate.hub.metrics.overrun(overrun);
            tracing::debug!(agent = %self.gate.name, %overrun, "a call cost more than was set aside");
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.close(std::iter::empty());
    }
}

fn tokens_of(usage: &Usage) -> u64 {
    usage
        .total_input()
        .saturating_add(usage.total_output())
        .get()
}

fn limits(rules: &Rules) -> bool {
    let terms = &rules.terms;
    terms.counts_requests()
        || terms.has_budget()
        || terms.tokens_per_minute.is_some()
        || terms.max_concurrent.is_some()
}
