//! A budget is a budget for the whole fleet, and money is conserved.

use std::time::Duration;

use agix_tests::ask::{chat, stream_with_usage};
use agix_tests::caller::Caller;
use agix_tests::crowd::{Crowd, Tally};
use agix_tests::mock_provider::{Behaviour, Reply, Script, Usage};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use serde_json::Value;

/// Ten dollars in nano-dollars.
const TEN: u64 = 10_000_000_000;
/// `gpt-4o-mini` answers; `gpt-4o` is down, so that every request fails over. A request may cost
/// 100 x 10 + input and costs 5 thousandths of a dollar.
const POLICY: &str = "
models:
  gpt-4o: { provider: openai, price: { input: 2, output: 10 } }
  claude-opus-4-6: { provider: anthropic, price: { input: 10, output: 40 } }
failover: { chains: { gpt-4o: [claude-opus-4-6] }, same_model_retries: 0 }
budgets: { spender: { daily_limit_usd: 10 } }
";
/// What one answer costs: 100 x 10 + 100 x 40 millionths of a dollar.
const COST: u64 = 5_000_000;

fn bed_reply(bed: &TestBed) {
    bed.mock
        .script("gpt-4o", Script::always(Behaviour::Status(503)));
    bed.mock.reply(
        "claude-opus-4-6",
        Reply {
            usage: Some(Usage {
                input: 100,
                output: 100,
                ..Usage::default()
            }),
            head_ms: 20,
            ..Reply::default()
        },
    );
}

fn request() -> Value {
    let mut request = chat("gpt-4o");
    request["max_tokens"] = Value::from(150);
    request
}

fn callers(bed: &TestBed) -> Vec<Caller> {
    bed.proxies
        .iter()
        .map(|proxy| Caller::new(proxy.address).with("x-agent-name", "spender"))
        .collect()
}

/// What the provider billed, in nano-dollars.
fn book(bed: &TestBed) -> u64 {
    bed.mock
        .log()
        .iter()
        .map(|call| call.billed.input * 10_000 + call.billed.output * 40_000)
        .sum()
}

async fn verified(bed: &TestBed) -> Value {
    let verified = bed.agixctl.json(&["ledger", "verify"]).await;
    assert_eq!(verified["findings"], serde_json::json!([]), "{verified}");
    verified
}

fn nanos(verified: &Value, what: &str) -> u64 {
    let sums = verified["total"].get(what);
    sums.unwrap_or(&verified[what])
        .as_u64()
        .unwrap_or_else(|| panic!("{what}: {verified}"))
}

