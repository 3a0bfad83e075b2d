//! The agents of a world: their limits, and what they ask for.

use agix_core::id::AgentName;
use agix_core::lease::Rules;
use agix_core::policy::{OnOutage, TimeZoneName};
use agix_core::quota::Terms;
use agix_core::units::{AlertPercent, NanoUsd};

use crate::clock::{MS, Nanos, S};
use crate::random::Random;

/// One agent.
#[derive(Debug, Clone)]
pub struct AgentPlan {
    /// Its name.
    pub name: AgentName,
    /// Its limits.
    pub rules: Rules,
    /// What it asks for.
    pub load: Load,
}

/// What an agent asks for.
#[derive(Debug, Clone)]
pub struct Load {
    /// Requests a minute.
    pub per_minute: u64,
    /// Where and when.
    pub pattern: Pattern,
    /// What a request reserves, on average.
    pub money: u64,
    /// Tokens a request asks for, on average.
    pub tokens: u64,
    /// How long a request takes, on average.
    pub lasts: Nanos,
    /// How many out of a thousand extend their reservation while they run.
    pub streams: u64,
    /// How many out of a thousand need another attempt.
    pub fails: u64,
    /// How many out of a thousand are given up by their callers.
    pub left: u64,
    /// How many out of a thousand cost more than was reserved.
    pub overruns: u64,
}

/// Which proxies see the requests of an agent, and how evenly they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// All proxies alike.
    Uniform,
    /// The first proxies more than the others.
    Skewed,
    /// One after the other gets nearly all of it.
    Moving(Nanos),
    /// One proxy only.
    One,
    /// Many at once, then none.
    Bursts(Nanos),
    /// A single caller that waits for each answer and for as long as it is told.
    Lone,
}

const ZONES: [&str; 5] = [
    "UTC",
    "Asia/Tokyo",
    "America/New_York",
    "Africa/Cairo",
    "Europe/Berlin",
];

impl AgentPlan {
    pub(super) fn new(number: usize, long: bool, random: &mut Random) -> Self {
        let terms = terms(long, random);
        let load = Load::new(&terms, long, random);
        let outages = [
            OnOutage::Deny,
            OnOutage::Held,
            OnOutage::Held,
            OnOutage::Allow,
        ];
        Self {
            name: named(number),
            rules: Rules {
                terms,
                rates_on_outage: random.pick(&outages),
                money_on_outage: random.pick(&outages),
            },
            load,
        }
    }
}

fn named(number: usize) -> AgentName {
    AgentName::new(&format!("agent-{number}")).unwrap_or_else(|_| AgentName::default_agent())
}

/// Limits of some agent.
pub fn terms(long: bool, random: &mut Random) -> Terms {
    let mut terms = Terms {
        timezone: zone(random),
        ..Terms::default()
    };
    if random.permille(700) {
        terms.requests_per_minute = Some(random.pick(&[1, 5, 20, 60, 200, 600]));
    }
    if random.permille(if long { 800 } else { 200 }) {
        terms.requests_per_hour = Some(random.pick(&[3, 10, 60, 300]));
    }
    if random.permille(200) {
        terms.tokens_per_minute = Some(random.pick(&[2_000, 10_000, 100_000]));
    }
    if random.permille(200) {
        terms.max_concurrent = Some(random.pick(&[1, 3, 10]));
    }
    if random.permille(550) {
        terms.daily = Some(NanoUsd::from_nanos(
            random.pick(&[100_000, 1_000_000, 10_000_000]),
        ));
    }
    if random.permille(200) {
        terms.monthly = Some(NanoUsd::from_nanos(
            random.pick(&[200_000, 1_500_000, 9_000_000]),
        ));
    }
    terms.soft = random.permille(100);
    let percents = [50, 80, 95, 100];
    let first = random.index(percents.len());
    terms.alerts = percents[first..]
        .iter()
        .filter_map(|percent| AlertPercent::new(*percent))
        .collect();
    let limited = terms.counts_requests()
        || terms.has_budget()
        || terms.tokens_per_minute.is_some()
        || terms.max_concurrent.is_some();
    if !limited {
        terms.requests_per_minute = Some(10);
    }
    terms
}

fn zone(random: &mut Random) -> TimeZoneName {
    TimeZoneName::new(random.pick(&ZONES), |_| true).unwrap_or_default()
}

impl Load {
    fn new(terms: &Terms, long: bool, random: &mut Random) -> Self {
        let minute = terms.requests_per_minute.unwrap_or(u64::MAX);
        let hour = terms
            .requests_per_hour
            .map_or(u64::MAX, |it| it.div_ceil(10));
        let most = if long { 60 } else { 900 };
        let most = if long { 30 } else { most };
        let base = minute.min(hour).min(most).max(4);
        let share = random.pick(&[700, 1_000, 1_500, 3_000]);
        let patterns = [
            Pattern::Uniform,
            Pattern::Uniform,
            Pattern::Skewed,
            Pattern::Moving(random.between(5, 30) * S),
            Pattern::One,
            Pattern::Bursts(random.between(2, 70) * S),
            Pattern::Lone,
        ];
        let limit = terms.daily.into_iter().chain(terms.monthly).min();
        let limit = limit.map_or(1_000_000, NanoUsd::as_nanos);
        Self {
            per_minute: (base * share / 1_000).clamp(4, 1_200),
            pattern: random.pick(&patterns),
            money: limit / random.pick(&[4, 30, 200, 1_000]),
            tokens: terms.tokens_per_minute.unwrap_or(1_000) / random.pick(&[3, 20, 100]),
            lasts: random.pick(&[20 * MS, 300 * MS, 2 * S, 9 * S]),
            streams: random.pick(&[0, 0, 200]),
            fails: random.pick(&[0, 50, 300]),
            left: random.pick(&[0, 0, 100]),
            overruns: random.pick(&[0, 0, 30]),
        }
    }
}
