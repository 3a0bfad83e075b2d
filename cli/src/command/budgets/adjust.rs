//! `budgets adjust`: corrects what an agent has spent.
//!
//! A correction has an id, drawn once for a run of the command. The ledger books an id once, so that
//! a try whose answer was lost is repeated without harm.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::units;
use agix_proto::v1::{AdjustRequest, AdjustResponse};
use serde::Serialize;

use super::{AgentBudgets, table};
use crate::args::{author_name, message};
use crate::author::author;
use crate::client::{CallError, Client};
use crate::exit::{Exit, Failure};
use crate::output::{Decimal, Look, Output, SignedUsd, View};

/// Tries to book a correction.
const TRIES: u32 = 3;
/// Pause between two of them.
const PAUSE: Duration = Duration::from_millis(500);
/// Digits of a dollar that are booked.
const PLACES: u32 = 9;

/// Arguments of `budgets adjust`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl budgets adjust batch --usd -1.50 -m 'failed batch of monday'
  agixctl budgets adjust batch --usd 0.25 -m 'calls made past agix'

The amount is added to what the agent has spent today and this month; a negative one is taken off.
It is booked once, however often it is sent: a correction has an id.")]
pub(crate) struct AdjustArgs {
    /// The agent
    agent: AgentName,

    /// Dollars more spent; below zero: less
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = amount)]
    usd: SignedUsd,

    /// Why, for the log
    #[arg(short, long, value_name = "TEXT", value_parser = reason)]
    message: String,

    /// Who, for the log
    #[arg(long, help = "Who, for the log [default: $USER@HOST]", value_name = "NAME", value_parser = author_name)]
    author: Option<String>,

    /// The id of a correction that is sent again
    #[arg(
        long,
        help = "The id of a correction that is sent again [default: a new one]",
        value_name = "ID",
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    id: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AdjustedView {
    /// Whether this changed anything: a repetition does not.
    booked: bool,
    id: u64,
    usd: Decimal,
    nano_usd: i64,
    standing: Option<AgentBudgets>,
    #[serde(skip)]
    line: String,
}

impl AdjustedView {
    fn new(request: &AdjustRequest, answer: AdjustResponse) -> Self {
        let AdjustResponse { booked, standing } = answer;
        let amount = SignedUsd(request.nano_usd);
        let direction = if request.nano_usd < 0 { "less" } else { "more" };
        let line = if booked {
            let (size, agent) = (amount.size(), &request.agent);
            format!("booked: {agent} has spent {size} USD {direction}\n")
        } else {
            let id = request.id;
            format!("nothing changed: correction {id} was booked before\n")
        };
        Self {
            booked,
            id: request.id,
            usd: Decimal::new(&amount),
            nano_usd: request.nano_usd,
            standing: standing.map(AgentBudgets::new),
            line,
        }
    }
}

impl View for AdjustedView {
    fn text(&self, look: Look) -> String {
        let standing = self.standing.as_ref().map(|agent| table([agent], look));
        self.line.clone() + &standing.unwrap_or_default()
    }
}

pub(super) async fn run(
    args: AdjustArgs,
    client: &Client,
    output: Output,
) -> Result<Exit, Failure> {
    let request = AdjustRequest {
        id: args.id.unwrap_or_else(new_id),
        agent: args.agent.to_string(),
        nano_usd: args.usd.0,
        author: args.author.unwrap_or_else(author),
        message: args.message,
    };
    let answer = book(client, &request).await?;
    output.data(&AdjustedView::new(&request, answer))?;
    Ok(Exit::Ok)
}

/// Sends the correction until its outcome is known, or the tries are used up.
async fn book(client: &Client, request: &AdjustRequest) -> Result<AdjustResponse, Failure> {
    let mut tries = 1;
    loop {
        let adjust = client.ledger(async |mut ledger| ledger.adjust(request.clone()).await);
        let error = match adjust.await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(error) => error,
        };
        let unknown = matches!(
            error,
            CallError::Unavailable { .. } | CallError::Timeout { .. }
        );
        if !unknown {
            return Err(error.into());
        }
        if tries == TRIES {
            let id = request.id;
            return Err(Failure::from(error).help(format!(
                "whether it was booked is not known: give the same command with --id {id}, \
                 and it is booked once"
            )));
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Any number but zero, from the randomness with which the system seeds hash tables.
fn new_id() -> u64 {
    RandomState::new().hash_one(()).max(1)
}

fn amount(text: &str) -> Result<SignedUsd, String> {
    let decimal = units::Decimal::parse(text).map_err(|error| error.to_string())?;
    let nanos = decimal
        .to_units(PLACES)
        .map_err(|error| error.to_string())?;
    match i64::try_from(nanos) {
        Ok(0) => Err("it must not be zero".to_owned()),
        Ok(nanos) => Ok(SignedUsd(nanos)),
        Err(_beyond) => Err("too large".to_owned()),
    }
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        _ => message(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::plain;

    fn request() -> AdjustRequest {
        AdjustRequest {
            id: 7,
            agent: "batch".to_owned(),
            nano_usd: -1_500_000_000,
            ..AdjustRequest::default()
        }
    }

    #[test]
    fn an_amount_is_exact_and_not_zero() {
        assert_eq!(amount("-1.50"), Ok(SignedUsd(-1_500_000_000)));
        assert_eq!(amount("0.000000001"), Ok(SignedUsd(1)));
        for wrong in ["0", "-0.0", "1.0000000001", "a lot", "1e30", "NaN"] {
            assert!(amount(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_was_done_is_said() {
        let said = |booked| {
            let answer = AdjustResponse {
                booked,
                standing: None,
            };
            plain(&AdjustedView::new(&request(), answer))
        };
        assert_eq!(said(true), "booked: batch has spent 1.5 USD less\n");
        assert_eq!(
            said(false),
            "nothing changed: correction 7 was booked before\n"
        );
    }

    #[test]
    fn ids_differ_and_are_never_zero() {
        let ids: std::collections::BTreeSet<_> = (0..100).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 100);
        assert!(!ids.contains(&0));
    }
}
