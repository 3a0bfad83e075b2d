//! Taking in what proxies say: what changed becomes facts, what they want becomes claims.

use crate::id::AgentName;
use crate::ledger::claims::{Claim, MoneyClaim};
use crate::ledger::machine::Seat;
use crate::ledger::{Entry, Holding, Ledger, LedgerTime};
use crate::limits::{LEASE, LEASE_RENEWAL_STEP, SESSIONS, USAGE_UNLISTED};
use crate::planted::{self, Bug};
use crate::policy::TimeZoneName;
use crate::quota::{
    AgentReport, Day, FromLedger, Hello, MoneyReport, PastReport, Pool, PoolReport, Report,
    SessionId, Terms, UsageReport, Use,
};
use crate::rate::drift_over;
use crate::time::Wall;
use crate::usage::UsageTotals;

impl Ledger {
    pub(super) fn hello(&mut self, stream: u64, hello: &Hello, now: LedgerTime) {
        let before = self.streams.get(&stream).copied();
        let wanted = before.or(hello.resume);
        let resumed = wanted.filter(|session| self.may_resume(*session, hello, now));
        let session = match resumed {
            Some(session) => {
                self.renew(session, now);
                session
            }
            None => match self.open(hello, now) {
                Some(session) => session,
                None => return,
            },
        };
        if !self.seat(session, stream, 0) {
            return;
        }
        let welcome = FromLedger::Welcome {
            term: self.term,
            session,
            resumed: hello.resume == Some(session),
            sent: hello.sent,
        };
        self.answers.push((stream, welcome));
    }

    fn may_resume(&self, session: SessionId, hello: &Hello, now: LedgerTime) -> bool {
        self.books.sessions.get(&session).is_some_and(|book| {
            book.open
                && book.until >= now
                && book.proxy == hello.proxy
                && book.incarnation == hello.incarnation
        })
    }

    /// A new session; none if there are too many.
    fn open(&mut self, hello: &Hello, now: LedgerTime) -> Option<SessionId> {
        if self.books.sessions.len() >= SESSIONS {
            let oldest = self.books.sessions.iter().find(|(_, book)| !book.open);
            let session = *oldest?.0;
            self.note(Entry::Forgotten { session }, now);
        }
        let session = SessionId::new(self.books.sessions_opened.saturating_add(1));
        let until = now.after(LEASE);
        let opened = self.note(
            Entry::SessionOpened {
                session,
                proxy: hello.proxy.clone(),
                incarnation: hello.incarnation,
                until,
            },
            now,
        );
        self.expiries.insert((until, session));
        opened.then_some(session)
    }

    fn renew(&mut self, session: SessionId, now: LedgerTime) {
        let until = now.after(LEASE);
        let Some(book) = self.books.sessions.get(&session) else {
            return;
        };
        let before = book.until;
        if until > before && self.note(Entry::Renewed { session, until }, now) {
            self.expiries.remove(&(before, session));
            self.expiries.insert((until, session));
        }
    }

    /// Gives a session its stream; one it had before is heard no more.
    /// False: it has a newer one already, and this was said on one that is given up.
    fn seat(&mut self, session: SessionId, stream: u64, newest: u64) -> bool {
        let has = self.seats.get(&session).map(|seat| seat.stream);
        if has.is_some_and(|has| has > stream) {
            return false;
        }
        self.streams.insert(stream, session);
        let seat = Seat {
            stream,
            newest,
            confirmed: Vec::new(),
            renewed: None,
            owed: false,
            agents: std::collections::BTreeSet::new(),
        };
        if let Some(old) = self.seats.insert(session, seat)
            && old.stream != stream
        {
            self.streams.remove(&old.stream);
        }
        // Whatever was on its way when the last stream ended is said again.
        if let Some(book) = self.books.sessions.get(&session) {
            for agent in book.agents.clone() {
                self.owe(session, &agent);
            }
        }
        true
    }

    pub(super) fn gone(&mut self, stream: u64) {
        if let Some(session) = self.streams.remove(&stream) {
            self.seats.remove(&session);
        }
    }

    pub(super) fn goodbye(&mut self, stream: u64, session: SessionId, now: LedgerTime) {
        self.gone(stream);
        let Some(book) = self.books.sessions.get(&session) else {
            return;
        };
        let until = book.until;
        let agents = book.agents.clone();
        self.expiries.remove(&(until, session));
        if book.open {
            self.note(Entry::SessionClosed { session }, now);
        }
        for agent in agents {
            let parts: Vec<_> = self
                .books
                .agents
                .get(&agent)
                .into_iter()
                .flat_map(|books| &books.purses)
                .filter_map(|(day, purse)| Some((*day, *purse.parts.get(&session)?)))
                .collect();
            for (day, part) in parts {
                self.note(
                    Entry::Settled {
                        session,
                        agent: agent.clone(),
                        day,
                        spent: part.spent,
                        released: part.released,
                        estimated: part.estimated,
                        last: true,
                    },
                    now,
                );
            }
            self.left(session, &agent, now);
        }
        self.note(Entry::Forgotten { session }, now);
    }

