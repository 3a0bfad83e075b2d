//! One agent at one proxy.

use std::collections::VecDeque;
use std::time::Duration;

use super::denied::{Denials, Denied};
use super::money::Money;
use super::parked::{Parked, WaiterId, Wish};
use super::past::{Past, UsageBook};
use super::pool::Pool;
use super::session::Link;
use super::ticket::{Need, Reserved, Ticket};
use crate::id::{AgentName, ModelName};
use crate::limits::{
    OUTAGE_ALLOWED_SHARE, OUTAGE_ALLOWED_TIME, OUTAGE_GRACE, PARKED_REQUESTS, STANDING_TIME,
};
use crate::policy::OnOutage;
use crate::quota::{Denial, Limit, PeriodStanding, SessionId, Standing, Terms, Window};
use crate::time::Mono;
use crate::units::NanoUsd;
use crate::usage::UsageTotals;

/// What limits an agent at a proxy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The limits.
    pub terms: Terms,
    /// What holds for requests and tokens when the ledger cannot be asked.
    pub rates_on_outage: OnOutage,
    /// What holds for money.
    pub money_on_outage: OnOutage,
}

/// Whether a request may begin.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Granted(Ticket),
    /// It waits; [`super::Decided`] says how it ends.
    Parked(WaiterId),
    /// It may not.
    Refused(Refused),
}

/// Whether more money was set aside.
#[derive(Debug, PartialEq, Eq)]
pub enum Reservation {
    /// It was; it belongs into the ticket.
    Held(Reserved),
    /// It waits.
    Parked(WaiterId),
    /// It was not.
    Refused(Refused),
}

/// Why a request may not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A limit on requests or tokens is used up.
    Limit {
        /// Which one.
        limit: Limit,
        /// How much it allows.
        allows: u64,
        /// When to come again.
        retry_after: Duration,
    },
    /// A budget leaves no room.
    Budget {
        /// Whether it is the month's; else the day's.
        monthly: bool,
        /// How it stands.
        standing: PeriodStanding,
        /// Whether it would fit if calls under way came out cheaper.
        busy: bool,
    },
    /// The ledger cannot be asked.
    Undecided,
    /// Too many requests are waiting.
    Crowded,
}

/// The state of one agent.
#[derive(Debug)]
pub struct Agent {
    pub(super) name: AgentName,
    pub(super) rules: Rules,
    pub(super) session: Option<SessionId>,
    pub(super) requests: Pool,
    pub(super) tokens: Pool,
    pub(super) slots: Pool,
    pub(super) money: Money,
    pub(super) past: Past,
    pub(super) usage: UsageBook,
    pub(super) parked: VecDeque<Parked>,
    pub(super) waiters: u64,
    pub(super) denied: Denials,
    pub(super) recall_seen: u64,
    pub(super) pressed_until: Mono,
    pub(super) reported: Option<Mono>,
    /// When usage or spend of the past was told last.
    pub(super) told: Option<Mono>,
    /// When it was last looked at who has waited long enough.
    pub(super) looked: Option<Mono>,
    /// When it was last seen that the ledger is asked in vain.
    pub(super) unheard: Mono,
    /// Whether the ledger should hear at once.
    pub(super) urgent: bool,
    /// Whether something happened that was not reported.
    pub(super) dirty: bool,
    /// Spent without the ledger's word since it was last heard.
    unbounded: NanoUsd,
}

impl Agent {
    /// An agent that holds nothing.
    pub fn new(name: AgentName, rules: Rules) -> Self {
        Self {
            name,
            rules,
            session: None,
            requests: Pool::default(),
            tokens: Pool::default(),
            slots: Pool::default(),
            money: Money::default(),
            past: Past::default(),
            usage: UsageBook::default(),
            parked: VecDeque::new(),
            waiters: 0,
            denied: Denials::default(),
            recall_seen: 0,
            pressed_until: Mono::default(),
            reported: None,
            told: None,
            looked: None,
            unheard: Mono::default(),
            urgent: false,
            dirty: false,
            unbounded: NanoUsd::ZERO,
        }
    }

