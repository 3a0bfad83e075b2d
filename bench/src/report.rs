//! The tables.

use std::fmt::{self, Write as _};

use crate::rounds::{Load, Measured, Settings};
use crate::stats::{self, Percentiles, Spread};
use crate::target::Kind;

/// Width of a column.
const COLUMN: usize = 30;
/// Width of the names of targets.
const NAME: usize = 14;

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
    if all.iter().any(|measured| measured.names.is_some()) {
        let title = format!(
            "Requests in {} names, memory in MiB, one round",
            settings.names
        );
        table(&mut text, &title, all, &names_columns())?;
    }
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

fn mebibytes(kib: Option<u32>) -> String {
    kib.map_or_else(String::new, |kib| format!("{:.1}", f64::from(kib) / 1024.0))
}

fn names_columns() -> [Column<'static>; 4] {
    let rate = |found: &Measured| {
        let names = found.names.as_ref();
        names.map_or_else(String::new, |names| format!("{:.0}", names.per_second))
    };
    [
        (
            "before".to_owned(),
            Box::new(|found| mebibytes(found.names.map(|names| names.before_kib))),
        ),
        (
            "after a tenth".to_owned(),
            Box::new(|found| mebibytes(found.names.map(|names| names.tenth_kib))),
        ),
        (
            "after all".to_owned(),
            Box::new(|found| mebibytes(found.names.map(|names| names.after_kib))),
        ),
        ("requests/s".to_owned(), Box::new(rate)),
    ]
}

/// The rounds of plain agix, for those of the governed and the watched one to be compared with.
fn ungoverned(all: &[Measured]) -> Option<&Measured> {
    let find = |kind| all.iter().find(move |measured| measured.target == kind);
    find(Kind::AgixGoverned)
        .or(find(Kind::AgixWatched))
        .and(find(Kind::Agix))
}

fn latency_columns(all: &[Measured], rounds: fn(&Measured) -> &[Percentiles]) -> Vec<Column<'_>> {
    let direct = all.iter().find(|measured| measured.target == Kind::Direct);
    let figure = move |of: fn(&Percentiles) -> f64| {
        move |measured: &Measured| cell(stats::spread(rounds(measured).iter().map(of)), 1)
    };
    let more =
        move |than: Option<&'_ Measured>, measured: &Measured, of: fn(&Percentiles) -> f64| {
            let Some(than) = than.filter(|than| than.target != measured.target) else {
                return String::new();
            };
            let pairs = rounds(measured).iter().zip(rounds(than));
            let differences = pairs.map(|(own, other)| of(own) - of(other));
            cell(stats::spread(differences), 1)
        };
    let added =
        move |of: fn(&Percentiles) -> f64| move |measured: &Measured| more(direct, measured, of);
    let mut columns: Vec<Column<'_>> = vec![
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
    ];
    if let Some(plain) = ungoverned(all) {
        let governed = move |of: fn(&Percentiles) -> f64| {
            move |measured: &Measured| {
                let is_governed = measured.target.has_more_on();
                more(is_governed.then_some(plain), measured, of)
            }
        };
        let (p50, p99) = (
            governed(|found| found.p50_us),
            governed(|found| found.p99_us),
        );
        columns.push(("p50, over agix's".to_owned(), Box::new(p50)));
        columns.push(("p99, over agix's".to_owned(), Box::new(p99)));
    }
    columns
}

fn load_columns<'a>(
    all: &'a [Measured],
    per_second: &str,
    seconds: String,
    rounds: fn(&Measured) -> &[Load],
) -> Vec<Column<'a>> {
    let nginx = all.iter().find(|measured| measured.target == Kind::Nginx);
    let times = move |other: Option<&'_ Measured>,
                      measured: &Measured,
                      of: fn(&Load) -> Option<f64>,
                      decimals: usize| {
        let pairs = other
            .into_iter()
            .flat_map(|other| rounds(measured).iter().zip(rounds(other)));
        let ratios = pairs.filter_map(|(own, other)| Some(of(own)? / of(other)?));
        cell(stats::spread(ratios), decimals)
    };
    let to_nginx = move |measured: &Measured| times(nginx, measured, |it| it.cpu_per_thousand, 2);
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
    let mut columns: Vec<Column<'a>> = vec![
        (per_second.to_owned(), Box::new(rate)),
        (seconds, Box::new(cpu)),
        ("CPU, times nginx's".to_owned(), Box::new(to_nginx)),
        ("core busy".to_owned(), Box::new(busy)),
    ];
    if let Some(plain) = ungoverned(all) {
        let governed = move |of: fn(&Load) -> Option<f64>| {
            move |measured: &Measured| {
                let is_governed = measured.target.has_more_on();
                times(is_governed.then_some(plain), measured, of, 3)
            }
        };
        let rate = governed(|found| Some(found.per_second));
        let cpu = governed(|found| found.cpu_per_thousand);
        columns.push(("rate, times agix's".to_owned(), Box::new(rate)));
        columns.push(("CPU, times agix's".to_owned(), Box::new(cpu)));
    }
    columns
}

fn table(text: &mut String, title: &str, all: &[Measured], columns: &[Column<'_>]) -> fmt::Result {
    writeln!(text, "\n{title}")?;
    write!(text, "  {:NAME$}", "")?;
    for (heading, _) in columns {
        write!(text, "{heading:>COLUMN$}")?;
    }
    writeln!(text)?;
    for measured in all {
        write!(text, "  {:NAME$}", measured.target.name())?;
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
