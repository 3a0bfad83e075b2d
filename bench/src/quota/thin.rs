//! A proxy reduced to what its ledger sees of it, so that a hundred thousand agents of four proxies
//! take next to no memory and no time beside the ledger itself.

use std::time::Duration;

use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::ledger::Input;
use agix_core::quota::{
    AgentReport, AgentUpdate, Day, FromLedger, Hello, MoneyReport, PoolReport, PoolUpdate,
    PurseReport, Report, SessionId, UsageReport, Use,
};
use agix_core::time::Mono;
use agix_core::units::NanoUsd;
use agix_core::usage::UsageTotals;

use super::{COST, NEED, TOKENS, agent_number};

/// Requests of a busy agent between two reports.
const BUSY: u64 = 10;
/// Age of the uses that are reported.
const AGE: Duration = Duration::from_millis(50);

/// What an agent is reported for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request that finds nothing at hand asks.
    Ask,
    /// It is over; what it did not take is given back.
    Settle,
    /// Several requests were served by rights at hand, and more are foreseen.
    Busy,
}

/// One proxy.
#[derive(Debug)]
pub(super) struct Thin {
    proxy: ProxyId,
    stream: u64,
    session: SessionId,
    number: u64,
    holders: Vec<Holder>,
}

/// What it has of one agent.
#[derive(Debug, Clone, Copy)]
struct Holder {
    requests: Counts,
    tokens: Counts,
    slots: Counts,
    money: Counts,
    calls: u64,
}

/// Cumulative counts.
#[derive(Debug, Clone, Copy)]
struct Counts {
    granted: u64,
    used: u64,
    returned: u64,
}

impl Counts {
    const NONE: Self = Self {
        granted: 0,
        used: 0,
        returned: 0,
    };

    const fn idle(self) -> u64 {
        self.granted
            .saturating_sub(self.used)
            .saturating_sub(self.returned)
    }

    /// Uses up to so much of what is at hand.
    fn take(&mut self, most: u64) -> u64 {
        let taken = self.idle().min(most);
        self.used += taken;
        taken
    }

    const fn give_back(&mut self) {
        self.returned += self.idle();
    }

    fn told(&mut self, update: Option<&PoolUpdate>) {
        let granted = update.map_or(0, |update| update.granted);
        self.granted = self.granted.max(granted);
    }
}

impl Thin {
    pub(super) fn new(proxy: ProxyId, stream: u64, agents: usize) -> Self {
        let holder = Holder {
            requests: Counts::NONE,
            tokens: Counts::NONE,
            slots: Counts::NONE,
            money: Counts::NONE,
            calls: 0,
        };
        let mut holders = vec![holder; agents];
        // Whatever is only promised would count as the ledger's when it is used.
        for holder in &mut holders {
            holder.calls = std::hint::black_box(1);
            holder.calls = 0;
        }
        Self {
            proxy,
            stream,
            session: SessionId::new(0),
            number: 0,
            holders,
        }
    }

    pub(super) fn hello(&self) -> Input {
        Input::Hello {
            stream: self.stream,
            hello: Hello {
                proxy: self.proxy.clone(),
                incarnation: 1,
                resume: (self.session.number() > 0).then_some(self.session),
                sent: Mono::default(),
            },
        }
    }

    /// Where it speaks and listens.
    pub(super) const fn stream(&self) -> u64 {
        self.stream
    }

    /// Takes in what the ledger says.
    pub(super) fn hear(&mut self, message: &FromLedger) {
        match message {
            FromLedger::Welcome { session, .. } => self.session = *session,
            FromLedger::Closed { .. } => {}
            FromLedger::Update(update) => {
                for told in &update.agents {
                    let number = agent_number(&told.agent);
                    if let Some(holder) = number.and_then(|it| self.holders.get_mut(it)) {
                        holder.hear(told);
                    }
                }
            }
        }
    }

    /// A report of these agents.
    pub(super) fn report<'a>(
        &mut self,
        kind: Kind,
        agents: impl Iterator<Item = (usize, &'a AgentName)>,
        model: &ModelName,
        day: Day,
    ) -> Input {
        self.number += 1;
        let (mut reports, mut usage) = (Vec::new(), Vec::new());
        for (number, agent) in agents {
            let Some(holder) = self.holders.get_mut(number) else {
                continue;
            };
            reports.push(holder.report(kind, agent, day));
            if kind != Kind::Ask {
                usage.push(UsageReport {
                    session: self.session,
                    agent: agent.clone(),
                    model: model.clone(),
                    day: Some(day),
                    totals: UsageTotals {
                        requests: holder.calls,
                        input: holder.calls * 200,
                        output: holder.calls * 100,
                        cost: NanoUsd::from_nanos(holder.money.used),
                        ..UsageTotals::default()
                    },
                });
            }
        }
        Input::Report {
            stream: self.stream,
            report: Report {
                session: self.session,
                number: self.number,
                sent: Mono::default(),
                agents: reports,
                usage,
                past: Vec::new(),
            },
        }
    }
}

impl Holder {
    fn hear(&mut self, told: &AgentUpdate) {
        self.requests.told(told.requests.as_ref());
        self.tokens.told(told.tokens.as_ref());
        self.slots.told(told.slots.as_ref());
        for purse in told.money.iter().flat_map(|money| &money.purses) {
            let granted = purse.granted.as_nanos();
            self.money.granted = self.money.granted.max(granted);
        }
    }

    fn report(&mut self, kind: Kind, agent: &AgentName, day: Day) -> AgentReport {
        let requests = match kind {
            Kind::Ask => 0,
            Kind::Settle => self.requests.take(1),
            Kind::Busy => self.requests.take(BUSY),
        };
        self.calls += requests;
        let tokens = self.tokens.take(requests * TOKENS);
        self.money.take(requests * COST.as_nanos());
        if kind == Kind::Settle {
            self.tokens.give_back();
            self.money.give_back();
        }
        let (waiting, want) = match kind {
            Kind::Ask => (1, 0),
            Kind::Settle => (0, 0),
            Kind::Busy => (0, BUSY),
        };
        let pool = |counts: Counts, uses, waiting, want| {
            Some(PoolReport {
                used: counts.used,
                returned: counts.returned,
                uses: spread_out(uses),
                reserved: 0,
                waiting,
                want,
            })
        };
        let nanos = NEED.money.as_nanos();
        AgentReport {
            agent: agent.clone(),
            requests: pool(self.requests, requests, waiting, want),
            tokens: pool(
                self.tokens,
                tokens,
                waiting * NEED.tokens,
                want * NEED.tokens,
            ),
            slots: pool(self.slots, 0, waiting, 0),
            money: Some(MoneyReport {
                purses: vec![PurseReport {
                    day,
                    spent: NanoUsd::from_nanos(self.money.used),
                    released: NanoUsd::from_nanos(self.money.returned),
                    reserved: NanoUsd::ZERO,
                }],
                waiting: NanoUsd::from_nanos(waiting * nanos),
                first: NanoUsd::from_nanos(waiting * nanos),
                want: NanoUsd::from_nanos(want * nanos),
            }),
            recall_seen: 0,
        }
    }
}

/// Uses at up to three times.
fn spread_out(count: u64) -> Vec<Use> {
    let parts = [count / 3, count / 3, count - count / 3 * 2];
    let ages = [AGE * 3, AGE * 2, AGE];
    let uses = ages.into_iter().zip(parts);
    uses.filter(|(_, count)| *count > 0)
        .map(|(age, count)| Use { age, count })
        .collect()
}
