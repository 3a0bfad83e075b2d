use std::time::Duration;

use super::*;
use crate::id::Revision;
use crate::sync::tests::{at, offer, version};
use crate::sync::{Nonce, PolicyHash};

fn part(offer: Offer, content: &str, last: bool) -> ClientInput {
    let content = content.as_bytes().to_vec();
    ClientInput::Message(ServerMessage::Snapshot {
        offer,
        content,
        last,
    })
}

fn delta(offer: Offer, base: u64) -> ClientInput {
    let (base, content) = (Revision::new(base), b"delta".to_vec());
    ClientInput::Message(ServerMessage::Delta {
        offer,
        base,
        content,
    })
}

fn heartbeat(current: u64) -> ClientInput {
    ClientInput::Message(ServerMessage::Heartbeat {
        current: Revision::new(current),
    })
}

/// A session with an open stream.
fn open(applied: Option<Version>) -> ClientSession {
    let mut session = ClientSession::new(applied, at(0));
    assert_eq!(session.poll_timeout(), Some(at(0)));
    assert_eq!(
        session.handle_timeout(at(0)),
        [ClientEffect::Connect {
            attempt: 0,
            applied
        }]
    );
    assert_eq!(session.handle(ClientInput::Connected, at(0)), []);
    session
}

fn install(revision: u64, content: Content) -> ClientEffect {
    ClientEffect::Install(Received {
        version: version(revision),
        content,
    })
}

#[test]
fn a_snapshot_is_handed_over_when_it_is_whole() {
    let mut session = open(None);
    assert_eq!(session.handle(part(offer(1, 5), "ab", false), at(1)), []);
    assert_eq!(session.handle(part(offer(1, 5), "c", false), at(1)), []);
    assert_eq!(
        session.handle(part(offer(1, 5), "d", true), at(1)),
        [install(5, Content::Snapshot(b"abcd".to_vec()))]
    );
    assert_eq!(session.applied(), None);
    assert_eq!(
        session.handle(ClientInput::Installed, at(2)),
        [ClientEffect::Ack(offer(1, 5))]
    );
    assert_eq!(session.applied(), Some(version(5)));
}

#[test]
fn a_delta_must_start_from_what_is_in_force() {
    let mut session = open(Some(version(4)));
    assert_eq!(
        session.handle(delta(offer(1, 5), 4), at(1)),
        [install(5, Content::Delta(b"delta".to_vec()))]
    );
    let mut session = open(Some(version(3)));
    assert_eq!(
        session.handle(delta(offer(1, 5), 4), at(1)),
        [ClientEffect::Disconnect(Fault::Mismatch)]
    );
}

#[test]
fn after_a_delta_that_did_not_fit_a_snapshot_is_asked_for() {
    let mut session = open(Some(version(4)));
    session.handle(delta(offer(1, 5), 4), at(1));
    assert_eq!(
        session.handle(ClientInput::Rejected(Rejected::Mismatch), at(1)),
        [ClientEffect::Disconnect(Fault::Mismatch)]
    );
    session.handle(ClientInput::Disconnected { random: 0 }, at(1));
    assert_eq!(
        session.handle_timeout(at(1)),
        [ClientEffect::Connect {
            attempt: 1,
            applied: None
        }]
    );
    session.handle(ClientInput::Connected, at(1));
    session.handle(part(offer(1, 5), "whole", true), at(1));
    session.handle(ClientInput::Installed, at(1));
    session.handle(ClientInput::Disconnected { random: 0 }, at(1));
    assert_eq!(
        session.handle_timeout(at(1)),
        [ClientEffect::Connect {
            attempt: 2,
            applied: Some(version(5))
        }]
    );
}

#[test]
fn a_refused_update_is_answered_with_the_reasons_and_changes_nothing() {
    let mut session = open(Some(version(4)));
    session.handle(part(offer(1, 5), "bad", true), at(1));
    let reasons = vec![NackReason::unreadable("bad")];
    let rejected = ClientInput::Rejected(Rejected::Refused(reasons.clone()));
    assert_eq!(
        session.handle(rejected, at(1)),
        [ClientEffect::Nack {
            offer: offer(1, 5),
            reasons
        }]
    );
    assert_eq!(session.applied(), Some(version(4)));
}

