//! The driver against a control plane on a real connection.

mod control_plane;

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::policy::{RateLimits, ResourceKey};
use agix_core::units::RequestLimit;
use tokio_util::task::TaskTracker;

use super::*;
use control_plane::{ControlPlane, Seen};

/// A proxy that installs policies into a list.
struct Proxy {
    installed: Arc<Mutex<Vec<(Revision, Policy)>>>,
    status: watch::Receiver<SyncStatus>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Proxy {
    fn start(endpoints: Vec<String>, snapshot: Option<&Path>) -> Self {
        let config = SyncConfig {
            endpoints: endpoints.into(),
            proxy_id: ProxyId::new("proxy-1").unwrap(),
            incarnation: 7,
            version: "1.2.3".to_owned(),
            address: "127.0.0.1:8080".to_owned(),
            snapshot: snapshot.map(Path::to_owned),
        };
        let installed = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&installed);
        let install: Install = Arc::new(move |revision, policy| {
            let refused = AgentName::new("refused").unwrap();
            if policy.rate_limits.contains_key(&refused) {
                return Err(vec![Problem {
                    resource: ResourceKey::RateLimits(refused),
                    field: "requests_per_minute".to_owned(),
                    code: "AGX0099",
                    message: "not here".to_owned(),
                    help: None,
                }]);
            }
            list.lock().unwrap().push((revision, policy.clone()));
            Ok(())
        });
        let load: LoadSource = Arc::new(Load::default);
        let (sender, status) = watch::channel(SyncStatus::new());
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(run(config, install, load, sender, shutdown.clone()));
        tasks.close();
        Self {
            installed,
            status,
            shutdown,
            tasks,
        }
    }

    fn follow(control_plane: &ControlPlane, snapshot: Option<&Path>) -> Self {
        Self::start(vec![format!("http://{}", control_plane.address)], snapshot)
    }

    async fn until(&mut self, condition: impl Fn(&SyncStatus) -> bool) -> SyncStatus {
        let reached = self.status.wait_for(|it| condition(it));
        // Not a measure of anything: only so that a broken promise fails instead of hanging.
        let reached = tokio::time::timeout(Duration::from_mins(1), reached);
        let status = reached.await.expect("in time").expect("the driver runs");
        status.clone()
    }

    async fn until_revision(&mut self, revision: u64) -> SyncStatus {
        self.until(|it| it.revision() == Revision::new(revision))
            .await
    }

    fn revisions(&self) -> Vec<u64> {
        let installed = self.installed.lock().unwrap();
        installed
            .iter()
            .map(|(revision, _)| revision.number())
            .collect()
    }

    fn newest(&self) -> Policy {
        self.installed.lock().unwrap().last().unwrap().1.clone()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// A control plane at a revision, and a proxy that has it.
async fn in_force(number: u64, policy: &Policy) -> (ControlPlane, Proxy) {
    let control_plane = ControlPlane::start().await;
    control_plane.apply(number, policy);
    let mut proxy = Proxy::follow(&control_plane, None);
    proxy.until_revision(number).await;
    (control_plane, proxy)
}

fn policy(limits: &[(&str, u32)]) -> Policy {
    let mut policy = Policy::default();
    for (agent, limit) in limits {
        let limits = RateLimits {
            requests_per_minute: RequestLimit::new(*limit),
            ..RateLimits::default()
        };
        policy
            .rate_limits
            .insert(AgentName::new(agent).unwrap(), limits);
    }
    policy
}

/// A policy whose snapshot takes many parts.
fn large_policy() -> Policy {
    let names: Vec<String> = (0..30_000)
        .map(|number| format!("agent-{number:05}"))
        .collect();
    let limits: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 5)).collect();
    policy(&limits)
}

fn revision(number: u64) -> Revision {
    Revision::new(number)
}

#[tokio::test]
async fn a_proxy_takes_a_snapshot_and_then_deltas() {
    let mut control_plane = ControlPlane::start().await;
    let large = large_policy();
    control_plane.apply(1, &large);
    let mut proxy = Proxy::follow(&control_plane, None);
    let status = proxy.until_revision(1).await;
    assert_eq!(status.applied.unwrap().source, Source::ControlPlane);
    assert!(status.is_connected());
    let Seen::Hello(hello) = control_plane.seen().await else {
        panic!("no hello");
    };
    assert_eq!((hello.proxy.as_str(), hello.incarnation), ("proxy-1", 7));
    assert_eq!(hello.applied, None);
    assert_eq!(control_plane.seen().await, Seen::SentSnapshot(revision(1)));
    assert_eq!(control_plane.seen().await, Seen::Applied(revision(1)));
    assert_eq!(proxy.newest(), large);

    let mut changed = large.clone();
    changed.rate_limits.remove("agent-00007");
    changed.put(policy(&[("batch", 10)]).resources().remove(0));
    control_plane.apply(2, &changed);
    proxy.until_revision(2).await;
    let delta = Seen::SentDelta {
        base: revision(1),
        revision: revision(2),
    };
    assert_eq!(control_plane.seen().await, delta);
    assert_eq!(control_plane.seen().await, Seen::Applied(revision(2)));
    assert_eq!(proxy.newest(), changed);
    proxy.stop().await;
}

