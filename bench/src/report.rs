//! The tables.

use std::fmt::{self, Write as _};

use crate::rounds::{Load, Measured, Settings};
use crate::stats::{self, Percentiles, Spread};
use crate::target::Kind;

/// Width of a column.
const COLUMN: usize = 32;

/// One column: its title, and its cell for a target; empty where there is nothing to say.
type Column<'a> = (String, Box<dyn Fn(&Measured) -> String + 'a>);

/// All that was measured, as text.
pub(crate) fn tables(settings: &Settings, all: &[Measured]) -> Result<String, fmt::Error> {
    let mut text = String::new();
    writeln!(
        text,
        "{} rounds of {} s; process measured on core {}, load and provider on core {}.\n\
         A cell is the median of the rounds (smallest to largest).",
        settings.rounds, settings.seconds, settings.proxy_core, settings.load_core
    )?;
    let seconds = |title: &str| format!("CPU s per 1,000 {title}");
    if all.iter().any(|measured| !measured.latency.is_empty()) {
        let columns = latency_columns(all, |measured| &measured.latency);
        table(
            &mut text,
            "Plain answers, one connection, microseconds",
            all,
            &columns,
        )?;
    }
    if all.iter().any(|measured| !measured.load.is_empty()) {
        let title = format!("Plain answers, {} connections", settings.connections);
        let columns = load_columns(all, "requests/s", seconds("requests"), |found| &found.load);
        table(&mut text, &title, all, &columns)?;
    }
    if all.iter().any(|measured| !measured.first_byte.is_empty()) {
        let columns = latency_columns(all, |measured| &measured.first_byte);
        table(
            &mut text,
            "First byte of a stream, one connection, microseconds",
            all,
            &columns,
        )?;
    }
    if all.iter().any(|measured| !measured.streams.is_empty()) {
        let title = format!(
            "Streams of {} events, {} connections",
            settings.events, settings.connections
        );
        let columns = load_columns(all, "events/s", seconds("events"), |found| &found.streams);
        table(&mut text, &title, all, &columns)?;
    }
    let mebibytes = |kib: Option<u32>| {
        kib.map_or_else(String::new, |kib| format!("{:.1}", f64::from(kib) / 1024.0))
    };
    let columns: [Column<'_>; 2] = [
        (
            "before".to_owned(),
            Box::new(move |found| mebibytes(found.resident_start_kib)),
        ),
        (
            "after".to_owned(),
            Box::new(move |found| mebibytes(found.resident_end_kib)),
        ),
    ];
    table(&mut text, "Resident memory, MiB", all, &columns)?;
    Ok(text)
}

fn latency_columns(all: &[Measured], rounds: fn(&Measured) -> &[Percentiles]) -> [Column<'_>; 4] {
    let direct = all.iter().find(|measured| measured.target == Kind::Direct);
    let figure = move |of: fn(&Percentiles) -> f64| {
        move |measured: &Measured| cell(stats::spread(rounds(measured).iter().map(of)), 1)
    };
    let added = move |of: fn(&Percentiles) -> f64| {
        move |measured: &Measured| {
            let Some(direct) = direct.filter(|direct| direct.target != measured.target) else {
                return String::new();
            };
            let pairs = rounds(measured).iter().zip(rounds(direct));
            cell(
                stats::spread(pairs.map(|(own, direct)| of(own) - of(direct))),
                1,
            )
        }
    };
    [
        ("p50".to_owned(), Box::new(figure(|found| found.p50_us))),
        ("p99".to_owned(), Box::new(figure(|found| found.p99_us))),
        (
            "added p50".to_owned(),
            Box::new(added(|found| found.p50_us)),
        ),
        (
            "added p99".to_owned(),
            Box::new(added(|found| found.p99_us)),
        ),
    ]
}

fn load_columns<'a>(
    all: &'a [Measured],
    per_second: &str,
    seconds: String,
    rounds: fn(&Measured) -> &[Load],
) -> [Column<'a>; 4] {
    let nginx = all.iter().find(|measured| measured.target == Kind::Nginx);
    let to_nginx = move |measured: &Measured| {
        let pairs = nginx
            .into_iter()
            .flat_map(|nginx| rounds(measured).iter().zip(rounds(nginx)));
        let ratios =
            pairs.filter_map(|(own, nginx)| Some(own.cpu_per_thousand? / nginx.cpu_per_thousand?));
        cell(stats::spread(ratios), 2)
    };
    let busy = move |measured: &Measured| {
        let shares = rounds(measured).iter().filter_map(|found| found.busy);
        stats::spread(shares).map_or_else(String::new, |found| {
            format!("{:.0} %", found.median * 100.0)
        })
    };
    let cpu = move |measured: &Measured| {
        cell(
            stats::spread(
                rounds(measured)
                    .iter()
                    .filter_map(|found| found.cpu_per_thousand),
            ),
            4,
        )
    };
    let rate = move |measured: &Measured| {
        cell(
            stats::spread(rounds(measured).iter().map(|found| found.per_second)),
            0,
        )
    };
    [
        (per_second.to_owned(), Box::new(rate)),
        (seconds, Box::new(cpu)),
        ("CPU, times nginx's".to_owned(), Box::new(to_nginx)),
        ("core busy".to_owned(), Box::new(busy)),
    ]
}

fn table(text: &mut String, title: &str, all: &[Measured], columns: &[Column<'_>]) -> fmt::Result {
    writeln!(text, "\n{title}")?;
    write!(text, "  {:8}", "")?;
    for (heading, _) in columns {
        write!(text, "{heading:>COLUMN$}")?;
    }
    writeln!(text)?;
    for measured in all {
        write!(text, "  {:8}", measured.target.name())?;
        for (_, cell) in columns {
            write!(text, "{:>COLUMN$}", cell(measured))?;
        }
        let kept = text.trim_end().len();
        text.truncate(kept);
        writeln!(text)?;
    }
    Ok(())
}

fn cell(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or_else(String::new, |found| {
        format!(
            "{:.decimals$} ({:.decimals$} to {:.decimals$})",
            found.median, found.min, found.max
        )
    })
}
