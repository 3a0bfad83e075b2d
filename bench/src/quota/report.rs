//! The tables of limits and budgets.

use std::fmt::{self, Write as _};

use super::Found;
use super::{cold, ledger, memory, warm};
use crate::stats::Ranks;

/// Width of a column.
const COLUMN: usize = 14;

/// A part of what rights at hand cost, and its figures.
type Part = (&'static str, fn(&warm::Figures) -> Ranks);

/// Everything measured, as text.
pub(crate) fn tables(found: &Found) -> Result<String, fmt::Error> {
    let mut text = String::new();
    if !found.memory.is_empty() {
        memory(&mut text, &found.memory)?;
    }
    if let Some(figures) = &found.ledger {
        traffic(&mut text, figures)?;
        moments(&mut text, figures)?;
    }
    if !found.warm.is_empty() {
        warm(&mut text, &found.warm)?;
    }
    if let Some(figures) = &found.cold {
        cold(&mut text, figures)?;
    }
    Ok(text)
}

fn memory(text: &mut String, weights: &[memory::Weight]) -> fmt::Result {
    let rows = weights
        .iter()
        .map(|weight| (weight.what.to_owned(), vec![format!("{:.0}", weight.bytes)]));
    table(
        text,
        "Memory of an agent with limits and a budget",
        &["bytes"],
        rows,
    )
}

fn traffic(text: &mut String, figures: &ledger::Figures) -> fmt::Result {
    let title = format!(
        "The ledger on one core, {} agents, 4 proxies",
        figures.agents
    );
    let headings = [
        "reports/s",
        "grants/s",
        "round p50 ms",
        "round p99 ms",
        "codec",
        "log bytes",
    ];
    let rows = figures.traffic.iter().map(|one| {
        let cells = vec![
            format!("{:.0}", one.reports_per_second),
            format!("{:.0}", one.grants_per_second),
            millis(one.round.p50),
            millis(one.round.p99),
            format!("{:.0} %", one.codec_share * 100.0),
            format!("{:.1}", one.log_bytes),
        ];
        (one.what.to_owned(), cells)
    });
    table(text, &title, &headings, rows)
}

fn moments(text: &mut String, figures: &ledger::Figures) -> fmt::Result {
    let title = format!(
        "Moments of the ledger, {} agents; its snapshot has {:.0} bytes an agent",
        figures.agents, figures.snapshot_bytes
    );
    let rows = figures
        .moments
        .iter()
        .map(|(what, millis)| ((*what).to_owned(), vec![format!("{millis:.1}")]));
    table(text, &title, &["ms"], rows)
}

fn warm(text: &mut String, all: &[warm::Figures]) -> fmt::Result {
    let parts: [Part; 3] = [
        ("to begin and to settle", |one| one.both),
        ("to begin", |one| one.admit),
        ("to settle", |one| one.settle),
    ];
    for (part, ranks) in parts {
        let title = format!("Rights at hand, {part}, nanoseconds");
        let headings = [
            "p50",
            "p99",
            "p99.9",
            "max",
            "requests/s",
            "waited",
            "reports",
        ];
        let rows = all.iter().map(|one| {
            let ranks = ranks(one);
            let mut cells: Vec<_> = [ranks.p50, ranks.p99, ranks.p999, ranks.max]
                .iter()
                .map(u32::to_string)
                .collect();
            cells.push(format!("{:.0}", one.per_second));
            cells.push(one.waited.to_string());
            cells.push(one.reports.to_string());
            (one.what.to_owned(), cells)
        });
        table(text, &title, &headings, rows)?;
    }
    Ok(())
}

fn cold(text: &mut String, figures: &cold::Figures) -> fmt::Result {
    let headings = [
        "p50 ms",
        "p99 ms",
        "max ms",
        "answers/s",
        "commits/s",
        "core busy",
    ];
    let disk = figures.disk.iter().map(|ranks| {
        let spans = [ranks.p50, ranks.p99, ranks.max];
        ("the disk alone".to_owned(), spans.map(millis).to_vec())
    });
    let trips = figures.trips.iter().map(|one| {
        let mut cells: Vec<_> = [one.trip.p50, one.trip.p99, one.trip.max]
            .into_iter()
            .map(millis)
            .collect();
        cells.push(format!("{:.0}", one.per_second));
        cells.push(format!("{:.0}", one.commits_per_second));
        cells.push(format!("{:.0} %", one.busy * 100.0));
        (
            format!("{} store, {} at a time", one.store, one.askers),
            cells,
        )
    });
    table(
        text,
        "Rights not at hand: a round trip to the ledger over gRPC",
        &headings,
        disk.chain(trips),
    )
}

fn millis(nanos: u32) -> String {
    format!("{:.3}", f64::from(nanos) / 1e6)
}

fn table(
    text: &mut String,
    title: &str,
    headings: &[&str],
    rows: impl Iterator<Item = (String, Vec<String>)>,
) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    let names = rows.iter().map(|(name, _)| name.chars().count());
    let first = names.max().unwrap_or(0);
    if !text.is_empty() {
        writeln!(text)?;
    }
    writeln!(text, "{title}")?;
    write!(text, "  {:first$}", "")?;
    for heading in headings {
        write!(text, "{heading:>COLUMN$}")?;
    }
    writeln!(text)?;
    for (name, cells) in rows {
        write!(text, "  {name:first$}")?;
        for cell in cells {
            write!(text, "{cell:>COLUMN$}")?;
        }
        writeln!(text)?;
    }
    Ok(())
}
