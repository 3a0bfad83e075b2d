//! How much of a limit can be used, without faults: against one place that sees every request at
//! once and counts exactly.

use std::fmt;

use agix_core::id::AgentName;
use agix_core::lease::Rules;
use agix_core::quota::Terms;

use crate::clock::{MINUTE, MS, Nanos};
use crate::oracle::{Breach, Stats};
use crate::plan::{AgentPlan, FaultPlan, Load, Mix, NetPlan, Pattern, Plan, StorePlan};
use crate::world::World;

/// The limits of the table, in requests a minute.
pub const LIMITS: [u64; 6] = [5, 20, 60, 600, 6_000, 100_000];
/// The fleets of the table.
pub const FLEETS: [usize; 4] = [1, 5, 20, 50];

/// One row.
#[derive(Debug, Clone)]
pub struct Row {
    /// The limit, in requests a minute.
    pub limit: u64,
    /// Proxies.
    pub proxies: usize,
    /// What is asked for, in hundredths of the limit.
    pub demand: u64,
    /// Where.
    pub pattern: Pattern,
    /// What was counted.
    pub stats: Stats,
    /// How many requests the one place would have let begin.
    pub ideal: u64,
    /// Minutes it ran.
    pub minutes: u64,
    /// What must not happen and did.
    pub breaches: Vec<Breach>,
}

impl Row {
    /// Runs one.
    pub fn run(limit: u64, proxies: usize, demand: u64, pattern: Pattern) -> Self {
        let minutes = if limit >= 100_000 { 4 } else { 8 };
        let plan = plan(limit, proxies, demand, pattern, minutes * MINUTE);
        let mut world = World::new(plan);
        world.oracle.measure();
        world.run();
        Self {
            limit,
            proxies,
            demand,
            pattern,
            stats: world.oracle.stats,
            ideal: world.oracle.ideal(0),
            minutes,
            breaches: world.oracle.breaches,
        }
    }

    /// Requests that began, of those that the one place would have let begin; in thousandths.
    pub fn of_ideal(&self) -> u64 {
        self.stats.admitted * 1_000 / self.ideal.max(1)
    }

    /// Requests that began, of those the limit allows; in thousandths.
    pub fn of_limit(&self) -> u64 {
        self.stats.admitted * 1_000 / (self.limit * self.minutes)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: u64| format!("{}.{} %", share / 10, share % 10);
        let asked = self.stats.admitted + self.stats.refused;
        let messages = self.stats.reports * 1_000 / asked.max(1);
        write!(
            f,
            "{:>7} {:>3} {:>4} % {:<10} {:>9} {:>9} {:>8} {:>8} {:>8} {:>6}.{:03}",
            self.limit,
            self.proxies,
            self.demand,
            name(self.pattern),
            self.stats.admitted,
            self.ideal,
            percent(self.of_ideal()),
            percent(self.of_limit()),
            percent(self.stats.at_hand * 1_000 / self.stats.admitted.max(1)),
            messages / 1_000,
            messages % 1_000,
        )
    }
}

/// The heads of the columns.
pub const HEAD: &str =
    "  limit   P demand pattern     admitted     ideal of ideal of limit  at hand reports/request";

/// What is asked for of a limit, in hundredths: of a small one a lot, or chance leaves it unused.
pub const fn demand(limit: u64) -> u64 {
    if limit <= 60 { 1_000 } else { 150 }
}

const fn name(pattern: Pattern) -> &'static str {
    match pattern {
        Pattern::Uniform => "even",
        Pattern::Skewed => "skewed",
        Pattern::Moving(_) => "hot spot",
        Pattern::One => "one proxy",
        Pattern::Bursts(_) => "bursts",
        Pattern::Lone => "lone",
    }
}

fn plan(limit: u64, proxies: usize, demand: u64, pattern: Pattern, busy: Nanos) -> Plan {
    let rules = Rules {
        terms: Terms {
            requests_per_minute: Some(limit),
            ..Terms::default()
        },
        ..Rules::default()
    };
    let load = Load {
        per_minute: (limit * demand).div_ceil(100),
        pattern,
        money: 0,
        tokens: 1,
        lasts: MS,
        streams: 0,
        fails: 0,
        left: 0,
        overruns: 0,
    };
    let agent = AgentPlan {
        name: AgentName::new("agent-0").unwrap_or_else(|_| AgentName::default_agent()),
        rules,
        load,
    };
    Plan {
        seed: limit ^ 0xC0DE,
        mix: Mix::Calm,
        began: 1_795_608_000_000,
        busy,
        proxies,
        planes: 1,
        one_machine: true,
        agents: vec![agent],
        net: NetPlan {
            delay: MS / 4,
            slow: 1,
            lost: 0,
            repeated: 0,
            reorders: false,
        },
        store: StorePlan {
            latency: 2 * MS,
            slow: 0,
            fails: 0,
            unknown: 0,
        },
        faults: FaultPlan::NONE,
    }
}
