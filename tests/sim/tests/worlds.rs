//! Worlds of fixed seeds.

use agix_sim::plan::{Mix, Pattern};
use agix_sim::run::run;
use agix_sim::table::{Row, demand};

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
const SEEDS: std::ops::Range<u64> = 0..1_200;

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

#[test]
fn without_faults_all_of_a_limit_can_be_used_however_many_proxies_share_it() {
    for limit in [5, 20, 60, 600, 6_000] {
        for proxies in [1, 5, 20] {
            let row = Row::run(limit, proxies, demand(limit), Pattern::Uniform);
            assert!(row.breaches.is_empty(), "{row}: {:?}", row.breaches);
            assert!(row.of_ideal() >= 990, "{row}");
            assert!(row.of_limit() >= 990, "{row}");
        }
    }
}
