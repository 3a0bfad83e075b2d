//! Worlds of fixed seeds.

use agix_sim::plan::Mix;
use agix_sim::run::run;

#[test]
fn the_same_seed_gives_the_same_run() {
    for mix in Mix::ALL {
        let first = run(7, Some(mix), true);
        let second = run(7, Some(mix), true);
        assert!(first.stats.events > 100, "{mix:?}");
        assert_eq!(first, second, "{mix:?}");
        assert_ne!(first.fingerprint, run(8, Some(mix), false).fingerprint);
    }
}

/// All mixes of faults in turn; `sim --seeds` runs more.
const SEEDS: std::ops::Range<u64> = 0..600;

#[test]
fn nothing_happens_that_must_not_whatever_fails() {
    let mut begun = 0;
    let mut breaches = Vec::new();
    for seed in SEEDS {
        let report = run(seed, None, false);
        begun += report.stats.admitted;
        if let Some(breach) = report.breaches.first() {
            breaches.push(format!("sim --seed {seed} ({:?}): {breach:?}", report.mix));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    assert!(begun > 10_000, "the worlds are not idle: {begun}");
}
