//! What goes wrong in a world, and how often.

use super::Mix;
use crate::clock::{MS, Nanos, S};
use crate::random::Random;

/// The network between proxies and control planes.
#[derive(Debug, Clone, Copy)]
pub struct NetPlan {
    /// The shortest delay of a message.
    pub delay: Nanos,
    /// How many messages out of a thousand take up to fifty times as long.
    pub slow: u64,
    /// How many are lost within a stream.
    pub lost: u64,
    /// How many come twice.
    pub repeated: u64,
    /// Whether messages of one stream may overtake each other.
    pub reorders: bool,
}

/// The store.
#[derive(Debug, Clone, Copy)]
pub struct StorePlan {
    /// How long a commit takes, on average.
    pub latency: Nanos,
    /// How many commits out of a thousand take a hundred times as long.
    pub slow: u64,
    /// How many fail.
    pub fails: u64,
    /// How many get no answer, whether they were carried out or not.
    pub unknown: u64,
}

/// Mean times between faults of the whole world; absent: none.
#[derive(Debug, Clone, Copy)]
pub struct FaultPlan {
    /// A proxy is killed.
    pub kill: Option<Nanos>,
    /// Of these, how many out of a thousand leave no journal behind.
    pub amnesia: u64,
    /// A proxy is stopped in order.
    pub goodbye: Option<Nanos>,
    /// A proxy stands still.
    pub pause: Option<Nanos>,
    /// Connections are cut.
    pub cut: Option<Nanos>,
    /// A stream breaks.
    pub broken: Option<Nanos>,
    /// The owner of the ledger is killed.
    pub owner: Option<Nanos>,
    /// A control plane takes the ledger over from an owner that is alive.
    pub usurper: Option<Nanos>,
    /// An owner stands still.
    pub owner_pause: Option<Nanos>,
    /// A wall clock is set.
    pub wall: Option<Nanos>,
    /// The policy changes.
    pub policy: Option<Nanos>,
    /// An operator corrects what was spent.
    pub adjust: Option<Nanos>,
}

impl NetPlan {
    pub(super) fn new(mix: Mix, random: &mut Random) -> Self {
        let wild = mix == Mix::Wild || (mix == Mix::Everything && random.permille(400));
        Self {
            delay: random.pick(&[200_000, MS, 20 * MS]),
            slow: if mix == Mix::Calm {
                1
            } else {
                random.pick(&[1, 20, 100])
            },
            lost: if wild {
                random.pick(&[10, 100, 300])
            } else {
                0
            },
            repeated: if wild { random.pick(&[10, 200]) } else { 0 },
            reorders: wild,
        }
    }
}

impl StorePlan {
    pub(super) fn new(mix: Mix, random: &mut Random) -> Self {
        let bad = matches!(mix, Mix::Store | Mix::Everything);
        Self {
            latency: random.pick(&[300_000, 2 * MS, 8 * MS]),
            slow: if bad { random.pick(&[5, 50]) } else { 0 },
            fails: if bad { random.pick(&[5, 50]) } else { 0 },
            unknown: if bad { random.pick(&[5, 100]) } else { 0 },
        }
    }
}

impl FaultPlan {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        kill: None,
        amnesia: 0,
        goodbye: None,
        pause: None,
        cut: None,
        broken: None,
        owner: None,
        usurper: None,
        owner_pause: None,
        wall: None,
        policy: None,
        adjust: None,
    };

    pub(super) fn new(mix: Mix, busy: Nanos, proxies: usize, random: &mut Random) -> Self {
        let all = mix == Mix::Everything;
        let proxies = u64::try_from(proxies).unwrap_or(1);
        let mut every = |is: bool, seconds: u64| {
            // In a long world things happen as often as in a short one.
            let stretch = (busy / (260 * S)).max(1);
            let mean = seconds * S * stretch * random.between(50, 300) / 100;
            is.then_some(mean)
        };
        let kill = every(all || mix == Mix::Crashes, 90 / proxies.min(4));
        let goodbye = every(all || mix == Mix::Crashes, 100);
        let pause = every(all || mix == Mix::Crashes, 60);
        let cut = every(all || mix == Mix::Cuts, 40 / proxies.min(4));
        let broken = every(all || mix == Mix::Cuts || mix == Mix::Wild, 30);
        let owner = every(all || mix == Mix::Owners, 50);
        let usurper = every(all || mix == Mix::Stale, 30);
        let owner_pause = every(all || mix == Mix::Stale, 40);
        let policy = every(true, 60);
        let adjust = every(true, 100);
        let wall = every(true, 50);
        Self {
            kill,
            amnesia: random.pick(&[0, 300, 1_000]),
            goodbye,
            pause,
            cut,
            broken,
            owner,
            usurper,
            owner_pause,
            wall: wall.filter(|_| random.permille(300)),
            policy: policy.filter(|_| random.permille(500)),
            adjust: adjust.filter(|_| random.permille(200)),
        }
    }
}
