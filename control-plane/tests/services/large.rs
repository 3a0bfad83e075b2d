//! A policy of a hundred thousand agents.

use agix_core::limits::SNAPSHOT_PART_BYTES;
use tempfile::TempDir;

use crate::plane::Plane;
use crate::proxy::Proxy;

/// Fewer where the compiler leaves the code slow.
const AGENTS: u32 = if cfg!(debug_assertions) {
    10_000
} else {
    100_000
};

/// Every agent with a limit and a budget; `limit` is that of the one in the middle.
fn document(limit: u32) -> String {
    let rates = (0..AGENTS).map(|n| {
        let limit = if n == AGENTS / 2 { limit } else { 10 };
        format!("  agent-{n}: {{ requests_per_minute: {limit}, requests_per_hour: 100 }}\n")
    });
    let budgets = (0..AGENTS).map(|n| {
        format!("  agent-{n}: {{ daily_limit_usd: 10.0, monthly_limit_usd: {}, alert_at_percent: 80 }}\n", 100 + n % 50)
    });
    std::iter::once("rate_limits:\n".to_owned())
        .chain(rates)
        .chain(std::iter::once("budgets:\n".to_owned()))
        .chain(budgets)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_agents_travel_as_a_snapshot_and_one_line_as_a_delta() {
    let directory = TempDir::new().unwrap();
    let plane = Plane::on_disk(directory.path()).await;
    let before = document(10);
    let info = plane.apply(&before).await.current.unwrap();
    assert_eq!(info.resources_total, 2 * AGENTS);
    let mut proxy = Proxy::fresh(&plane, "one").await;
    let first = proxy.follow().await;
    assert_eq!(first.parts, proxy.bytes.div_ceil(SNAPSHOT_PART_BYTES));
    assert!(first.parts > 1 && proxy.policy.budgets.len() == AGENTS as usize);

    let snapshot = proxy.bytes;
    let changed = document(11);
    let applied = proxy.alive_during(plane.apply(&changed)).await;
    assert_eq!(applied.changes.len(), 1);
    let second = proxy.follow().await;
    assert_eq!((second.base, second.parts), (Some(1), 1));
    assert!(
        proxy.bytes - snapshot < 100,
        "{} bytes",
        proxy.bytes - snapshot
    );
    plane.stopped().await;

    let plane = Plane::on_disk(directory.path()).await;
    assert_eq!(plane.get(None).await.unwrap().text, changed);
}