#[tokio::test]
async fn a_refused_policy_changes_nothing_and_the_reason_arrives() {
    let (mut control_plane, mut proxy) = in_force(1, &policy(&[("a", 1)])).await;
    control_plane.apply(2, &policy(&[("a", 1), ("refused", 1)]));
    let status = proxy.until(|it| it.refused.is_some()).await;
    assert_eq!(status.revision(), revision(1));
    let seen = loop {
        if let Seen::Refused(revision, reasons) = control_plane.seen().await {
            break (revision, reasons);
        }
    };
    assert_eq!(seen.0, revision(2));
    let [reason] = &seen.1[..] else {
        panic!("{seen:?}");
    };
    assert_eq!(
        (reason.code.as_str(), reason.message.as_str()),
        ("AGX0099", "not here")
    );
    assert_eq!(
        reason.resource.as_ref().unwrap().to_string(),
        "rate_limits.refused"
    );

    control_plane.apply(3, &policy(&[("a", 3)]));
    let status = proxy.until_revision(3).await;
    assert_eq!(status.refused, None);
    assert_eq!(proxy.revisions(), [1, 3]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_proxy_goes_on_without_control_plane_and_resumes_when_it_is_back() {
    let (mut control_plane, mut proxy) = in_force(1, &policy(&[("a", 1)])).await;
    control_plane.stop().await;
    let status = proxy.until(|it| matches!(it.link, Link::Lost { .. })).await;
    assert_eq!(status.revision(), revision(1));

    control_plane.apply(2, &policy(&[("a", 2)]));
    control_plane.start_again().await;
    proxy.until_revision(2).await;
    let delta = Seen::SentDelta {
        base: revision(1),
        revision: revision(2),
    };
    while control_plane.seen().await != delta {}
    assert_eq!(proxy.revisions(), [1, 2]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_cold_start_serves_from_the_snapshot_and_resumes_from_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.snapshot");
    let mut control_plane = ControlPlane::start().await;
    let first = control_plane.apply(1, &policy(&[("a", 1)]));
    let mut proxy = Proxy::follow(&control_plane, Some(&path));
    proxy.until_revision(1).await;
    while control_plane.seen().await != Seen::Applied(revision(1)) {}
    proxy.stop().await;
    control_plane.stop().await;

    let mut proxy = Proxy::follow(&control_plane, Some(&path));
    let status = proxy.until(|it| matches!(it.link, Link::Lost { .. })).await;
    let applied = status.applied.unwrap();
    assert_eq!((applied.version, applied.source), (first, Source::Snapshot));
    assert_eq!(proxy.newest(), policy(&[("a", 1)]));

    control_plane.apply(2, &policy(&[("a", 2)]));
    control_plane.start_again().await;
    proxy.until_revision(2).await;
    let delta = Seen::SentDelta {
        base: revision(1),
        revision: revision(2),
    };
    while control_plane.seen().await != delta {}
    proxy.stop().await;
}

#[tokio::test]
async fn a_damaged_snapshot_is_reported_and_the_one_before_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("policy.snapshot");
    let mut control_plane = ControlPlane::start().await;
    let mut proxy = Proxy::follow(&control_plane, Some(&path));
    for number in 1..=2 {
        control_plane.apply(
            number,
            &policy(&[("a", 1), ("b", u32::try_from(number).unwrap())]),
        );
        proxy.until_revision(number).await;
        while control_plane.seen().await != Seen::Applied(revision(number)) {}
    }
    proxy.stop().await;
    let torn = std::fs::read(&path).unwrap();
    std::fs::write(&path, &torn[..torn.len() / 2]).unwrap();

    let mut proxy = Proxy::start(Vec::new(), Some(&path));
    let status = proxy.until_revision(1).await;
    let error = status.snapshot_error.unwrap();
    assert!(
        error.contains("is damaged: its checksum does not match"),
        "{error}"
    );
    proxy.stop().await;

    // The control plane makes it whole again.
    let mut proxy = Proxy::follow(&control_plane, Some(&path));
    let status = proxy.until_revision(2).await;
    assert_eq!(status.snapshot_error, None);
    assert_eq!(proxy.revisions(), [1, 2]);
    proxy.stop().await;
}

#[tokio::test]
async fn a_control_plane_that_lost_its_history_is_refused_until_it_has_passed_the_proxy() {
    let (mut control_plane, mut proxy) = in_force(9, &policy(&[("a", 9)])).await;
    control_plane.stop().await;
    control_plane.forget_everything();
    control_plane.apply(1, &policy(&[("a", 1)]));
    control_plane.start_again().await;
    let status = proxy.until(|it| it.behind.is_some()).await;
    assert_eq!(status.revision(), revision(9));
    while control_plane.seen().await != Seen::Ahead(revision(9)) {}
    control_plane.apply(10, &policy(&[("a", 10)]));
    let status = proxy.until_revision(10).await;
    assert_eq!(status.behind, None);
    assert_eq!(proxy.revisions(), [9, 10]);
    proxy.stop().await;
}

#[tokio::test]
async fn the_next_control_plane_is_tried_when_one_does_not_answer() {
    let control_plane = ControlPlane::start().await;
    control_plane.apply(1, &policy(&[("a", 1)]));
    let mut gone = ControlPlane::start().await;
    gone.stop().await;
    let endpoints = vec![
        "not an address".to_owned(),
        format!("http://{}", gone.address),
        format!("http://{}", control_plane.address),
    ];
    let mut proxy = Proxy::start(endpoints, None);
    proxy.until_revision(1).await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_address_is_said() {
    let mut proxy = Proxy::start(vec!["127.0.0.1 7070".to_owned()], None);
    let status = proxy.until(|it| matches!(it.link, Link::Lost { .. })).await;
    let Link::Lost { error, .. } = status.link else {
        panic!("{status:?}");
    };
    assert_eq!(
        error,
        "`127.0.0.1 7070` is not an address of a control plane; write http://HOST:PORT or \
         https://HOST:PORT"
    );
    proxy.stop().await;
}