#[test]
fn reasons_are_few_and_short() {
    let mut session = open(None);
    session.handle(part(offer(1, 5), "bad", true), at(1));
    let reasons = vec![NackReason::unreadable(&"ü".repeat(10_000)); 1_000];
    let effects = session.handle(ClientInput::Rejected(Rejected::Refused(reasons)), at(1));
    let [ClientEffect::Nack { reasons, .. }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(reasons.len(), 64);
    assert!(
        reasons
            .iter()
            .all(|it| (1_020..=1_024).contains(&it.message.len()))
    );
}

#[test]
fn an_older_policy_and_another_of_the_same_number_are_refused() {
    let other = Version {
        hash: PolicyHash::from_bytes([99; 32]),
        ..version(9)
    };
    for (offered, says) in [
        (
            version(5),
            "revision 5 of the control plane is older than revision 9, which the proxy \
                      has in force",
        ),
        (
            other,
            "revision 9 of the control plane is another policy than the revision 9 the proxy \
                 has in force",
        ),
    ] {
        let mut session = open(Some(version(9)));
        let offer = Offer {
            nonce: Nonce::new(1),
            version: offered,
        };
        assert_eq!(session.handle(part(offer, "ab", false), at(1)), []);
        let effects = session.handle(part(offer, "c", true), at(1));
        let [ClientEffect::Nack { reasons, .. }] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(reasons[0].message, says);
        assert_eq!(reasons[0].code, "AGX0911");
        assert_eq!(session.applied(), Some(version(9)));
    }
}

#[test]
fn what_is_in_force_already_is_acknowledged_and_not_installed_again() {
    let mut session = open(Some(version(5)));
    assert_eq!(
        session.handle(part(offer(1, 5), "same", true), at(1)),
        [ClientEffect::Ack(offer(1, 5))]
    );
    assert_eq!(
        session.handle(delta(offer(2, 5), 4), at(1)),
        [ClientEffect::Ack(offer(2, 5))]
    );
}

#[test]
fn a_control_plane_that_is_behind_is_reported_once_a_stream() {
    let mut session = open(Some(version(9)));
    let reason = NackReason::older(Revision::new(5), Revision::new(9));
    assert_eq!(
        session.handle(heartbeat(5), at(1)),
        [ClientEffect::Behind { reason }]
    );
    assert_eq!(session.handle(heartbeat(5), at(2)), []);
    assert_eq!(session.handle(heartbeat(9), at(3)), []);
}

#[test]
fn parts_and_updates_must_not_mix() {
    let mut session = open(None);
    session.handle(part(offer(1, 5), "ab", false), at(1));
    assert_eq!(
        session.handle(part(offer(2, 6), "c", true), at(1)),
        [ClientEffect::Disconnect(Fault::MixedParts)]
    );
    let mut session = open(None);
    session.handle(part(offer(1, 5), "ab", false), at(1));
    assert_eq!(
        session.handle(delta(offer(2, 6), 5), at(1)),
        [ClientEffect::Disconnect(Fault::Overlap)]
    );
    let mut session = open(None);
    session.handle(part(offer(1, 5), "ab", true), at(1));
    assert_eq!(
        session.handle(part(offer(2, 6), "c", true), at(1)),
        [ClientEffect::Disconnect(Fault::Overlap)]
    );
}

#[test]
fn an_endless_snapshot_is_cut_off() {
    let mut session = open(None);
    let part = |last| {
        let content = vec![0; 32 * 1024 * 1024];
        ClientInput::Message(ServerMessage::Snapshot {
            offer: offer(1, 5),
            content,
            last,
        })
    };
    assert_eq!(session.handle(part(false), at(1)), []);
    assert_eq!(session.handle(part(false), at(1)), []);
    assert_eq!(
        session.handle(part(false), at(1)),
        [ClientEffect::Disconnect(Fault::TooLarge)]
    );
}

#[test]
fn no_stream_is_opened_while_an_update_is_being_installed() {
    let mut session = open(Some(version(4)));
    session.handle(part(offer(1, 5), "ab", true), at(1));
    session.handle(ClientInput::Disconnected { random: 0 }, at(1));
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(session.handle_timeout(at(60_000)), []);
    // Nobody is left to hear the answer; the hello gives it.
    assert_eq!(session.handle(ClientInput::Installed, at(60_000)), []);
    assert_eq!(
        session.handle_timeout(at(60_000)),
        [ClientEffect::Connect {
            attempt: 1,
            applied: Some(version(5))
        }]
    );
}

#[test]
fn tries_are_spread_and_grow_apart_until_a_stream_has_lasted() {
    let mut session = ClientSession::new(None, at(0));
    let mut now = at(0);
    for longest_ms in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
        assert_eq!(session.poll_timeout(), Some(now));
        session.handle_timeout(now);
        let longest = Duration::from_millis(longest_ms);
        let random = u64::try_from(longest.as_nanos()).unwrap() * 8 - 1;
        session.handle(ClientInput::Disconnected { random }, now);
        now = now.after(longest.saturating_sub(Duration::from_nanos(1)));
    }
    session.handle_timeout(now);
    session.handle(ClientInput::Connected, now);
    let later = now.after(SYNC_SILENCE);
    session.handle(ClientInput::Disconnected { random: 99_999_999 }, later);
    assert_eq!(
        session.poll_timeout(),
        Some(later.after(Duration::from_nanos(99_999_999)))
    );
}

#[test]
fn a_stream_that_breaks_at_once_does_not_shorten_the_pause() {
    let mut session = open(None);
    session.handle(ClientInput::Disconnected { random: 0 }, at(0));
    session.handle_timeout(at(0));
    session.handle(ClientInput::Connected, at(0));
    session.handle(
        ClientInput::Disconnected {
            random: 199_999_999,
        },
        at(0),
    );
    let pause = Duration::from_nanos(199_999_999);
    assert_eq!(session.poll_timeout(), Some(at(0).after(pause)));
}

#[test]
fn a_silent_control_plane_is_left() {
    let mut session = open(None);
    session.handle(heartbeat(0), at(1_000));
    for millis in [2_000, 4_000, 6_000, 8_000, 10_000] {
        assert_eq!(session.poll_timeout(), Some(at(millis)));
        assert_eq!(
            session.handle_timeout(at(millis)),
            [ClientEffect::Heartbeat]
        );
    }
    assert_eq!(session.poll_timeout(), Some(at(11_000)));
    assert_eq!(
        session.handle_timeout(at(11_000)),
        [ClientEffect::Disconnect(Fault::Silent)]
    );
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(session.handle(heartbeat(0), at(11_000)), []);
}

#[test]
fn a_stream_that_does_not_open_is_given_up() {
    let mut session = ClientSession::new(None, at(0));
    session.handle_timeout(at(0));
    assert_eq!(session.poll_timeout(), Some(at(10_000)));
    assert_eq!(
        session.handle_timeout(at(10_000)),
        [ClientEffect::Disconnect(Fault::ConnectTimeout)]
    );
    session.handle(ClientInput::Disconnected { random: 0 }, at(10_000));
    assert_eq!(session.poll_timeout(), Some(at(10_000)));
}
