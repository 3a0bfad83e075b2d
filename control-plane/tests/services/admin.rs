//! What an operator does.

use std::fmt::Write as _;

use agix_proto::v1;
use agix_proto::v1::apply_response::Outcome;
use agix_proto::v1::rollback_response;
use prost::Message as _;
use tonic::Code;

use crate::plane::{Plane, applied, by, conflict, limit};

const SECRETS: &str = "\
providers:
  local:
    api: openai
    base_url: http://127.0.0.1:1
    api_key: sk-literal-secret-one
    headers: { x-token: literal-secret-two }
webhooks:
  definitions:
    alert: { secret: literal-secret-three, callback_url: 'https://example.com/' }
rate_limits:
  batch: { requests_per_minute: 5 }
";

#[tokio::test]
async fn a_refused_document_changes_nothing_and_says_everything() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(5)).await;
    let wrong = "rate_limits:\n  a: { requests_per_minute: 0 }\n  b: { requests_per_minut: 1 }\n";
    let Outcome::Invalid(invalid) = plane.try_apply(by("bob"), wrong).await.unwrap() else {
        panic!("a wrong document was taken");
    };
    let lines: Vec<_> = invalid.diagnostics.iter().map(|it| it.line).collect();
    assert_eq!(lines, [2, 3]);
    assert_eq!(plane.history(0, None).await, (vec![1], false));
    let document = v1::Document {
        files: vec![v1::SourceFile {
            name: "policy.yaml".to_owned(),
            text: wrong.to_owned(),
        }],
    };
    let request = v1::ValidateRequest {
        document: Some(document),
    };
    let validated = plane.admin().validate(request).await.unwrap().into_inner();
    assert_eq!(validated.diagnostics, invalid.diagnostics);
}

#[tokio::test]
async fn a_policy_is_applied_shown_compared_and_taken_back() {
    let plane = Plane::in_memory().await;
    let first = plane.apply(&limit(5)).await;
    let info = first.current.unwrap();
    assert_eq!(
        (info.revision, info.author.as_str(), info.message.as_str()),
        (1, "ann", "by ann")
    );
    assert_eq!(
        (
            info.resources_changed,
            info.resources_total,
            info.hash.len()
        ),
        (1, 1, 32)
    );
    assert!(info.time_unix_ms > 1_600_000_000_000);

    let same = plane.apply(&limit(5)).await;
    assert!(same.unchanged && same.changes.is_empty());

    let second = plane.apply(&limit(7)).await;
    assert_eq!(second.previous_revision, 1);
    let change = &second.changes[0];
    assert_eq!(change.path, "rate_limits.batch.requests_per_minute");
    assert_eq!(
        (change.old.as_deref(), change.new.as_deref()),
        (Some("5"), Some("7"))
    );

    let got = plane.get(Some(1)).await.unwrap();
    assert_eq!(
        (got.info.revision, got.text, got.resources.len()),
        (1, limit(5), 1)
    );
    assert_eq!(plane.get(None).await.unwrap().text, limit(7));

    let between = v1::DiffStart {
        from: Some(2),
        to: Some(1),
    };
    let diff = plane.diff(between, None).await.unwrap();
    assert_eq!(
        (diff.changes[0].new.as_deref(), diff.from, diff.to),
        (Some("5"), 2, Some(1))
    );
    let against = plane
        .diff(v1::DiffStart::default(), Some(&limit(9)))
        .await
        .unwrap();
    assert_eq!(
        (against.changes[0].new.as_deref(), against.from),
        (Some("9"), 2)
    );

    let back = v1::RollbackRequest {
        to_revision: 1,
        author: "eve".to_owned(),
        ..v1::RollbackRequest::default()
    };
    let answer = plane.admin().rollback(back).await.unwrap().into_inner();
    let Some(rollback_response::Outcome::Applied(third)) = answer.outcome else {
        panic!("{answer:?}");
    };
    let info = third.current.unwrap();
    assert_eq!((info.revision, info.rolled_back_to), (3, Some(1)));
    assert_eq!(plane.get(None).await.unwrap().text, limit(5));
}

#[tokio::test]
async fn the_first_document_is_compared_with_nothing() {
    let plane = Plane::in_memory().await;
    let diff = plane
        .diff(v1::DiffStart::default(), Some(&limit(9)))
        .await
        .unwrap();
    assert_eq!((diff.from, diff.changes.len()), (0, 1));
    let wrong = plane
        .diff(v1::DiffStart::default(), Some("nonsense: 1\n"))
        .await
        .unwrap();
    assert!(wrong.changes.is_empty() && !wrong.diagnostics.is_empty());
}

#[tokio::test]
async fn of_two_operators_racing_one_is_told_of_the_other() {
    let plane = Plane::in_memory().await;
    plane.apply(&limit(1)).await;
    let expecting = |author| v1::ApplyStart {
        expected_revision: Some(1),
        ..by(author)
    };
    let (ann, bob) = tokio::join!(
        async { plane.try_apply(expecting("ann"), &limit(2)).await.unwrap() },
        async { plane.try_apply(expecting("bob"), &limit(3)).await.unwrap() },
    );
    let (winner, lost) = match &ann {
        Outcome::Applied(_) => ("ann", conflict(bob)),
        _ => ("bob", conflict(ann)),
    };
    assert_eq!((lost.expected_revision, lost.current_revision), (1, 2));
    assert_eq!(lost.current_author, winner);
    assert_eq!(plane.history(0, None).await, (vec![2, 1], false));
}

