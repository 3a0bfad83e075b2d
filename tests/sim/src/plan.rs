//! What a seed stands for: who takes part, what they want, and what goes wrong.

mod agents;
mod faults;

use agix_core::budget::DaySpan;
use agix_core::time::Wall;

use crate::clock::{MINUTE, MS, Nanos, S};
use crate::random::Random;

pub use agents::{AgentPlan, Load, Pattern, terms};
pub use faults::{FaultPlan, NetPlan, StorePlan};

/// Which faults a world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mix {
    /// None.
    Calm,
    /// Proxies crash, pause and restart.
    Crashes,
    /// Connections are cut, in one direction or both.
    Cuts,
    /// The owner of the ledger crashes and another follows.
    Owners,
    /// An owner does not know that it has a successor.
    Stale,
    /// The store is slow, fails, and leaves it open whether it did not.
    Store,
    /// Messages are lost, repeated and reordered within a stream.
    Wild,
    /// All of it.
    Everything,
}

/// A world to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Its faults.
    pub mix: Mix,
    /// The true wall time at the beginning, in milliseconds since the Unix epoch.
    pub began: i64,
    /// How long there are requests and faults.
    pub busy: Nanos,
    /// Proxies.
    pub proxies: usize,
    /// Control planes.
    pub planes: usize,
    /// Whether all control planes run on one machine.
    pub one_machine: bool,
    /// Agents.
    pub agents: Vec<AgentPlan>,
    /// The network.
    pub net: NetPlan,
    /// The store.
    pub store: StorePlan,
    /// What goes wrong.
    pub faults: FaultPlan,
}

impl Mix {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Calm,
        Self::Crashes,
        Self::Cuts,
        Self::Owners,
        Self::Stale,
        Self::Store,
        Self::Wild,
        Self::Everything,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Crashes => "crashes",
            Self::Cuts => "cuts",
            Self::Owners => "owners",
            Self::Stale => "stale",
            Self::Store => "store",
            Self::Wild => "wild",
            Self::Everything => "everything",
        }
    }

    /// The mix of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mix| mix.as_str() == name)
    }

    /// The mix that a seed has if none is asked for.
    pub fn of(seed: u64) -> Self {
        let place = usize::try_from(seed % 8).unwrap_or(0);
        Self::ALL[place]
    }
}

impl Plan {
    /// The world of a seed.
    pub fn new(seed: u64, mix: Mix) -> Self {
        let mut random = Random::new(seed ^ 0x5EED);
        let long = random.permille(60);
        let many = random.permille(50);
        let proxies = match () {
            () if many => 20,
            () if random.permille(150) => 1,
            () => random.index(6) + 2,
        };
        let planes = match mix {
            Mix::Calm | Mix::Crashes | Mix::Cuts | Mix::Store => 1,
            Mix::Stale => random.index(2) + 2,
            Mix::Owners | Mix::Wild | Mix::Everything => random.index(3) + 1,
        };
        let busy = if long && random.permille(40) {
            // Days: sessions are forgotten, months end.
            random.between(24, 9 * 24) * 60 * MINUTE
        } else if long {
            random.between(20, 75) * MINUTE
        } else {
            random.between(60, 260) * S
        };
        let count = random.index(3) + 1;
        let agents: Vec<AgentPlan> = (0..count)
            .map(|number| AgentPlan::new(number, long, &mut random))
            .collect();
        Self {
            seed,
            mix,
            began: began(&agents, &mut random),
            busy,
            proxies,
            planes,
            one_machine: random.permille(400),
            agents,
            net: NetPlan::new(mix, &mut random),
            store: StorePlan::new(mix, &mut random),
            faults: FaultPlan::new(mix, busy, proxies, &mut random),
        }
    }
}

/// The wall time at which a world begins: often shortly before a midnight or the end of a month.
fn began(agents: &[AgentPlan], random: &mut Random) -> i64 {
    // 25 November 2026, noon UTC, and some days and hours.
    let noon = 1_795_608_000_000_i64;
    let hours = i64::try_from(random.below(24 * 20)).unwrap_or(0);
    let any = noon + hours * 3_600_000;
    let zone = &agents[random.index(agents.len())].rules.terms.timezone;
    let span = DaySpan::of(zone, Wall::from_millis(any));
    let ahead = i64::try_from(random.between(20, 150) * S / MS).unwrap_or(0);
    match random.below(4) {
        0 => span.ends.as_millis() - ahead,
        1 => span.month_ends.as_millis() - ahead,
        _ => any,
    }
}
