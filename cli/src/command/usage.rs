//! `usage`: what was used, summed up by agent, model or day.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use agix_core::id::AgentName;
use agix_core::quota::Day;
use agix_core::usage::UsageTotals;
use agix_proto::v1::{ListUsageRequest, ListUsageResponse, UsageRow};
use clap::ValueEnum;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;
use tonic::{Status, Streaming};

use super::connect;
use crate::args::Global;
use crate::client::CallError;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Decimal, Look, Output, Table, View, usd};

/// Arguments of `usage`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl usage                             by agent, all days that are kept
  agixctl usage --by model --since 7d       by model, the last seven days
  agixctl usage --by day,agent --since 2026-11-01
  agixctl usage --by day --agent batch -o json

A day is one of the agent's time zone; without a budget, of UTC. The dearest come first, days in
their order. INPUT and OUTPUT are tokens, those of caches and of reasoning included.")]
pub(crate) struct UsageArgs {
    /// What to sum up by; several with commas
    #[arg(
        long,
        value_enum,
        value_name = "COLUMN",
        value_delimiter = ',',
        default_value = "agent"
    )]
    by: Vec<By>,

    /// Only from this day on: 2026-11-25, or 7d for the last seven days
    #[arg(long, value_name = "DAY", value_parser = Since::parse)]
    since: Option<Since>,

    /// Only up to this day: 2026-11-25
    #[arg(long, value_name = "DAY", value_parser = day)]
    until: Option<Day>,

    /// Only of this agent; may be given several times
    #[arg(long, value_name = "NAME")]
    agent: Vec<AgentName>,
}

/// A column to sum up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum By {
    // Plain comments: clap would make a paragraph of each in the help text.
    // Who asked.
    Agent,
    // Who answered.
    Model,
    // When.
    Day,
}

/// The first day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Since {
    Day(Day),
    /// So many days, today included.
    Last(u16),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        let count = text.strip_suffix('d').map(str::parse);
        match count {
            Some(Ok(0)) => Err("it must be one day at least".to_owned()),
            Some(Ok(count)) => Ok(Self::Last(count)),
            Some(Err(_)) | None => day(text).map(Self::Day),
        }
    }

    /// The day, when it is `now`. Without a calendar that reaches back so far: every day.
    fn day(self, now: Timestamp) -> Option<Day> {
        match self {
            Self::Day(day) => Some(day),
            Self::Last(count) => {
                let before = Span::new().days(i64::from(count) - 1);
                let today = now.to_zoned_datetime(TimeZone::UTC).date();
                of_date(today.checked_sub(before).ok()?)
            }
        }
    }
}

fn day(text: &str) -> Result<Day, String> {
    let date: Option<Date> = text.parse().ok();
    date.and_then(of_date)
        .ok_or_else(|| "write a day such as `2026-11-25`".to_owned())
}

fn of_date(date: Date) -> Option<Day> {
    let year = u16::try_from(date.year()).ok()?;
    let month = u8::try_from(date.month()).ok()?;
    let day = u8::try_from(date.day()).ok()?;
    Day::new(year, month, day)
}

/// What a row is about; absent is what it is not summed up by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    day: Option<u32>,
    agent: Option<String>,
    model: Option<String>,
}

/// Rows, as they come.
#[derive(Debug, Default)]
struct Sums {
    rows: BTreeMap<Key, UsageTotals>,
    total: UsageTotals,
}

#[derive(Debug, Serialize)]
struct Usage {
    by: Vec<By>,
    since: Option<String>,
    until: Option<String>,
    rows: Vec<RowView>,
    total: TotalsView,
}

#[derive(Debug, Serialize)]
struct RowView {
    #[serde(skip_serializing_if = "Option::is_none")]
    day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(flatten)]
    totals: TotalsView,
}

#[derive(Debug, Serialize)]
struct TotalsView {
    requests: u64,
    /// Requests whose tokens were estimated.
    estimated_requests: u64,
    /// Requests whose cost nobody knows.
    unpriced_requests: u64,
    input_tokens: u64,
    cached_input_tokens: u64,
    cache_write_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cost_usd: Decimal,
    cost_nano_usd: u64,
    #[serde(skip)]
    totals: UsageTotals,
}