    /// The agent.
    pub const fn name(&self) -> &AgentName {
        &self.name
    }

    /// Puts other limits in force. What is held and was used stays as it is.
    pub fn set_rules(&mut self, rules: Rules) {
        if self.rules != rules {
            self.rules = rules;
            self.denied = Denials::default();
            self.money.standing = None;
            self.urgent |= !self.parked.is_empty();
        }
    }

    /// The limits in force.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Asks for a request to begin. Everything it needs is taken, or nothing.
    pub fn admit(&mut self, need: Need, link: &Link, now: Mono) -> Admission {
        self.follow(link);
        if let Some(refused) = self.is_beyond(need) {
            return Admission::Refused(refused);
        }
        self.note_demand(need, now);
        if self.parked.is_empty()
            && let Some(ticket) = self.take(need, link, now)
        {
            return Admission::Granted(ticket);
        }
        if let Some(refused) = self.known_refusal(Wish::Begin(need), now) {
            return Admission::Refused(refused);
        }
        if !link.up || !link.is_usable(now) {
            let lacks_money = self.lacks_only_money(need);
            match self.on_outage(lacks_money) {
                OnOutage::Allow => {
                    if let Some(ticket) = self.let_through(need, link, now) {
                        return Admission::Granted(ticket);
                    }
                    return Admission::Refused(Refused::Undecided);
                }
                // Another control plane takes the ledger over.
                OnOutage::Deny | OnOutage::Held if !link.is_away_for(OUTAGE_GRACE, now) => {}
                OnOutage::Deny | OnOutage::Held => return Admission::Refused(Refused::Undecided),
            }
        }
        match self.park(Wish::Begin(need), now) {
            Some(waiter) => Admission::Parked(waiter),
            None => Admission::Refused(Refused::Crowded),
        }
    }

    /// Sets more money aside for a request that runs. What its ticket has set aside already does not
    /// come back while it waits.
    pub fn reserve(
        &mut self,
        ticket: &Ticket,
        amount: NanoUsd,
        link: &Link,
        now: Mono,
    ) -> Reservation {
        self.follow(link);
        if self.parked.is_empty()
            && let Some(reserved) = self.set_aside(amount, link, now)
        {
            return Reservation::Held(reserved);
        }
        let today = self.money.today(now);
        let own = ticket
            .parts()
            .filter(|part| Some(part.day) == today)
            .fold(NanoUsd::ZERO, |sum, part| sum.saturating_add(part.amount));
        let wish = Wish::Reserve { amount, own };
        if let Some(refused) = self.known_refusal(wish, now) {
            return Reservation::Refused(refused);
        }
        if link.is_away_for(OUTAGE_GRACE, now) && self.rules.money_on_outage != OnOutage::Allow {
            return Reservation::Refused(Refused::Undecided);
        }
        match self.park(wish, now) {
            Some(waiter) => Reservation::Parked(waiter),
            None => Reservation::Refused(Refused::Crowded),
        }
    }

    /// Counts usage of a model.
    pub fn count(&mut self, model: &ModelName, ticket: &Ticket, totals: &UsageTotals) {
        self.usage.count(self.session, model, ticket.day, totals);
        self.dirty = true;
    }

    /// A waiting request is no more.
    pub fn cancel(&mut self, waiter: WaiterId) {
        self.parked.retain(|parked| parked.id != waiter);
        self.dirty = true;
    }

    /// How the agent stands in the fleet, with what was spent here since.
    pub fn standing(&self) -> Option<Standing> {
        let (mut standing, _) = self.money.standing?;
        let (today, _) = self.money.today?;
        if let Some(day) = &mut standing.day {
            let here = self.money.unconfirmed(|day| day == today);
            day.spent = day.spent.saturating_add(here);
        }
        if let Some(month) = &mut standing.month {
            let here = self.money.unconfirmed(|day| day.month() == today.month());
            month.spent = month.spent.saturating_add(here);
        }
        Some(standing)
    }

