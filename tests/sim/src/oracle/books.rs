//! What the log says, against the truth.

use agix_core::ledger::{AlertPeriod, Batch, Books, Entry, LedgerTime, Money, check};
use agix_core::quota::{AgentUpdate, Day, FromLedger, Pool, SessionId, Window};
use agix_core::rate::Cooling;

use super::Oracle;
use crate::clock::{MINUTE, nanos};

impl Oracle {
    /// A batch was committed; these are the books with it.
    pub fn committed(&mut self, batch: &Batch, books: &Books) {
        self.stats.batches += 1;
        self.note(batch.number ^ batch.at.as_nanos());
        let mut touched = Vec::new();
        for entry in &batch.entries {
            touched.extend(self.entry(entry, books));
        }
        touched.sort_unstable();
        touched.dedup();
        for agent in touched {
            self.check_held(agent, books, batch.at);
            self.check_money(agent, books);
        }
        if self.stats.batches.is_multiple_of(64) {
            for finding in check(books, batch.at) {
                self.breach(finding.invariant, || finding.what.clone());
            }
        }
    }

    /// A batch of this term was committed when there was this newest one.
    pub fn appended(&mut self, term: u64, newest: u64) {
        if term < newest {
            self.breach("I8", || {
                format!("term {term} writes though there is term {newest}")
            });
        }
    }

    /// What the ledger tells a proxy is in the log.
    pub fn told(&mut self, message: &FromLedger, books: &Books) {
        match message {
            FromLedger::Welcome { session, .. } => {
                if session.number() > books.sessions_opened {
                    self.breach("I5", || format!("session {session} is not in the log"));
                }
            }
            FromLedger::Closed { .. } => {}
            FromLedger::Update(update) => {
                for told in &update.agents {
                    self.told_of(update.session, told, books);
                }
            }
        }
    }

    fn told_of(&mut self, session: SessionId, told: &AgentUpdate, books: &Books) {
        let open = books.sessions.get(&session).is_some_and(|it| it.open);
        let Some(of_agent) = books.agents.get(&told.agent).filter(|_| open) else {
            return;
        };
        for (pool, update) in [
            (Pool::Requests, &told.requests),
            (Pool::Tokens, &told.tokens),
            (Pool::Slots, &told.slots),
        ] {
            let granted = of_agent.pool(pool).get(&session).map_or(0, |it| it.granted);
            if let Some(update) = update
                && update.granted > granted
            {
                self.breach("I5", || {
                    format!(
                        "session {session} is told of {} {pool:?} of {}, the log has {granted}",
                        update.granted, told.agent
                    )
                });
            }
        }
        for purse in told.money.iter().flat_map(|money| &money.purses) {
            let part = of_agent.purses.get(&purse.day);
            let part = part.and_then(|it| it.parts.get(&session));
            let granted = part.map(|it| it.granted).unwrap_or_default();
            if purse.granted > granted {
                self.breach("I5", || {
                    format!(
                        "session {session} is told of {} of {}, the log has {granted}",
                        purse.granted, told.agent
                    )
                });
            }
        }
    }

    /// Takes a fact in; says which agent it is about.
    fn entry(&mut self, entry: &Entry, books: &Books) -> Option<usize> {
        match entry {
            Entry::SessionClosed { session } => {
                if !self.closed.insert(*session) {
                    self.breach("I7", || format!("session {session} is closed twice"));
                }
                None
            }
            Entry::Renewed { session, .. } => {
                if self.closed.contains(session) {
                    self.breach("I7", || format!("session {session} was closed"));
                }
                None
            }
            Entry::Alert {
                agent,
                period,
                percent,
                limit,
                spent,
            } => {
                let number = number(agent.as_str());
                let key = (number, named(*period), *percent, *limit);
                if !self.alerts.insert(key) {
                    self.breach("I9", || format!("{entry:?} is raised twice"));
                }
                let share = u128::from(spent.as_nanos()) * 100;
                if share < u128::from(limit.as_nanos()) * u128::from(percent.get()) {
                    self.breach("I9", || format!("{entry:?} is raised too soon"));
                }
                Some(number)
            }
            Entry::Adjusted {
                id,
                agent,
                day,
                nanos,
                ..
            } => {
                if !self.adjusted.insert(*id) {
                    self.breach("I6", || format!("correction {id} is booked twice"));
                }
                let number = number(agent.as_str());
                let account = self.account((number, *day));
                account.adjusted += nanos;
                let size = nanos.unsigned_abs();
                if *nanos < 0 {
                    account.credited += size;
                } else {
                    account.debited += size;
                }
                Some(number)
            }
            Entry::Granted { agent, .. }
            | Entry::Used { agent, .. }
            | Entry::Escrowed { agent, .. }
            | Entry::Settled { agent, .. } => Some(number(agent.as_str())),
            Entry::DayBegan { agent, day } => {
                let today = books.agents.get(agent).and_then(|it| it.day);
                if today > Some(*day) {
                    self.breach("I3", || format!("{agent}: the day goes back to {today:?}"));
                }
                None
            }
            Entry::SessionOpened { .. }
            | Entry::Terms { .. }
            | Entry::Usage { .. }
            | Entry::Forgotten { .. }
            | Entry::Archived { .. }
            | Entry::UsageDropped { .. } => None,
        }
    }

