//! Runs simulated worlds and says what must not have happened.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use agix_sim::clock::S;
use agix_sim::oracle::Stats;
use agix_sim::plan::{Mix, Pattern};
use agix_sim::run::{Report, run};
use agix_sim::table::{FLEETS, HEAD, LIMITS, Row, demand};
use clap::Parser;

/// Runs simulated worlds around the rules of limits and budgets.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Options {
    /// Run this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Run these seeds: `0..1000`.
    #[arg(long, value_parser = range, conflicts_with = "seed")]
    seeds: Option<(u64, u64)>,
    /// Which faults: calm, crashes, cuts, owners, stale, store, wild or everything.
    #[arg(long, value_parser = mix)]
    mix: Option<Mix>,
    /// Print what happens.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Print how much of a limit can be used without faults.
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    table: bool,
    /// Print everything that must not have happened, not only the first of a run.
    #[arg(long)]
    all: bool,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or("write FROM..TO")?;
    let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    Ok((number(from)?, number(to)?))
}

fn mix(text: &str) -> Result<Mix, String> {
    Mix::named(text).ok_or_else(|| "there is no such mix".to_owned())
}

fn main() -> io::Result<ExitCode> {
    let options = Options::parse();
    let mut out = io::stdout();
    if options.table {
        return table(out);
    }
    if let Some(seed) = options.seed {
        let report = run(seed, options.mix, options.trace);
        for line in &report.trace {
            writeln!(out, "{line}")?;
        }
        print(&mut out, &report, true)?;
        writeln!(
            out,
            "{:?} fingerprint {:016x}",
            report.stats, report.fingerprint
        )?;
        return Ok(code(report.breaches.is_empty()));
    }
    let (from, to) = options.seeds.unwrap_or((0, 100));
    let next = AtomicU64::new(from);
    let sums = Mutex::new((0_u64, Stats::default()));
    let out = Mutex::new(out);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&next, to, &options, &sums, &out));
        }
    });
    let (bad, stats) = *sums
        .lock()
        .map_err(|panicked| io::Error::other(panicked.to_string()))?;
    let mut out = out
        .lock()
        .map_err(|panicked| io::Error::other(panicked.to_string()))?;
    writeln!(
        out,
        "{} seeds, {bad} with violations; {} h simulated, {} events, {} admissions, {} refusals \
         ({} undecided), {} kills, {} terms, {} batches",
        to.saturating_sub(from),
        stats.time / agix_sim::clock::HOUR,
        stats.events,
        stats.admitted,
        stats.refused,
        stats.undecided,
        stats.kills,
        stats.terms,
        stats.batches,
    )?;
    Ok(code(bad == 0))
}

fn table(mut out: io::Stdout) -> io::Result<ExitCode> {
    let even = LIMITS.iter().flat_map(|limit| {
        FLEETS.map(|proxies| (*limit, proxies, demand(*limit), Pattern::Uniform))
    });
    let others = [
        Pattern::Skewed,
        Pattern::Moving(20 * S),
        Pattern::Bursts(23 * S),
    ];
    let others = others
        .into_iter()
        .flat_map(|pattern| [60, 6_000].map(|limit| (limit, 20, 300, pattern)));
    let rows: Vec<_> = even.chain(others).collect();
    writeln!(out, "{HEAD}")?;
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (limit, proxies, demand, pattern) = *row;
                    let run = Row::run(limit, proxies, demand, pattern);
                    if let Ok(mut done) = done.lock() {
                        done.push((*row, run));
                    }
                }
            });
        }
    });
    let done = done
        .into_inner()
        .map_err(|panicked| io::Error::other(panicked.to_string()))?;
    let mut good = true;
    for row in &rows {
        for (_, run) in done.iter().filter(|(of, _)| of == row) {
            writeln!(out, "{run}")?;
            for breach in &run.breaches {
                writeln!(out, "    {breach}")?;
            }
            good &= run.of_ideal() >= 990 && run.breaches.is_empty();
        }
    }
    Ok(code(good))
}

fn work(
    next: &AtomicU64,
    to: u64,
    options: &Options,
    sums: &Mutex<(u64, Stats)>,
    out: &Mutex<io::Stdout>,
) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= to {
            return;
        }
        let report = run(seed, options.mix, false);
        if let Ok(mut sums) = sums.lock() {
            sums.0 += u64::from(!report.breaches.is_empty());
            sums.1 = sums.1.plus(&report.stats);
        }
        if let Ok(mut out) = out.lock()
            && print(&mut *out, &report, options.all).is_err()
        {
            return;
        }
    }
}

fn print(out: &mut impl io::Write, report: &Report, all: bool) -> io::Result<()> {
    let most = if all { usize::MAX } else { 1 };
    for breach in report.breaches.iter().take(most) {
        writeln!(
            out,
            "seed {} ({}): {breach}",
            report.seed,
            report.mix.as_str()
        )?;
    }
    Ok(())
}

fn code(good: bool) -> ExitCode {
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