    /// Permits at hand, for headers.
    pub const fn idle_requests(&self) -> u64 {
        self.requests.idle()
    }

    /// Requests waiting.
    pub fn waiting(&self) -> usize {
        self.parked.len()
    }

    /// Goes over to the proxy's session, if it has a new one.
    pub(super) fn follow(&mut self, link: &Link) {
        let Some(session) = link.session else { return };
        if self.session == Some(session) {
            return;
        }
        if let Some(old) = self.session {
            for (day, purse) in std::mem::take(&mut self.money.purses) {
                self.past.take(old, day, &purse);
            }
        }
        self.usage.begin(session);
        self.past.repeat();
        self.session = Some(session);
        self.requests.begin();
        self.tokens.begin();
        self.slots.begin();
        self.money.today = None;
        self.denied = Denials::default();
        self.recall_seen = 0;
        self.dirty = true;
        self.urgent |= !self.parked.is_empty();
    }

    /// Takes everything a request needs, if all of it is at hand.
    pub(super) fn take(&mut self, need: Need, link: &Link, now: Mono) -> Option<Ticket> {
        let terms = &self.rules.terms;
        let (requests, tokens) = (terms.counts_requests(), terms.tokens_per_minute.is_some());
        let (slots, budget, soft) = (
            terms.max_concurrent.is_some(),
            terms.has_budget(),
            terms.soft,
        );
        if !(requests || tokens || slots || budget) {
            return Some(Ticket::free());
        }
        let lasts = link.is_usable(now) && link.session == self.session;
        let has_rights = (!requests || self.requests.idle() > 0)
            && (!tokens || self.tokens.idle() >= need.tokens)
            && (!slots || self.slots.idle() > 0);
        if !lasts || !has_rights {
            return None;
        }
        let mut ticket = Ticket {
            session: self.session,
            ..Ticket::free()
        };
        if budget {
            let today = self.money.today(now)?;
            ticket.day = Some(today);
            if soft {
                // What others spend is learnt by asking; with traffic that is done all the time.
                let fresh = |(_, as_of): (Standing, Mono)| now.since(as_of) < STANDING_TIME;
                let known = self.money.standing.is_some_and(fresh);
                if !known || self.money.passed(now).is_some() {
                    return None;
                }
            } else if self.money.idle(now) < need.money {
                return None;
            }
            let amount = if soft { NanoUsd::ZERO } else { need.money };
            ticket.first = self.money.reserve(self.session, amount, now);
        }
        self.dirty = true;
        if requests {
            self.requests.consume(1, now);
        }
        if tokens {
            self.tokens.reserve(need.tokens);
            ticket.tokens = need.tokens;
        }
        if slots {
            self.slots.reserve(1);
            self.slots.note_level(now);
            ticket.slot = true;
        }
        Some(ticket)
    }

    /// Sets money aside, if it is at hand.
    pub(super) fn set_aside(
        &mut self,
        amount: NanoUsd,
        link: &Link,
        now: Mono,
    ) -> Option<Reserved> {
        let lasts = link.is_usable(now) && link.session == self.session;
        if !lasts || (!self.rules.terms.soft && self.money.idle(now) < amount) {
            return None;
        }
        let amount = if self.rules.terms.soft {
            NanoUsd::ZERO
        } else {
            amount
        };
        self.money.reserve(self.session, amount, now)
    }

    /// A request for more tokens than a minute has.
    fn is_beyond(&self, need: Need) -> Option<Refused> {
        let allows = self.rules.terms.tokens_per_minute?;
        (need.tokens > allows).then_some(Refused::Limit {
            limit: Limit::TokensPerMinute,
            allows,
            retry_after: Window::Minute.length(),
        })
    }

