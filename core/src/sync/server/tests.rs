use super::*;
use crate::sync::PolicyHash;
use crate::sync::tests::{at, offer, version};

fn hello(applied: Option<Version>, recall: Recall) -> ServerInput {
    ServerInput::Hello { applied, recall }
}

fn heartbeat(current: u64) -> ServerEffect {
    ServerEffect::Heartbeat {
        current: Revision::new(current),
    }
}

fn snapshot(nonce: u64, revision: u64) -> ServerEffect {
    let update = Update::Snapshot {
        revision: Revision::new(revision),
    };
    ServerEffect::Send {
        offer: offer(nonce, revision),
        update,
    }
}

fn delta(nonce: u64, base: u64, revision: u64) -> ServerEffect {
    let update = Update::Delta {
        base: Revision::new(base),
        revision: Revision::new(revision),
    };
    ServerEffect::Send {
        offer: offer(nonce, revision),
        update,
    }
}

fn ack(nonce: u64, revision: u64) -> ServerInput {
    ServerInput::Ack {
        nonce: Nonce::new(nonce),
        revision: Revision::new(revision),
    }
}

fn nack(nonce: u64, revision: u64) -> ServerInput {
    let (nonce, revision) = (Nonce::new(nonce), Revision::new(revision));
    ServerInput::Nack {
        nonce,
        revision,
        reasons: Vec::new(),
    }
}

/// A session at revision `current` whose proxy has `applied` of the same history.
fn session(current: u64, applied: u64) -> (ServerSession, Vec<ServerEffect>) {
    let mut session = ServerSession::new(Some(version(current)), at(0));
    let effects = session.handle(hello(Some(version(applied)), Recall::Held), at(0));
    (session, effects)
}

#[test]
fn a_proxy_with_nothing_gets_the_whole_policy() {
    let mut session = ServerSession::new(Some(version(5)), at(0));
    let effects = session.handle(hello(None, Recall::NotHeld), at(0));
    assert_eq!(effects, [heartbeat(5), snapshot(1, 5)]);
}

#[test]
fn a_proxy_waits_for_the_first_policy() {
    let mut session = ServerSession::new(None, at(0));
    assert_eq!(
        session.handle(hello(None, Recall::NotHeld), at(0)),
        [heartbeat(0)]
    );
    assert_eq!(
        session.handle(ServerInput::Current(version(1)), at(9)),
        [snapshot(1, 1)]
    );
}

#[test]
fn a_proxy_of_this_history_resumes_with_a_delta() {
    let (_, effects) = session(5, 3);
    assert_eq!(
        effects,
        [
            ServerEffect::Applied(version(3)),
            heartbeat(5),
            delta(1, 3, 5)
        ]
    );
}

#[test]
fn a_proxy_that_is_up_to_date_gets_nothing() {
    let (_, effects) = session(5, 5);
    assert_eq!(effects, [ServerEffect::Applied(version(5)), heartbeat(5)]);
}

#[test]
fn a_proxy_of_another_history_gets_the_whole_policy() {
    let mut session = ServerSession::new(Some(version(5)), at(0));
    let other = Version {
        hash: PolicyHash::from_bytes([99; 32]),
        ..version(3)
    };
    let effects = session.handle(hello(Some(other), Recall::NotHeld), at(0));
    assert_eq!(effects, [heartbeat(5), snapshot(1, 5)]);
}

#[test]
fn revisions_made_while_an_update_is_under_way_are_left_out() {
    let (mut session, _) = session(5, 4);
    assert_eq!(session.handle(ServerInput::Current(version(6)), at(1)), []);
    assert_eq!(session.handle(ServerInput::Current(version(7)), at(1)), []);
    assert_eq!(
        session.handle(ack(1, 5), at(2)),
        [ServerEffect::Applied(version(5)), delta(2, 5, 7)]
    );
    assert_eq!(
        session.handle(ack(2, 7), at(3)),
        [ServerEffect::Applied(version(7))]
    );
}

#[test]
fn a_refused_revision_is_not_offered_again_but_the_next_is() {
    let (mut session, _) = session(5, 4);
    let refused = ServerEffect::Refused {
        version: version(5),
        reasons: Vec::new(),
    };
    assert_eq!(session.handle(nack(1, 5), at(1)), [refused]);
    assert_eq!(session.handle(ServerInput::Heartbeat, at(2)), []);
    assert_eq!(session.handle(ServerInput::Current(version(5)), at(2)), []);
    assert_eq!(
        session.handle(ServerInput::Current(version(6)), at(3)),
        [delta(2, 4, 6)]
    );
}

