//! Both machines against each other over a link that loses, delays, damages and breaks, with a
//! control plane that is restored from backups and a proxy that crashes.

mod text;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use world::{Action, World};

use super::{Nonce, Offer, PolicyHash, Version};
use crate::id::Revision;
use crate::time::Mono;

/// The version of a revision in a history without surprises.
pub(super) fn version(revision: u64) -> Version {
    let byte = u8::try_from(revision).unwrap();
    Version {
        revision: Revision::new(revision),
        hash: PolicyHash::from_bytes([byte; 32]),
    }
}

pub(super) fn offer(nonce: u64, revision: u64) -> Offer {
    Offer {
        nonce: Nonce::new(nonce),
        version: version(revision),
    }
}

pub(super) fn at(millis: u64) -> Mono {
    Mono::default().after(Duration::from_millis(millis))
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let action = prop_oneof![
        6 => (0_u32..5, 1_u32..4).prop_map(|(agent, limit)| Action::Apply { agent, limit }),
        1 => Just(Action::ApplyBad),
        7 => Just(Action::Open { careless: false }),
        1 => Just(Action::Open { careless: true }),
        12 => Just(Action::DeliverToProxy),
        8 => Just(Action::DeliverToServer),
        6 => Just(Action::FinishInstall),
        6 => (1_u64..4_000).prop_map(Action::Advance),
        5 => (1_u64..1_000, any::<bool>())
            .prop_map(|(millis, careless)| Action::Calm { millis, careless }),
        3 => Just(Action::Break),
        2 => any::<u8>().prop_map(Action::Damage),
        1 => Just(Action::CrashProxy { disk_lost: false }),
        1 => Just(Action::CrashProxy { disk_lost: true }),
        2 => (0_usize..4).prop_map(|kept| Action::Restore { kept }),
    ];
    prop::collection::vec(action, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_no_revision_goes_back_and_the_newest_arrives(
        actions in actions(),
        random in any::<u64>(),
        broken_deltas in any::<bool>(),
    ) {
        let mut world = World::new(random, broken_deltas);
        for action in actions {
            world.act(action);
        }
        world.settle();
        let newest = world.apply_good();
        world.settle();
        prop_assert_eq!(world.in_force(), Some(newest));
    }
}

#[test]
fn the_world_really_installs_refuses_and_resyncs() {
    let mut world = World::new(7, false);
    world.settle();
    world.act(Action::Apply { agent: 1, limit: 1 });
    world.settle();
    world.act(Action::Apply { agent: 2, limit: 2 });
    world.settle();
    world.act(Action::ApplyBad);
    world.settle();
    world.act(Action::Apply { agent: 3, limit: 1 });
    world.act(Action::Damage(7));
    assert_eq!(world.counts().snapshots, 1);
    world.settle();
    world.act(Action::Restore { kept: 1 });
    world.settle();
    let newest = world.apply_good();
    world.settle();
    assert_eq!(world.in_force(), Some(newest));
    let counts = world.counts();
    assert!(counts.snapshots >= 2, "{counts:?}");
    assert!(counts.deltas >= 2, "{counts:?}");
    assert_eq!(counts.refused, 1, "{counts:?}");
    assert_eq!(counts.ahead, 1, "{counts:?}");
}
