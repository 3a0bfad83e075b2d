//! Looking at limits, budgets and usage, and correcting what was spent.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::{Fleet, Ran, agixctl};

const POLICY: &str = "\
providers:
  sim: { api: simulated }
models:
  practice: { provider: sim }
rate_limits:
  batch: { requests_per_minute: 5, requests_per_hour: 100 }
budgets:
  batch: { daily_limit_usd: 10.0, monthly_limit_usd: 200 }
";

/// A fleet whose ledger has taken the policy in.
fn fleet() -> Fleet {
    let fleet = Fleet::start();
    fleet.apply(POLICY, &[]).exits(0);
    until(&fleet, &["budgets", "batch"], |ran| ran.code == 0);
    fleet
}

/// Runs agixctl until the result is as it should be.
#[track_caller]
fn until(fleet: &Fleet, args: &[&str], wanted: impl Fn(&Ran) -> bool) -> Ran {
    let mut ran = fleet.agixctl(args);
    for _ in 0..500 {
        if wanted(&ran) {
            return ran;
        }
        ran = fleet.agixctl(args);
    }
    panic!("in vain: {ran:#?}");
}

fn adjust<'a>(usd: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let line = ["budgets", "adjust", "batch", "--usd", usd, "-m", "why"];
    line.iter().chain(more).copied().collect()
}

#[test]
fn each_limit_and_each_period_has_a_row() {
    let fleet = fleet();
    let ran = fleet.agixctl(&["budgets"]).exits(0);
    let rows: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(rows.len(), 3, "{ran:#?}");
    assert!(rows[0].starts_with("AGENT  PERIOD"), "{ran:#?}");
    assert!(rows[1].contains("10.0000  0.0000"), "{ran:#?}");
    assert!(rows[2].contains("200.0000  0.0000"), "{ran:#?}");
    let ran = fleet.agixctl(&["limits"]).exits(0);
    let ran = ran.says("batch  requests_per_minute       5     0     0     5");
    ran.says("batch  requests_per_hour       100     0     0   100");
}

#[test]
fn programs_are_told_how_an_agent_stands() {
    let fleet = fleet();
    let json = fleet.agixctl(&["budgets", "batch", "-o", "json"]).json();
    let daily = &json["agents"][0]["daily"];
    assert_eq!(daily["limit_usd"], 10);
    assert_eq!(daily["limit_nano_usd"], 10_000_000_000_u64);
    assert_eq!(daily["spent_percent"], 0);
    assert!(daily["resets_in_ms"].as_u64() > Some(0));
    let json = fleet.agixctl(&["limits", "batch", "-o", "json"]).json();
    let minute = &json["agents"][0]["requests_per_minute"];
    assert_eq!(
        *minute,
        json!({ "limit": 5, "used": 0, "held": 0, "free": 5, "next_release_ms": null })
    );
}

#[test]
fn an_agent_without_limits_is_named() {
    let fleet = fleet();
    for command in ["budgets", "limits"] {
        fleet
            .agixctl(&[command, "batch", "nobody"])
            .exits(1)
            .complains("the policy limits no agent of the name nobody");
    }
    fleet
        .agixctl(&["budgets", "adjust", "nobody", "--usd", "1", "-m", "why"])
        .exits(1)
        .complains("nobody has no budget");
}

#[test]
fn without_limits_there_is_nothing_to_show() {
    let fleet = Fleet::start();
    fleet
        .apply("identity: { default_agent: any }\n", &[])
        .exits(0);
    let said = |args: &[&str], words: &str| {
        let ran = until(&fleet, args, |ran| ran.code == 0).complains(words);
        assert_eq!(ran.stdout, "");
    };
    said(&["budgets"], "no budgets are set");
    said(&["limits"], "no request limits are set");
    said(&["usage"], "nothing was used");
    let json = fleet.agixctl(&["usage", "-o", "json"]).exits(0).json();
    assert_eq!(json["rows"], json!([]));
    assert_eq!(json["total"]["cost_nano_usd"], 0);
}

#[test]
fn a_correction_is_booked_once_however_often_it_is_sent() {
    let fleet = fleet();
    fleet
        .agixctl(&adjust("2.5", &["--id", "7"]))
        .exits(0)
        .says("booked: batch has spent 2.5 USD more\n")
        .says("10.0000  2.5000");
    fleet
        .agixctl(&adjust("2.5", &["--id", "7"]))
        .exits(0)
        .says("nothing changed: correction 7 was booked before\n")
        .says("10.0000  2.5000");
    // Global options may stand anywhere.
    let mut line = adjust("-1.50", &[]);
    line.splice(1..1, ["-o", "json"]);
    let json = fleet.agixctl(&line).exits(0).json();
    assert_eq!(json["booked"], true);
    assert_eq!(json["nano_usd"], -1_500_000_000);
    assert_eq!(json["usd"], -1.5);
    assert_eq!(json["standing"]["daily"]["spent_usd"], 1);
    assert_eq!(json["standing"]["daily"]["spent_percent"], 10);
    assert_eq!(json["standing"]["monthly"]["spent_percent"], 0.5);
}