#[test]
fn a_proxy_that_is_ahead_is_reported_once_and_offered_nothing_until_it_is_passed() {
    let mut session = ServerSession::new(Some(version(5)), at(0));
    let reason = NackReason::older(Revision::new(5), Revision::new(9));
    assert_eq!(
        session.handle(hello(Some(version(9)), Recall::NotHeld), at(0)),
        [
            heartbeat(5),
            ServerEffect::Ahead {
                applied: version(9),
                reason
            }
        ]
    );
    assert_eq!(session.handle(ServerInput::Current(version(6)), at(1)), []);
    assert_eq!(
        session.handle(ServerInput::Current(version(10)), at(1)),
        [snapshot(1, 10)]
    );
}

#[test]
fn a_control_plane_without_a_policy_reports_a_proxy_that_has_one() {
    let mut session = ServerSession::new(None, at(0));
    let effects = session.handle(hello(Some(version(9)), Recall::NotHeld), at(0));
    let Some(ServerEffect::Ahead { applied, reason }) = effects.last() else {
        panic!("{effects:?}");
    };
    assert_eq!(*applied, version(9));
    assert_eq!(
        reason.message,
        "the control plane has no policy, but the proxy has revision 9 in force"
    );
}

#[test]
fn the_same_number_with_another_hash_is_ahead_too() {
    let mut session = ServerSession::new(Some(version(5)), at(0));
    let other = Version {
        hash: PolicyHash::from_bytes([99; 32]),
        ..version(5)
    };
    let effects = session.handle(hello(Some(other), Recall::NotHeld), at(0));
    assert!(
        matches!(effects[..], [_, ServerEffect::Ahead { .. }]),
        "{effects:?}"
    );
}

#[test]
fn the_current_version_never_goes_back_within_a_session() {
    let (mut session, _) = session(5, 5);
    assert_eq!(session.handle(ServerInput::Current(version(4)), at(1)), []);
    assert_eq!(session.handle_timeout(at(2_000)), [heartbeat(5)]);
}

#[test]
fn signs_of_life_go_out_on_time() {
    let (mut session, _) = session(5, 5);
    assert_eq!(session.poll_timeout(), Some(at(2_000)));
    assert_eq!(session.handle_timeout(at(1_999)), []);
    assert_eq!(session.handle_timeout(at(2_000)), [heartbeat(5)]);
    assert_eq!(session.poll_timeout(), Some(at(4_000)));
}

#[test]
fn a_silent_proxy_is_let_go() {
    let (mut session, _) = session(5, 5);
    session.handle(ServerInput::Heartbeat, at(3_000));
    for millis in [5_000, 7_000, 12_999] {
        assert_eq!(session.handle_timeout(at(millis)), [heartbeat(5)]);
    }
    let closed = [ServerEffect::Close(CloseReason::Silent)];
    assert_eq!(session.handle_timeout(at(13_000)), closed);
    assert_eq!(session.poll_timeout(), None);
    assert_eq!(
        session.handle(ServerInput::Current(version(6)), at(13_000)),
        []
    );
}

#[test]
fn a_stream_without_a_hello_is_ended() {
    let mut silent = ServerSession::new(Some(version(5)), at(0));
    assert_eq!(silent.poll_timeout(), Some(at(10_000)));
    assert_eq!(
        silent.handle_timeout(at(10_000)),
        [ServerEffect::Close(CloseReason::Silent)]
    );
    let mut rude = ServerSession::new(Some(version(5)), at(0));
    assert_eq!(
        rude.handle(ServerInput::Heartbeat, at(0)),
        [ServerEffect::Close(CloseReason::NoHello)]
    );
}

#[test]
fn an_update_must_be_answered_in_time() {
    let (mut session, _) = session(5, 4);
    let last = 119_999;
    for millis in (0..=last).step_by(1_000) {
        session.handle(ServerInput::Heartbeat, at(millis));
        assert!(
            !session
                .handle_timeout(at(millis))
                .contains(&ServerEffect::Close(CloseReason::Unanswered))
        );
    }
    assert_eq!(session.poll_timeout(), Some(at(120_000)));
    assert_eq!(
        session.handle_timeout(at(120_000)),
        [ServerEffect::Close(CloseReason::Unanswered)]
    );
}

#[test]
fn an_answer_to_nothing_ends_the_stream() {
    for input in [ack(2, 5), ack(1, 4), nack(2, 5)] {
        let (mut session, _) = session(5, 4);
        assert_eq!(
            session.handle(input, at(1)),
            [ServerEffect::Close(CloseReason::StrayAnswer)]
        );
    }
    let (mut twice, _) = session(5, 4);
    twice.handle(ack(1, 5), at(1));
    assert_eq!(
        twice.handle(ack(1, 5), at(1)),
        [ServerEffect::Close(CloseReason::StrayAnswer)]
    );
}

#[test]
fn a_second_hello_ends_the_stream() {
    let (mut session, _) = session(5, 5);
    assert_eq!(
        session.handle(hello(None, Recall::NotHeld), at(1)),
        [ServerEffect::Close(CloseReason::SecondHello)]
    );
}
