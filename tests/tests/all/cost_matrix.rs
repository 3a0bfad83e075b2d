//! What every kind of call costs, to the billionth of a dollar: provider by endpoint, plain and
//! streamed, with cached input, cache writes, reasoning, callers that leave, missing token counts,
//! and after a failover.
//!
//! Every cost is worked out by hand in [`PROVIDERS`]; the headers, the ledger and the provider's own
//! book must say the same. The table is printed.

mod call;
mod prices;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use agix_tests::mock_provider::{Behaviour, Script};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use serde_json::{Value, json};

use self::call::Endpoint;
use self::prices::{Case, Provider};

/// A model that fails, in front of one that answers.
const DOWN: &str = "gpt-35-turbo";

/// One cell: a call, and what became of it.
struct Cell {
    agent: String,
    case: Case,
    /// By hand, in billionths of a dollar.
    expected: u64,
    /// What the answer said, if the caller was there and it said anything.
    said: Option<u64>,
    /// What the provider's book comes to at the provider's prices.
    book: u64,
}

#[tokio::test]
async fn a_cost_is_the_one_worked_out_by_hand_in_the_answer_the_ledger_and_the_providers_book() {
    let bed = TestBed::start(&policy()).await;
    bed.mock
        .script(DOWN, Script::always(Behaviour::Status(503)));
    let mut cells = Vec::new();
    let mut table = String::new();
    for (endpoint, stream, provider, case) in calls() {
        let how = if stream { "streamed" } else { "plain" };
        let expected = match provider.cost(case, endpoint, stream) {
            Ok(expected) => expected,
            Err(reason) => {
                row(
                    &mut table,
                    [provider.name, endpoint.path(), how, case.name()],
                    reason,
                );
                continue;
            }
        };
        let agent = agent(endpoint, stream, provider, case);
        let before = bed.mock.log().len();
        let said = call::make(&bed, &agent, (endpoint, stream), provider, case).await;
        let calls = bed.mock.log().split_off(before);
        let book = calls.iter().map(|call| provider.of(&call.billed)).sum();
        let attempts = if case == Case::FailedOver { 2 } else { 1 };
        assert_eq!(calls.len(), attempts, "{agent}: {calls:?}");
        cells.push(Cell {
            agent,
            case,
            expected,
            said,
            book,
        });
        row(
            &mut table,
            [provider.name, endpoint.path(), how, case.name()],
            &money(expected),
        );
    }
    let total: u64 = cells.iter().map(|cell| cell.expected).sum();
    let ledger = settled(&bed, &cells).await;
    for cell in &cells {
        let Cell {
            agent, expected, ..
        } = cell;
        if let Some(said) = cell.said {
            assert_eq!(said, *expected, "the answer to {agent}");
        }
        assert_eq!(ledger.get(agent), Some(expected), "the ledger of {agent}");
        if !cell.is_set_aside() {
            assert_eq!(cell.book, *expected, "the provider's book of {agent}");
        }
    }
    println!(
        "{table}{} costs, together {} USD",
        cells.len(),
        money(total)
    );
}

impl Cell {
    /// Whether the caller left before the answer began: nobody knows what the provider bills, so
    /// that all that was set aside is booked, and the provider's book has nothing.
    fn is_set_aside(&self) -> bool {
        self.case == Case::Left && self.book == 0
    }
}

/// Every call there is.
fn calls() -> impl Iterator<Item = (Endpoint, bool, &'static Provider, Case)> {
    Endpoint::ALL.into_iter().flat_map(|endpoint| {
        let hows: &[bool] = if endpoint.streams() {
            &[false, true]
        } else {
            &[false]
        };
        hows.iter().flat_map(move |stream| {
            let providers = prices::PROVIDERS.iter();
            let providers = providers.filter(move |it| it.serves(endpoint));
            providers
                .flat_map(move |provider| Case::ALL.map(|case| (endpoint, *stream, provider, case)))
        })
    })
}

fn agent(endpoint: Endpoint, stream: bool, provider: &Provider, case: Case) -> String {
    let how = if stream { "streamed" } else { "plain" };
    let case = case.name().replace(' ', "-");
    format!("{}-{}-{how}-{case}", provider.name, endpoint.name())
}

fn policy() -> String {
    let mut models = String::new();
    let mut chains = String::new();
    for Provider {
        name, model, price, ..
    } in &prices::PROVIDERS
    {
        writeln!(models, "  {model}: {{ provider: {name}, price: {price} }}").unwrap();
        writeln!(
            models,
            "  down-{model}: {{ provider: openai, upstream_model: {DOWN}, price: {price} }}"
        )
        .unwrap();
        writeln!(chains, "    down-{model}: [{model}]").unwrap();
    }
    let mut budgets = String::new();
    for (endpoint, stream, provider, case) in calls() {
        let agent = agent(endpoint, stream, provider, case);
        writeln!(budgets, "  {agent}: {{ daily_limit_usd: 1 }}").unwrap();
    }
    format!(
        "
models:
{models}failover:
  same_model_retries: 0
  breaker: {{ consecutive_failures: 1000, min_requests: 1000 }}
  chains:
{chains}budgets:
{budgets}"
    )
}

/// What the ledger has of each agent, once nothing is under way and its books are verified.
async fn settled(bed: &TestBed, cells: &[Cell]) -> BTreeMap<String, u64> {
    until(
        "everything is settled",
        Duration::from_secs(20),
        async || {
            let books = bed.agixctl.json(&["ledger", "verify"]).await;
            assert_eq!(books["findings"], json!([]), "{books}");
            let sum = |name: &str| books["total"][name].as_u64().unwrap();
            if sum("escrow_nano_usd") + sum("unsettled_nano_usd") > 0 {
                return None;
            }
            let usage = bed.agixctl.json(&["usage", "--by", "agent"]).await;
            let rows = usage["rows"].as_array().unwrap();
            let known: BTreeMap<_, _> = rows.iter().map(|row| (text(row), nanos(row))).collect();
            (known.len() == cells.len()).then(|| {
                let together: u64 = known.values().sum();
                assert_eq!(sum("spent_nano_usd"), together, "{books}");
                assert_eq!(books["usage_cost_nano_usd"], together, "{books}");
                known
            })
        },
    )
    .await
}

fn text(row: &Value) -> String {
    row["agent"].as_str().unwrap().to_owned()
}

fn nanos(row: &Value) -> u64 {
    row["cost_nano_usd"].as_u64().unwrap()
}

fn row(table: &mut String, names: [&str; 4], what: &str) {
    let [provider, endpoint, how, case] = names;
    writeln!(table, "{provider:18}{endpoint:22}{how:10}{case:14}{what}").unwrap();
}

/// Billionths of a dollar as dollars.
fn money(nanos: u64) -> String {
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}