#[test]
fn the_books_are_verified() {
    let fleet = fleet();
    fleet.agixctl(&adjust("2.000000001", &[])).exits(0);
    fleet
        .agixctl(&["ledger", "verify"])
        .exits(0)
        .says("batch  2.000000001")
        .says("total  2.000000001")
        .says("the books are right\n");
    let json = fleet
        .agixctl(&["ledger", "verify", "-o", "json"])
        .exits(0)
        .json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["findings"], json!([]));
    let batch = &json["per_agent"][0];
    assert_eq!(batch["agent"], "batch");
    assert_eq!(batch["spent_nano_usd"], 2_000_000_001_u64);
    assert_eq!(batch["adjusted_nano_usd"], 2_000_000_001_u64);
    assert_eq!(json["total"]["spent_usd"], 2.000_000_001);
}

#[test]
fn requests_are_counted_in_limits_top_and_usage() {
    let mut fleet = Fleet::start();
    fleet.apply(POLICY, &[]).exits(0);
    fleet.proxy("east-1");
    until(&fleet, &["budgets", "batch"], |ran| ran.code == 0);
    until(&fleet, &["status"], |ran| {
        ran.stdout.contains("1/1 run the current revision")
    });
    for _ in 0..2 {
        fleet.ask("batch", "practice");
    }
    let field = |path: &'static str, value: u64| {
        move |ran: &Ran| {
            let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
            json.pointer(path).and_then(Value::as_u64) == Some(value)
        }
    };
    let two = field("/agents/0/requests_per_minute/used", 2);
    until(&fleet, &["limits", "batch", "-o", "json"], two);
    let two = field("/agents/0/recent_requests", 2);
    let top = until(&fleet, &["top", "-o", "json"], two);
    assert_eq!(top.json()["sessions"], 1);
    let two = field("/total/requests", 2);
    let usage = until(&fleet, &["usage", "--by", "model,agent", "-o", "json"], two);
    let row = &usage.json()["rows"][0];
    assert_eq!(
        (&row["agent"], &row["model"]),
        (&json!("batch"), &json!("practice"))
    );
    assert_eq!(row["requests"], 2);
    fleet
        .agixctl(&["usage", "--by", "day", "--since", "7d"])
        .exits(0)
        .says("DAY");
    fleet
        .agixctl(&["usage", "--agent", "nobody"])
        .exits(0)
        .complains("nothing was used");
}

#[test]
fn top_ends_by_itself_where_nobody_looks() {
    let fleet = fleet();
    let ran = fleet.agixctl(&["top"]).exits(0).says("batch");
    assert!(!ran.stdout.contains('\x1b'), "{ran:#?}");
    let ran = fleet
        .agixctl(&["top", "-n", "3", "--interval", "1ms"])
        .exits(0);
    assert_eq!(ran.stdout.matches("AGENT").count(), 3, "{ran:#?}");
}

#[test]
fn what_makes_no_sense_is_a_usage_error() {
    for (line, why) in [
        ("budgets adjust batch --usd -1.50", "--message"),
        ("budgets adjust batch -m why", "--usd"),
        ("budgets adjust batch --usd 0 -m why", "it must not be zero"),
        ("budgets adjust batch --usd lots -m why", "not a number"),
        ("budgets adjust batch --usd 1 -m ", "it must not be empty"),
        ("budgets adjust batch --usd 1 -m why --id 0", "--id"),
        ("budgets a/b", "an agent name may contain"),
        ("limits a/b", "an agent name may contain"),
        ("usage --by week", "model"),
        ("usage --since 7", "write a day such as `2026-11-25`"),
        ("top -n 0", "--iterations"),
        ("top --interval 1", "write a time such as"),
        ("ledger", "verify"),
    ] {
        agixctl(line.split(' ')).exits(2).complains(why);
    }
}

#[test]
fn a_correction_whose_outcome_is_unknown_can_be_repeated() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let line = adjust(
        "-1.50",
        &[
            "--id",
            "7",
            "--request-timeout",
            "100ms",
            "--endpoint",
            &endpoint,
        ],
    );
    agixctl(line)
        .exits(6)
        .complains("whether it was booked is not known")
        .complains("--id 7");
}
