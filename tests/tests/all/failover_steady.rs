//! The first model of a chain is down for a while under steady load on twenty proxies: what that costs,
//! and how soon all is as before.
//!
//! `AGIX_TEST_OUTAGE=60` makes the outage last a minute.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agix_tests::ask::chat;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::{stopwatch, until};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

const PROXIES: usize = 20;
const POLICY: &str = "
failover:
  chains: { gpt-4o: [gpt-4o-mini] }
";
/// Pause between two requests to one proxy.
const PACE: Duration = Duration::from_millis(300);
/// Seconds of the outage, unless the environment says otherwise.
const OUTAGE: u64 = 12;
/// Seconds for which the cost of an outage is promised.
const PROMISED: u64 = 60;
/// The longest wait for the fleet to agree, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What callers at all proxies saw.
#[derive(Debug, Default)]
struct Seen {
    asked: AtomicU64,
    /// Since the last look.
    by_fallback: AtomicU64,
    /// Answers that are none.
    failed: Mutex<Vec<String>>,
    /// The most that a caller had to wait beyond its pace, in milliseconds: how busy the machine is.
    late_ms: AtomicU64,
    stop: AtomicBool,
}

/// Asks one proxy at a steady pace.
async fn ask(caller: Caller, seen: Arc<Seen>) {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !seen.stop.load(Ordering::Relaxed) {
        let since = stopwatch();
        ticks.tick().await;
        let answer = caller.chat(&chat("gpt-4o")).await;
        let late = u64::try_from(since().saturating_sub(PACE).as_millis()).unwrap();
        seen.late_ms.fetch_max(late, Ordering::Relaxed);
        seen.asked.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(answer) if answer.status == 200 => {
                let fell_back = answer.header("x-agix-model") != "gpt-4o";
                seen.by_fallback
                    .fetch_add(u64::from(fell_back), Ordering::Relaxed);
            }
            other => seen.failed.lock().unwrap().push(format!("{other:?}")),
        }
    }
}

/// Proxies whose breaker for the first model is open.
async fn open(bed: &TestBed) -> usize {
    let looked = bed.proxies.iter().map(async |proxy| {
        let metrics = Caller::new(proxy.admin).get("/metrics").await.unwrap();
        let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
        metrics.contains(r#"agix_breaker_open{model="gpt-4o",provider="openai"} 1"#)
    });
    let looked = futures_util::future::join_all(looked).await;
    looked.into_iter().filter(|open| *open).count()
}

/// Calls of the first model that failed.
fn failed(bed: &TestBed) -> u64 {
    let calls = bed.mock.calls("gpt-4o");
    let failed = calls.iter().filter(|call| call.status == 503).count();
    u64::try_from(failed).unwrap()
}

#[tokio::test]
async fn an_outage_costs_few_calls_fails_no_request_and_ends_for_all_at_once() {
    let outage = std::env::var("AGIX_TEST_OUTAGE");
    let outage = Duration::from_secs(outage.map_or(OUTAGE, |text| text.parse().unwrap()));
    let bed = TestBed::with_proxies(POLICY, PROXIES).await;
    let seen = Arc::<Seen>::default();
    let mut tasks = JoinSet::new();
    for proxy in &bed.proxies {
        tasks.spawn(ask(Caller::new(proxy.address), Arc::clone(&seen)));
    }
    let rounds = u64::try_from(3 * PROXIES).unwrap();
    until("the load is steady", PATIENCE, async || {
        (seen.asked.load(Ordering::Relaxed) >= rounds).then_some(())
    })
    .await;
    assert_eq!(seen.by_fallback.load(Ordering::Relaxed), 0);

    let before = seen.asked.load(Ordering::Relaxed);
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    let down = stopwatch();
    until("all leave it alone", PATIENCE, async || {
        (open(&bed).await == PROXIES).then_some(())
    })
    .await;
    let (agreed, to_agree) = (failed(&bed), down());
    until("the outage is over", outage + PATIENCE, async || {
        (down() >= outage).then_some(())
    })
    .await;
    let lasted = down();
    let (calls, asked) = (failed(&bed), seen.asked.load(Ordering::Relaxed) - before);
    bed.mock.script("gpt-4o", Script::default());
    let up = stopwatch();
    until("all use it again", PATIENCE, async || {
        (open(&bed).await == 0).then_some(())
    })
    .await;
    // Those that were passed over before are answered within a round.
    let mut back = up();
    let mut rest = seen.asked.load(Ordering::Relaxed) + rounds;
    seen.by_fallback.store(0, Ordering::Relaxed);
    until("all are answered by it", PATIENCE, async || {
        if seen.by_fallback.swap(0, Ordering::Relaxed) > 0 {
            back = up();
            rest = seen.asked.load(Ordering::Relaxed) + rounds;
        }
        (seen.asked.load(Ordering::Relaxed) >= rest).then_some(())
    })
    .await;
    seen.stop.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}

    let late = Duration::from_millis(seen.late_ms.load(Ordering::Relaxed));
    let probes = calls - agreed;
    let probed = lasted.saturating_sub(to_agree).as_secs();
    println!(
        "{PROXIES} proxies, down for {lasted:.1?}: {asked} requests, {calls} calls of the dead model, \
         {agreed} of them in the {to_agree:.1?} until all left it alone, then {probes} in {probed} s; \
         back on it after {back:.1?}; callers waited {late:.1?} too long at most"
    );
    let failures = seen.failed.lock().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    // What a minute at this load would come to: most of it is the price of finding out.
    let missing = PROMISED.saturating_sub(outage.as_secs());
    let minute = asked * PROMISED.max(outage.as_secs()) / outage.as_secs().max(1);
    assert!(
        10 * (calls + missing) <= minute,
        "{calls} calls more of {minute}"
    );
    assert!(probes <= probed + 3, "{probes} probes in {probed} s");
    assert!(probes > 0, "nobody tried it");
    assert!(back <= Duration::from_secs(5) + late, "back after {back:?}");
}