#[tokio::test]
async fn ten_dollars_are_spent_and_never_more() {
    let bed = TestBed::with_proxies(POLICY, 4).await;
    bed_reply(&bed);
    let crowd = Crowd::gather(500, &callers(&bed), &request(), |status| status == 429);
    let tally = crowd.done().await;
    let spent = book(&bed);
    assert!(spent <= TEN, "{spent}");
    assert!(spent >= TEN / 100 * 98, "{spent}");
    assert_eq!(Tally::count(&tally.other), 0, "{tally:?}");
    assert_eq!(Tally::count(&tally.unavailable), 0, "{tally:?}");
    assert_eq!(Tally::count(&tally.answered) * COST, spent);
    let books = until(
        "the books are settled",
        Duration::from_secs(10),
        async || {
            let books = verified(&bed).await;
            (nanos(&books, "spent_nano_usd") == spent).then_some(books)
        },
    )
    .await;
    assert_eq!(nanos(&books, "unsettled_nano_usd"), 0, "{books}");
    assert_eq!(nanos(&books, "usage_cost_nano_usd"), spent, "{books}");
    let refused = callers(&bed)[0].chat(&request()).await.unwrap();
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!(refused.header("x-should-retry"), "false");
    let error = &refused.json()["error"];
    assert_eq!(error["type"], "insufficient_quota");
    assert_eq!(error["code"], "budget_exceeded");
    let message = error["message"].as_str().unwrap();
    for part in ["spender", "daily", "$10"] {
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn proxies_that_are_killed_overspend_nothing() {
    let bed = spend_under_kills(true, false).await;
    the_books_agree(&bed).await;
}

#[tokio::test]
async fn a_control_plane_that_is_killed_overspends_nothing() {
    let bed = spend_under_kills(false, true).await;
    the_books_agree(&bed).await;
}

#[tokio::test]
async fn killing_both_overspends_nothing() {
    let bed = spend_under_kills(true, true).await;
    the_books_agree(&bed).await;
}

async fn spend_under_kills(proxies: bool, control_plane: bool) -> TestBed {
    let mut bed = TestBed::with_proxies(POLICY, 4).await;
    bed_reply(&bed);
    let crowd = Crowd::gather(200, &callers(&bed), &request(), |status| status == 429);
    for second in 0..20_usize {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if proxies && second % 2 == 1 {
            bed.kill_and_restart_proxy(second / 2 % 4).await;
        }
        if control_plane && second % 5 == 4 {
            bed.kill_control_plane();
            bed.restart_control_plane().await;
        }
    }
    let tally = crowd.stop().await;
    assert!(Tally::count(&tally.answered) > 100, "{tally:?}");
    assert_eq!(Tally::count(&tally.other), 0, "{tally:?}");
    bed
}

/// Once all is quiet the ledger says what the provider says, except what is marked unsettled.
async fn the_books_agree(bed: &TestBed) {
    let spent = book(bed);
    assert!(spent <= TEN, "{spent}");
    until(
        "the books are settled",
        Duration::from_secs(30),
        async || {
            let books = verified(bed).await;
            let settled = nanos(&books, "spent_nano_usd");
            let unsettled = nanos(&books, "unsettled_nano_usd");
            let open = nanos(&books, "escrow_nano_usd");
            assert!(settled + unsettled + open <= TEN, "{books}");
            let agree = settled <= spent && spent <= settled + unsettled;
            agree.then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn a_journal_settles_what_a_crash_left_unsettled() {
    let mut bed = TestBed::without_proxies().await;
    bed.agixctl.apply(&bed.document(POLICY), &[]).await;
    let settings = agix_tests::test_bed::ProxySettings {
        journal: true,
        ..agix_tests::test_bed::ProxySettings::default()
    };
    bed.add_proxy(settings).await;
    bed_reply(&bed);
    for _ in 0..5 {
        let answer = callers(&bed)[0].chat(&request()).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    bed.kill_and_restart_proxy(0).await;
    bed.proxies[0].ready().await;
    let books = until(
        "the books are settled",
        Duration::from_secs(20),
        async || {
            let books = verified(&bed).await;
            let settled = nanos(&books, "unsettled_nano_usd") == 0;
            (settled && nanos(&books, "spent_nano_usd") == book(&bed)).then_some(books)
        },
    )
    .await;
    assert_eq!(nanos(&books, "spent_nano_usd"), 5 * COST, "{books}");
}

#[tokio::test]
async fn a_stream_that_would_outrun_its_budget_ends_at_the_cap() {
    // A cent buys 1,000 tokens of output; the answer has four thousand.
    let policy = "
models: { gpt-4o: { provider: openai, price: { input: 0, output: 10 } } }
budgets: { spender: { daily_limit_usd: 0.01 } }
";
    let bed = TestBed::with_proxies(policy, 1).await;
    bed.mock.reply(
        "gpt-4o",
        Reply {
            text: Some("word ".repeat(4_000)),
            piece_ms: 1,
            ..Reply::default()
        },
    );
    let caller = &callers(&bed)[0];
    let mut stream = caller
        .chat_stream(&stream_with_usage("gpt-4o"))
        .await
        .unwrap();
    assert_eq!(stream.status, 200);
    let said = stream.events().await.unwrap();
    assert!(said.is_whole(), "{:?}", said.events.back());
    assert_eq!(said.finish_reason().as_deref(), Some("length"));
    let words = said.text().split_whitespace().count();
    assert!((300..=1_000).contains(&words), "{words}");
    let call = until(
        "the provider's work ends",
        Duration::from_secs(5),
        async || {
            let calls = bed.mock.calls("gpt-4o");
            let call = calls.last()?.clone();
            matches!(
                call.outcome,
                agix_tests::mock_provider::Outcome::CallerLeft { .. }
            )
            .then_some(call)
        },
    )
    .await;
    assert!(call.billed.output <= 1_000, "{call:?}");
    let budgets = bed.agixctl.json(&["budgets", "spender"]).await;
    let books = verified(&bed).await;
    assert!(nanos(&books, "spent_nano_usd") <= 10_000_000, "{budgets}");
}

#[tokio::test]
async fn answers_say_how_much_of_the_budget_is_used() {
    let bed = TestBed::with_proxies(
        "
models: { gpt-4o: { provider: openai, price: { input: 0, output: 10 } } }
budgets: { spender: { daily_limit_usd: 1, monthly_limit_usd: 10 } }
",
        1,
    )
    .await;
    bed.mock.reply(
        "gpt-4o",
        Reply {
            usage: Some(Usage {
                output: 25_000,
                ..Usage::default()
            }),
            ..Reply::default()
        },
    );
    let caller = &callers(&bed)[0];
    let mut asked = chat("gpt-4o");
    asked["max_tokens"] = Value::from(25_000);
    for (daily, monthly) in [("25.0", "2.5"), ("50.0", "5.0")] {
        let answer = caller.chat(&asked).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-budget-daily-percent"), daily);
        assert_eq!(answer.header("x-budget-monthly-percent"), monthly);
    }
    let adjust = [
        "budgets", "adjust", "spender", "--usd", "-0.25", "-m", "refund",
    ];
    bed.agixctl.ok(&adjust).await;
    let budgets = bed.agixctl.json(&["budgets", "spender"]).await;
    assert!(budgets.to_string().contains("0.25"), "{budgets}");
}
