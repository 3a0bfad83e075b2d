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
