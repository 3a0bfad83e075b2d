//! Mistakes planted in the rules are found: the oracle would notice.
#![cfg(feature = "planted-bugs")]

use agix_core::planted::{Bug, plant};
use agix_sim::plan::Mix;
use agix_sim::run::run;

/// Worlds of each mix in which a mistake has to show.
const WORLDS: u64 = 60;

/// The first world in which something happened that must not, and what.
fn found(bug: Bug) -> Option<(u64, Mix, &'static str)> {
    plant(Some(bug));
    let worlds = (0..WORLDS).flat_map(|seed| Mix::ALL.map(|mix| (seed, mix)));
    let found = worlds.into_iter().find_map(|(seed, mix)| {
        let report = run(seed, Some(mix), false);
        let breach = report.breaches.first()?;
        Some((seed, mix, breach.invariant))
    });
    plant(None);
    found
}

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let found = found(bug);
        let Some((_, _, invariant)) = found else {
            panic!("{bug:?} is not found in {WORLDS} worlds of each mix");
        };
        assert!(expected(bug).contains(&invariant), "{bug:?}: {invariant}");
    }
}

/// Which invariants a mistake may break.
const fn expected(bug: Bug) -> &'static [&'static str] {
    match bug {
        Bug::UseTooOld
        | Bug::NoMarginForDrift
        | Bug::LostSessionForgotten
        | Bug::RefillOnPolicy => &["I1"],
        Bug::DebtForgotten | Bug::RepetitionCounted => &["I6"],
        Bug::LateReportCounted | Bug::PastForgotten => &["I4", "I6"],
        Bug::UnsettledReleased => &["I3", "I6"],
        Bug::AlertRepeated => &["I9"],
        Bug::LeaseFromReceipt => &["I7"],
        Bug::UseAfterLease => &["I1", "I3", "I7"],
        Bug::WaitTooShort => &["I14"],
        Bug::WaiterForgotten => &["I15"],
        Bug::DayGoesBack => &["I3"],
        Bug::ToldBeforeCommit => &["I5"],
        Bug::NoFence => &["I8"],
    }
}