impl Sums {
    /// Takes a row in.
    fn add(&mut self, row: UsageRow, args: &UsageArgs) -> Result<(), CallError> {
        let UsageRow {
            day,
            agent,
            model,
            totals,
        } = row;
        let totals = UsageTotals::from(totals.ok_or(CallError::Incomplete { missing: "totals" })?);
        if !args.agent.is_empty() && !args.agent.iter().any(|name| name.as_str() == agent) {
            return Ok(());
        }
        let by = |column| args.by.contains(&column);
        let key = Key {
            day: by(By::Day).then_some(day),
            agent: by(By::Agent).then_some(agent),
            model: by(By::Model).then_some(model),
        };
        let sums = self.rows.entry(key).or_default();
        *sums = sums.plus(&totals);
        self.total = self.total.plus(&totals);
        Ok(())
    }

    /// Days in their order, of each the dearest first.
    fn sorted(self) -> (Vec<(Key, UsageTotals)>, UsageTotals) {
        let mut rows: Vec<_> = self.rows.into_iter().collect();
        let order = |(one, mine): &(Key, UsageTotals), (other, its): &(Key, UsageTotals)| {
            let by_day = one.day.cmp(&other.day);
            let by_cost = its.cost.cmp(&mine.cost);
            by_day.then(by_cost).then_with(|| one.cmp(other))
        };
        rows.sort_by(|one, other| -> Ordering { order(one, other) });
        (rows, self.total)
    }
}

impl From<UsageTotals> for TotalsView {
    fn from(totals: UsageTotals) -> Self {
        let UsageTotals {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost,
        } = totals;
        Self {
            requests,
            estimated_requests: estimated,
            unpriced_requests: unpriced,
            input_tokens: input,
            cached_input_tokens: cached_input,
            cache_write_tokens: cache_write,
            output_tokens: output,
            reasoning_tokens: reasoning,
            cost_usd: Decimal::new(&cost),
            cost_nano_usd: cost.as_nanos(),
            totals,
        }
    }
}

impl TotalsView {
    fn cells(&self, look: Look) -> Vec<String> {
        let totals = &self.totals;
        let input = totals
            .input
            .saturating_add(totals.cached_input)
            .saturating_add(totals.cache_write);
        let output = totals.output.saturating_add(totals.reasoning);
        let mut cells = vec![totals.requests, input, output];
        if look.wide {
            cells.extend([
                totals.cached_input,
                totals.cache_write,
                totals.reasoning,
                totals.estimated,
                totals.unpriced,
            ]);
        }
        let mut cells: Vec<_> = cells.iter().map(ToString::to_string).collect();
        cells.push(usd(totals.cost));
        cells
    }
}

impl Usage {
    fn new(args: &UsageArgs, since: Option<Day>, sums: Sums) -> Self {
        let (rows, total) = sums.sorted();
        let rows = rows.into_iter().map(|(key, totals)| RowView {
            day: key.day.map(|number| match Day::from_number(number) {
                Ok(day) => day.to_string(),
                Err(_unknown) => number.to_string(),
            }),
            agent: key.agent,
            model: key.model,
            totals: totals.into(),
        });
        Self {
            by: args.by.clone(),
            since: since.map(|day| day.to_string()),
            until: args.until.map(|day| day.to_string()),
            rows: rows.collect(),
            total: total.into(),
        }
    }
}

impl View for Usage {
    fn text(&self, look: Look) -> String {
        let by = |column| self.by.contains(&column);
        let named = [(By::Day, "DAY"), (By::Agent, "AGENT"), (By::Model, "MODEL")];
        let mut columns: Vec<_> = named
            .iter()
            .filter(|(column, _)| by(*column))
            .map(|(_, name)| *name)
            .collect();
        let names = columns.len();
        columns.extend([">REQUESTS", ">INPUT", ">OUTPUT"]);
        if look.wide {
            columns.extend([
                ">CACHED",
                ">CACHE WRITE",
                ">REASONING",
                ">ESTIMATED",
                ">UNPRICED",
            ]);
        }
        columns.push(">COST USD");
        let mut table = Table::new(&columns);
        for row in &self.rows {
            let names = [&row.day, &row.agent, &row.model];
            let names = names.into_iter().flatten().cloned();
            table.row(names.chain(row.totals.cells(look)));
        }
        let mut head = vec![String::new(); names];
        if let Some(first) = head.first_mut() {
            "total".clone_into(first);
        }
        head.extend(self.total.cells(look));
        table.row(head);
        table.text()
    }
}