#[tokio::test]
async fn a_dry_run_says_what_would_happen() {
    let plane = Plane::in_memory().await;
    let dry = v1::ApplyStart {
        dry_run: true,
        ..by("ann")
    };
    let told = applied(plane.try_apply(dry, &limit(1)).await.unwrap());
    assert_eq!((told.current.unwrap().revision, told.changes.len()), (1, 1));
    assert_eq!(plane.get(None).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let plane = Plane::in_memory().await;
    let start = v1::DiffStart::default();
    let mut shown = format!("{:?}", plane.diff(start, Some(SECRETS)).await.unwrap());
    let done = plane.apply(SECRETS).await;
    write!(shown, "{done:?}").unwrap();
    let got = plane.get(None).await.unwrap();
    assert_eq!(got.resources.len(), 3);
    shown.push_str(&got.text);
    for resource in &got.resources {
        shown.push_str(&resource.encode_to_vec().escape_ascii().to_string());
    }
    let other = SECRETS.replace("literal-secret", "changed-secret");
    let changed = plane.apply(&other).await;
    assert_eq!(changed.changes.len(), 3, "a changed secret is a change");
    write!(shown, "{changed:?}").unwrap();
    for secret in ["literal-secret", "changed-secret", "secret-one"] {
        assert!(!shown.contains(secret), "{secret} is shown: {shown}");
    }
    assert!(shown.contains("sha256:"), "their fingerprints are: {shown}");
}

#[tokio::test]
async fn the_history_is_paged() {
    let plane = Plane::in_memory().await;
    for n in 1..=25 {
        plane.apply(&limit(n)).await;
    }
    let (first, more) = plane.history(0, None).await;
    assert_eq!((first.len(), first[0], more), (20, 25, true));
    assert_eq!(
        plane.history(0, Some(6)).await,
        (vec![5, 4, 3, 2, 1], false)
    );
    assert_eq!(plane.history(2, Some(4)).await, (vec![3, 2], true));
    assert_eq!(plane.history(1_000, None).await.0.len(), 25);
}

#[tokio::test]
async fn a_watch_begins_with_the_current_revision_and_goes_on() {
    let plane = Plane::in_memory().await;
    let mut early = plane
        .admin()
        .watch(v1::WatchRequest {})
        .await
        .unwrap()
        .into_inner();
    plane.apply(&limit(1)).await;
    let mut late = plane
        .admin()
        .watch(v1::WatchRequest {})
        .await
        .unwrap()
        .into_inner();
    for watch in [&mut early, &mut late] {
        let seen = watch.message().await.unwrap().unwrap().current.unwrap();
        assert_eq!((seen.revision, seen.author.as_str()), (1, "ann"));
    }
    plane.apply(&limit(2)).await;
    for watch in [&mut early, &mut late] {
        assert_eq!(
            watch
                .message()
                .await
                .unwrap()
                .unwrap()
                .current
                .unwrap()
                .revision,
            2
        );
    }
    plane.tell_to_stop();
    let end = early.message().await.unwrap_err();
    assert_eq!(
        (end.code(), end.message()),
        (Code::Unavailable, "the control plane is stopping")
    );
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let plane = Plane::in_memory().await;
    let none = plane.get(None).await.unwrap_err();
    assert_eq!(none.code(), Code::NotFound);
    assert!(none.message().contains("agixctl apply"), "{none}");
    plane.apply(&limit(1)).await;
    let missing = plane.get(Some(7)).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(missing.message().contains("no revision 7"), "{missing}");
    let back = v1::RollbackRequest {
        to_revision: 7,
        ..v1::RollbackRequest::default()
    };
    let missing = plane.admin().rollback(back).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
}

#[tokio::test]
async fn an_upload_out_of_order_is_refused() {
    let plane = Plane::in_memory().await;
    let start = || v1::ApplyRequest {
        part: Some(v1::apply_request::Part::Start(by("ann"))),
    };
    let file = v1::ApplyRequest {
        part: Some(v1::apply_request::Part::File(v1::SourceFile::default())),
    };
    for wrong in [
        vec![],
        vec![file],
        vec![start(), start()],
        vec![start(), v1::ApplyRequest { part: None }],
    ] {
        let refused = plane
            .admin()
            .apply(tokio_stream::iter(wrong))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("upload"), "{refused}");
    }
    let long = v1::ApplyStart {
        author: "a".repeat(1_000),
        ..by("ann")
    };
    let refused = plane.try_apply(long, &limit(1)).await.unwrap_err();
    assert_eq!(
        refused.message(),
        "the author has at most 256 bytes, this one has 1000"
    );
    let both = v1::DiffStart {
        from: None,
        to: Some(1),
    };
    let refused = plane.diff(both, Some(&limit(1))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
