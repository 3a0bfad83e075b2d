//! Running worlds.

use crate::oracle::{Breach, Stats};
use crate::plan::{Mix, Plan};
use crate::world::World;

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Its faults.
    pub mix: Mix,
    /// What must not happen and did.
    pub breaches: Vec<Breach>,
    /// What was counted.
    pub stats: Stats,
    /// The same for the same run.
    pub fingerprint: u64,
    /// What happened, if that was asked for.
    pub trace: Vec<String>,
}

/// Runs the world of a seed.
pub fn run(seed: u64, mix: Option<Mix>, traced: bool) -> Report {
    let mix = mix.unwrap_or_else(|| Mix::of(seed));
    let mut world = World::new(Plan::new(seed, mix));
    world.trace = traced.then(Vec::new);
    world.run();
    Report {
        seed,
        mix,
        breaches: world.oracle.breaches.clone(),
        stats: world.oracle.stats,
        fingerprint: world.oracle.fingerprint(),
        trace: world.trace.unwrap_or_default(),
    }
}