pub(crate) async fn run(
    args: &UsageArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let since = args.since.and_then(|since| since.day(clock::wall()));
    let request = ListUsageRequest {
        since_day: since.map_or(0, Day::number),
        until_day: args.until.map_or(0, Day::number),
    };
    let reading = client.ledger(async |mut ledger| {
        let answer = ledger.list_usage(request).await?;
        collect(answer.into_inner(), args).await
    });
    let sums = reading.await??;
    if sums.rows.is_empty() && !output.for_programs() {
        Output::words("nothing was used\n");
        return Ok(Exit::Ok);
    }
    output.data(&Usage::new(args, since, sums))?;
    Ok(Exit::Ok)
}

/// Sums the stream up to its end.
async fn collect(
    mut stream: Streaming<ListUsageResponse>,
    args: &UsageArgs,
) -> Result<Result<Sums, CallError>, Status> {
    let mut sums = Sums::default();
    while let Some(message) = stream.message().await? {
        for row in message.rows {
            if let Err(error) = sums.add(row, args) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(sums))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::output::{plain, wide};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        usage: UsageArgs,
    }

    fn args(line: &[&str]) -> UsageArgs {
        let line = ["usage"].iter().chain(line);
        Line::try_parse_from(line).unwrap().usage
    }

    fn shown(line: &[&str]) -> Usage {
        let args = args(line);
        let mut sums = Sums::default();
        for (day, agent, model, cost_nano_usd) in [
            (20_261_124, "batch", "gpt-4o", 1_000_000_000),
            (20_261_125, "batch", "gpt-4o", 500_000_000),
            (20_261_125, "batch", "claude-opus-4-6", 2_000_000_000),
            (20_261_125, "reviewer", "gpt-4o", 4_000_000_000),
        ] {
            let totals = agix_proto::v1::UsageTotals {
                requests: 1,
                input: 100,
                cached_input: 20,
                output: 30,
                reasoning: 5,
                cost_nano_usd,
                ..agix_proto::v1::UsageTotals::default()
            };
            let row = UsageRow {
                day,
                agent: agent.to_owned(),
                model: model.to_owned(),
                totals: Some(totals),
            };
            sums.add(row, &args).unwrap();
        }
        Usage::new(&args, None, sums)
    }

    #[test]
    fn the_dearest_agent_comes_first() {
        assert_eq!(
            plain(&shown(&[])),
            "\
AGENT     REQUESTS  INPUT  OUTPUT  COST USD
reviewer         1    120      35    4.0000
batch            3    360     105    3.5000
total            4    480     140    7.5000
"
        );
    }

    #[test]
    fn days_come_in_their_order() {
        assert_eq!(
            plain(&shown(&["--by", "day,model"])),
            "\
DAY         MODEL            REQUESTS  INPUT  OUTPUT  COST USD
2026-11-24  gpt-4o                  1    120      35    1.0000
2026-11-25  gpt-4o                  2    240      70    4.5000
2026-11-25  claude-opus-4-6         1    120      35    2.0000
total                               4    480     140    7.5000
"
        );
    }

    #[test]
    fn only_the_agents_asked_for_are_counted() {
        let usage = shown(&["--by", "model", "--agent", "batch"]);
        let json = serde_json::to_value(&usage).unwrap();
        assert_eq!(json["rows"][0]["model"], "claude-opus-4-6");
        assert_eq!(json["rows"][1]["cost_nano_usd"], 1_500_000_000);
        assert_eq!(json["total"]["cost_usd"], 3.5);
        assert_eq!(json["by"], serde_json::json!(["model"]));
        assert!(json["rows"][0].get("agent").is_none());
        assert!(wide(&usage).contains("CACHED"));
    }

    #[test]
    fn a_first_day_is_a_day_or_a_number_of_days() {
        let now: Timestamp = "2026-11-25T23:30:00Z".parse().unwrap();
        let first = |text| args(&["--since", text]).since.unwrap().day(now).unwrap();
        assert_eq!(first("2026-11-01").number(), 20_261_101);
        assert_eq!(first("1d").number(), 20_261_125);
        assert_eq!(first("7d").number(), 20_261_119);
        assert_eq!(Since::Last(u16::MAX).day(now).unwrap().number(), 18_470_623);
        for wrong in ["0d", "7", "d", "-1d", "2026-13-01", "today", "2026-11-31"] {
            assert!(Since::parse(wrong).is_err(), "{wrong}");
        }
    }
}