    fn check_held(&mut self, agent: usize, books: &Books, now: LedgerTime) {
        let Some(of_agent) = of(books, agent) else {
            return;
        };
        // Between owners the ledger's time may stand still for a while.
        let lag = self.now.saturating_sub(now.as_nanos());
        let held = of_agent.held(Pool::Requests);
        let counts = [
            (cools(&of_agent.minute, now), Window::Minute),
            (cools(&of_agent.hour, now), Window::Hour),
        ];
        for (cooling, window) in counts {
            let all = held + cooling;
            let bounded = self.is_bounded(agent, nanos(window.length()));
            if let Some(most) = self.requests_bound(agent, window, lag)
                && all > most
                && bounded
            {
                self.breach("I2", || {
                    format!(
                        "agent {agent}: {held} held and {cooling} cooling are more than {most} \
                         per {window:?}"
                    )
                });
            }
        }
        // Requests under way keep their places after a limit was lowered.
        let slots = of_agent.held(Pool::Slots);
        if let Some(most) = self.bound(agent, 10 * MINUTE, |terms| terms.max_concurrent)
            && slots > most
        {
            self.breach("I2", || {
                format!("agent {agent}: {slots} places are more than {most}")
            });
        }
    }

    fn check_money(&mut self, agent: usize, books: &Books) {
        let Some(of_agent) = of(books, agent) else {
            return;
        };
        let Some(day) = of_agent.day else { return };
        let month = day.month();
        for (from, to, monthly) in [
            (day, day, false),
            (month.first_day(), month.last_day(), true),
        ] {
            let money = money_of(books, agent, from, to);
            let truth = self
                .accounts
                .range((agent, from)..=(agent, to))
                .fold(super::Account::default(), |sum, (_, it)| sum.plus(it));
            let since = if truth.since == 0 {
                self.now
            } else {
                truth.since
            };
            let Some(limit) = self.money_bound(agent, since, monthly) else {
                continue;
            };
            let committed = money.committed().as_nanos();
            if committed > limit + truth.overrun + truth.debited {
                self.breach("I4", || {
                    format!("agent {agent}, {from} to {to}: {money:?} is more than {limit}")
                });
            }
        }
    }
}

/// What is still cooling.
fn cools(cooling: &Cooling, now: LedgerTime) -> u64 {
    let over = cooling.releases().take_while(|(at, _)| *at <= now);
    cooling.total() - over.map(|(_, count)| count).sum::<u64>()
}

/// The money of an agent's days.
pub(super) fn money_of(books: &Books, agent: usize, from: Day, to: Day) -> Money {
    of(books, agent).map_or_else(Money::default, |of_agent| {
        of_agent
            .purses
            .range(from..=to)
            .fold(Money::default(), |sum, (_, purse)| {
                sum.plus(&books.money_of(purse))
            })
    })
}

/// The books of the agent of this number.
pub(super) fn of(books: &Books, agent: usize) -> Option<&agix_core::ledger::AgentBooks> {
    let books = books.agents.get(format!("agent-{agent}").as_str());
    books.map(AsRef::as_ref)
}

/// The number of the agent of this name.
fn number(name: &str) -> usize {
    name.strip_prefix("agent-")
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

fn named(period: AlertPeriod) -> String {
    match period {
        AlertPeriod::Day(day) => day.to_string(),
        AlertPeriod::Month(month) => month.to_string(),
    }
}