    /// The lease of a session is over.
    pub(super) fn expire(&mut self, session: SessionId, now: LedgerTime, wall: Wall) {
        let Some(book) = self.books.sessions.get(&session) else {
            return;
        };
        let agents = book.agents.clone();
        self.note(Entry::SessionClosed { session }, now);
        if let Some(seat) = self.seats.remove(&session) {
            self.streams.remove(&seat.stream);
            self.answers
                .push((seat.stream, FromLedger::Closed { session }));
        }
        for agent in agents {
            self.left(session, &agent, now);
            self.decide(&agent, now, wall);
        }
    }

    fn left(&mut self, session: SessionId, agent: &AgentName, now: LedgerTime) {
        if let Some(claims) = self.claims.get_mut(agent) {
            claims.drop_session(session);
        }
        // Others may get what came free.
        self.wake(agent, now);
    }

    pub(super) fn report(&mut self, stream: u64, report: Report, now: LedgerTime, wall: Wall) {
        let Report {
            session,
            number,
            sent,
            agents,
            usage,
            past,
        } = report;
        let Some(book) = self.books.sessions.get(&session) else {
            self.answers.push((stream, FromLedger::Closed { session }));
            return;
        };
        let live = book.open && book.until >= now;
        if !live {
            // What it spent is true whether its lease lasted or not.
            for row in &usage {
                self.take_usage(row, now, wall);
            }
            for report in agents {
                if let Some(money) = &report.money {
                    self.agree_terms(&report.agent, now);
                    self.take_purses(session, &report.agent, money, now);
                }
            }
            self.answers.push((stream, FromLedger::Closed { session }));
            return;
        }
        let seated = self.streams.get(&stream) == Some(&session);
        let newest = self.seats.get(&session).map_or(0, |seat| seat.newest);
        if !seated {
            self.seat(session, stream, newest);
        }
        let fresh = number > newest;
        let until = self.books.sessions.get(&session).map(|book| book.until);
        let due = now.after(LEASE.saturating_sub(LEASE_RENEWAL_STEP));
        let renewed = until.is_none_or(|until| until <= due);
        if renewed {
            self.renew(session, now);
        }
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.owed = true;
            seat.newest = seat.newest.max(number);
            seat.confirmed.push(number);
            if renewed {
                seat.renewed = seat.renewed.max(Some(sent));
            }
        }
        for row in &usage {
            self.take_usage(row, now, wall);
        }
        for past in &past {
            self.take_past(session, past, now, wall);
        }
        for report in agents {
            self.take_agent(session, &report, fresh, now, wall);
        }
    }

    fn take_agent(
        &mut self,
        session: SessionId,
        report: &AgentReport,
        fresh: bool,
        now: LedgerTime,
        wall: Wall,
    ) {
        let agent = &report.agent;
        self.agree_terms(agent, now);
        let pools = [
            (Pool::Requests, &report.requests),
            (Pool::Tokens, &report.tokens),
            (Pool::Slots, &report.slots),
        ];
        let books = self.books.agents.get(agent);
        let known = pools.map(|(pool, _)| {
            let holding = books.and_then(|books| books.pool(pool).get(&session));
            holding.copied().unwrap_or_default()
        });
        for ((pool, told), known) in pools.into_iter().zip(known) {
            if let Some(told) = told {
                self.take_pool(session, agent, pool, (told, known), now);
            }
        }
        if let Some(money) = &report.money {
            self.take_purses(session, agent, money, now);
        }
        let terms = self.books.agents.get(agent).map(|books| &books.terms);
        let budgeted = terms.is_some_and(Terms::has_budget);
        let today = budgeted.then(|| self.today(agent, now, wall));
        if fresh {
            self.take_claims(session, report, today);
        }
        self.owe(session, agent);
        self.decide(agent, now, wall);
    }

    fn take_claims(&mut self, session: SessionId, report: &AgentReport, today: Option<Day>) {
        let claims = self.claims.entry(report.agent.clone()).or_default();
        let pools = [
            (Pool::Requests, &report.requests),
            (Pool::Tokens, &report.tokens),
            (Pool::Slots, &report.slots),
        ];
        for (pool, told) in pools {
            let of_pool = claims.pool_mut(pool);
            let Some(told) = told else {
                of_pool.remove(&session);
                continue;
            };
            let claim = Claim {
                reserved: told.reserved,
                waiting: told.waiting,
                want: told.want,
                unheard: false,
            };
            of_pool.insert(session, claim);
        }
        if let Some(money) = &report.money {
            let reserved = money.purses.iter().find(|purse| Some(purse.day) == today);
            let claim = MoneyClaim {
                day: today,
                reserved: reserved.map(|purse| purse.reserved).unwrap_or_default(),
                waiting: money.waiting,
                first: money.first,
                want: money.want,
                unheard: false,
            };
            claims.money.insert(session, claim);
        } else {
            claims.money.remove(&session);
        }
        // An owner before this one counted on from there.
        claims.recall.number = claims.recall.number.max(report.recall_seen);
        claims.recall.deaf.remove(&session);
        if report.recall_seen >= claims.recall.number {
            claims.recall.pending.remove(&session);
        }
    }

    fn take_pool(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        pool: Pool,
        (told, known): (&PoolReport, Holding),
        now: LedgerTime,
    ) {
        let used = told.used.saturating_sub(known.used);
        let returned = told.returned.saturating_sub(known.returned);
        if used == 0 && returned == 0 {
            return;
        }
        if pool == Pool::Requests {
            let claims = self.claims.entry(agent.clone()).or_default();
            claims.count_recent(used, now);
        }
        self.note(
            Entry::Used {
                session,
                agent: agent.clone(),
                pool,
                uses: latest(&told.uses, used, now),
                returned,
            },
            now,
        );
    }

    fn take_purses(
        &mut self,
        session: SessionId,
        agent: &AgentName,
        money: &MoneyReport,
        now: LedgerTime,
    ) {
        for told in &money.purses {
            let known = self
                .books
                .agents
                .get(agent)
                .and_then(|books| books.purses.get(&told.day)?.parts.get(&session))
                .copied()
                .unwrap_or_default();
            let is_old = told.spent <= known.spent && told.released <= known.released;
            let is_late = known.last && !planted::has(Bug::LateReportCounted);
            let is_old = is_old && (!known.last || is_late);
            if is_old || is_late {
                continue;
            }
            let settled = self.note(
                Entry::Settled {
                    session,
                    agent: agent.clone(),
                    day: told.day,
                    spent: told.spent,
                    released: told.released,
                    estimated: false,
                    last: false,
                },
                now,
            );
            if settled {
                self.raise_alerts(agent, told.day, now);
            }
        }
    }

    fn take_past(&mut self, by: SessionId, past: &PastReport, now: LedgerTime, wall: Wall) {
        let PastReport {
            session,
            agent,
            day,
            spent,
            last,
            estimated,
        } = past;
        let sessions = &self.books.sessions;
        let Some((book, reporter)) = sessions.get(session).zip(sessions.get(&by)) else {
            return;
        };
        if book.proxy != reporter.proxy || by == *session {
            return;
        }
        if book.open {
            // Whoever calls it past has stopped using it; its permits still cool from the end of
            // its lease.
            self.expiries.remove(&(book.until, *session));
            self.expire(*session, now, wall);
        }
        let part = self
            .books
            .agents
            .get(agent)
            .and_then(|books| books.purses.get(day)?.parts.get(session))
            .copied()
            .unwrap_or_default();
        let is_new = *spent > part.spent || *last;
        if part.last || !is_new {
            return;
        }
        self.agree_terms(agent, now);
        let settled = self.note(
            Entry::Settled {
                session: *session,
                agent: agent.clone(),
                day: *day,
                spent: *spent,
                released: part.released,
                estimated: *estimated,
                last: *last,
            },
            now,
        );
        if settled {
            self.raise_alerts(agent, *day, now);
            self.wake(agent, now);
        }
    }

    fn take_usage(&mut self, row: &UsageReport, now: LedgerTime, wall: Wall) {
        let UsageReport {
            session,
            agent,
            model,
            day,
            totals,
        } = row;
        let Some(book) = self.books.sessions.get(session) else {
            return;
        };
        let key = (agent.clone(), model.clone(), *day);
        let seen = book.usage.get(&key).copied().unwrap_or_default();
        let repeats = planted::has(Bug::RepetitionCounted);
        if totals.since(&seen) == UsageTotals::default() && !repeats {
            return;
        }
        let booked = match day {
            Some(day) => *day,
            None => self.span(&TimeZoneName::default(), wall).day,
        };
        if !self.policy.contains_key(agent) && self.has_too_many_rows(booked, agent) {
            return;
        }
        self.note(
            Entry::Usage {
                session: *session,
                agent: agent.clone(),
                model: model.clone(),
                day: booked,
                budgeted: day.is_some(),
                totals: *totals,
            },
            now,
        );
    }

    /// Whether no further agent that the policy does not name gets a row on this day.
    fn has_too_many_rows(&self, day: Day, agent: &AgentName) -> bool {
        let mut rows = self.books.rows_of(day);
        rows.nth(USAGE_UNLISTED).is_some()
            && !self.books.rows_of(day).any(|row| row.agent == *agent)
    }
}

/// The latest `count` of these uses with the latest times they can have had; what is not told is
/// taken for used just now.
fn latest(uses: &[Use], count: u64, now: LedgerTime) -> Vec<(LedgerTime, u64)> {
    let mut left = count;
    let mut found = Vec::with_capacity(uses.len().min(8));
    for one in uses.iter().rev() {
        if left == 0 {
            break;
        }
        let taken = one.count.min(left);
        left = left.saturating_sub(taken);
        let times = if planted::has(Bug::UseTooOld) { 2 } else { 1 };
        let surely = one
            .age
            .saturating_mul(times)
            .saturating_sub(drift_over(one.age).saturating_mul(2));
        if taken > 0 {
            found.push((now.before(surely), taken));
        }
    }
    if left > 0 {
        found.push((now, left));
    }
    found
}
