//! What limits and budgets are made of, piece by piece and without a proxy: rights at hand, the
//! ledger's books, and a round trip to the ledger for rights that are not at hand.

mod cold;
mod disk;
mod ledger;
mod memory;
mod report;
mod thin;
mod warm;
mod world;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::lease::Need;
use agix_core::quota::Terms;
use agix_core::units::NanoUsd;
use agix_core::usage::UsageTotals;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::process::Core;

pub(crate) use report::tables;

/// Nano-dollars of a cent.
const CENT: u64 = 10_000_000;
/// What a request may take.
const NEED: Need = Need {
    tokens: 1_000,
    money: NanoUsd::from_nanos(2 * CENT),
};
/// Tokens that it takes.
const TOKENS: u64 = 300;
/// What it costs.
const COST: NanoUsd = NanoUsd::from_nanos(CENT / 5);

/// What to measure of limits and budgets.
#[derive(Debug, Args)]
pub(crate) struct QuotaArgs {
    /// Which parts [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    part: Vec<Part>,
    /// Agents with limits and a budget
    #[arg(long, default_value_t = 100_000)]
    agents: usize,
}

/// A part of limits and budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The ledger's books and what an agent weighs.
    Ledger,
    /// Admission and settlement with rights at hand.
    Warm,
    /// A round trip for rights that are not at hand.
    Cold,
}

/// Where and for how long it is measured.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Core of what is measured.
    pub core: Core,
    /// Core of everything else.
    pub other: Core,
    /// Directory of the agix programs.
    pub programs: &'a Path,
    /// Time of one measurement.
    pub span: Duration,
}

/// All that was measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    memory: Vec<memory::Weight>,
    ledger: Option<ledger::Figures>,
    warm: Vec<warm::Figures>,
    cold: Option<cold::Figures>,
}

/// Measures.
pub(crate) fn run(
    args: &QuotaArgs,
    place: &Place<'_>,
    progress: fn(&str),
) -> Result<Found, Box<dyn Error>> {
    let wants = |part| args.part.is_empty() || args.part.contains(&part);
    let mut found = Found::default();
    // First, while what the system gives out is all new: memory is read off the process.
    if wants(Part::Ledger) {
        found.memory = memory::at_a_proxy(args.agents, progress)?;
        let (weights, figures) = ledger::run(args.agents, place, progress)?;
        found.memory.extend(weights);
        found.ledger = Some(figures);
    }
    if wants(Part::Warm) {
        found.warm = warm::run(place, progress)?;
    }
    if wants(Part::Cold) {
        found.cold = Some(cold::run(place, progress)?);
    }
    Ok(found)
}

/// Limits of all kinds, none of which ever binds.
fn wide_terms() -> Terms {
    Terms {
        requests_per_minute: Some(4_000_000_000),
        requests_per_hour: Some(4_000_000_000),
        tokens_per_minute: Some(1_000_000_000_000_000),
        max_concurrent: Some(10_000),
        daily: Some(NanoUsd::from_nanos(u64::MAX / 2)),
        ..Terms::default()
    }
}

/// The usage of one request.
fn one_request() -> UsageTotals {
    UsageTotals {
        requests: 1,
        input: 200,
        output: 100,
        cost: COST,
        ..UsageTotals::default()
    }
}

/// The name of the agent of that number.
fn agent_name(number: usize) -> Result<AgentName, Box<dyn Error>> {
    Ok(AgentName::new(&format!("agent-{number:07}"))?)
}

/// The number of the agent of that name.
fn agent_number(name: &AgentName) -> Option<usize> {
    name.as_str().strip_prefix("agent-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_found_by_its_name() {
        let name = agent_name(42).unwrap();
        assert_eq!(agent_number(&name), Some(42));
    }
}