    /// Why it is known without asking that a wish cannot be met.
    pub(super) fn known_refusal(&mut self, wish: Wish, now: Mono) -> Option<Refused> {
        if let Wish::Begin(need) = wish {
            let (requests, tokens) = (self.requests.idle(), self.tokens.idle());
            let slots = self.slots.idle();
            let denied = self.denied.longest(now, |denied| match denied.limit {
                Limit::RequestsPerMinute | Limit::RequestsPerHour => requests == 0,
                Limit::TokensPerMinute => need.tokens >= denied.tokens && tokens < need.tokens,
                Limit::Concurrent => slots == 0,
            });
            if let Some(denied) = denied {
                return Some(denied.refuse(now));
            }
        }
        let (_, as_of) = self.money.standing?;
        // Of a day that has begun since, nothing is known.
        self.money.today(now)?;
        let is_fresh = now.since(as_of) < STANDING_TIME;
        if self.rules.terms.soft {
            let (monthly, standing) = self.money.passed(now).filter(|_| is_fresh)?;
            return Some(Refused::Budget {
                monthly,
                standing,
                busy: false,
            });
        }
        if wish.money() <= self.money.idle(now) {
            return None;
        }
        let need = wish.money().saturating_add(wish.own());
        let (monthly, standing) = self.money.exhausted(need).filter(|_| is_fresh)?;
        Some(Refused::Budget {
            monthly,
            standing,
            busy: false,
        })
    }

    pub(super) fn deny(&mut self, denial: &Denial, now: Mono) {
        let tokens = self.parked.iter().map(|it| it.wish.tokens()).min();
        self.denied
            .put(Denied::new(denial, tokens.unwrap_or(0), now));
    }

    pub(super) fn is_pressed(&self, now: Mono) -> bool {
        now < self.pressed_until
    }

    pub(super) fn on_outage(&self, lacks_only_money: bool) -> OnOutage {
        if lacks_only_money {
            self.rules.money_on_outage
        } else {
            self.rules.rates_on_outage
        }
    }

    pub(super) fn lacks_only_money(&self, need: Need) -> bool {
        let terms = &self.rules.terms;
        terms.has_budget()
            && (!terms.counts_requests() || self.requests.idle() > 0)
            && (terms.tokens_per_minute.is_none() || self.tokens.idle() >= need.tokens)
            && (terms.max_concurrent.is_none() || self.slots.idle() > 0)
            || !(terms.counts_requests()
                || terms.tokens_per_minute.is_some()
                || terms.max_concurrent.is_some())
    }

    /// Lets a request begin without the ledger's word: for a bounded time and at a bounded cost.
    pub(super) fn let_through(&mut self, need: Need, link: &Link, now: Mono) -> Option<Ticket> {
        if link.is_away_for(OUTAGE_ALLOWED_TIME, now) {
            return None;
        }
        let terms = &self.rules.terms;
        let mut day = None;
        if terms.has_budget() {
            let limit = terms.daily.into_iter().chain(terms.monthly).min()?;
            let most = limit.as_nanos().checked_div(OUTAGE_ALLOWED_SHARE)?;
            let sum = self.unbounded.saturating_add(need.money);
            if sum.as_nanos() > most {
                return None;
            }
            day = Some(self.money.today?.0);
            self.unbounded = sum;
        }
        if terms.counts_requests() {
            self.requests.consume(1, now);
        }
        self.dirty = true;
        Some(Ticket {
            session: self.session,
            day,
            unbounded: true,
            ..Ticket::free()
        })
    }

    /// The ledger was heard: what is let through without it begins at nothing again.
    pub(super) const fn heard(&mut self) {
        self.unbounded = NanoUsd::ZERO;
    }

    fn note_demand(&mut self, need: Need, now: Mono) {
        self.requests.demand.add(1, now);
        self.tokens.demand.add(need.tokens, now);
    }

    fn park(&mut self, wish: Wish, now: Mono) -> Option<WaiterId> {
        if self.parked.len() >= PARKED_REQUESTS {
            return None;
        }
        self.waiters = self.waiters.saturating_add(1);
        let id = WaiterId(self.waiters);
        self.parked.push_back(Parked {
            id,
            wish,
            since: now,
        });
        self.urgent = true;
        Some(id)
    }
}
