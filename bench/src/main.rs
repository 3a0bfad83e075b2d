//! `agix-bench`: what agix costs, next to nginx and to nothing at all, in one run on one machine.
//!
//! The process measured has a core to itself; the load and the mock provider share another. See
//! `bench/README.md` for how to read the tables.

mod awake;
mod clock;
mod http1;
mod load;
mod process;
mod propagation;
mod provider;
mod quota;
mod report;
mod request;
mod rounds;
mod stats;
mod target;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::process::Core;
use crate::propagation::PropagationArgs;
use crate::provider::Provider;
use crate::quota::QuotaArgs;
use crate::rounds::{Measure, Measured, Settings};
use crate::target::{Kind, Place};

/// Share of time, in percent, that something may have waited for a core before the bench began.
const QUIET_PERCENT: f64 = 5.0;

/// Measures agix against a direct connection and nginx.
#[derive(Debug, Parser)]
#[command(name = "agix-bench", version)]
struct Args {
    /// What to measure [default: all but names]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "MEASURE")]
    measure: Vec<Measure>,
    /// Between load and provider [default: all that are installed, but agix-governed]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TARGET")]
    target: Vec<Kind>,
    /// Rounds of each measurement
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement, round and target
    #[arg(long, global = true, default_value_t = 2.0)]
    seconds: f64,
    /// Connections under load
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Events of a stream under load
    #[arg(long, default_value_t = 100)]
    events: usize,
    /// Names of agents that no policy names, for `--measure names`
    #[arg(long, default_value_t = 1_000_000)]
    names: u32,
    /// Core of the process measured
    #[arg(long, global = true, default_value_t = 0, value_name = "CORE")]
    proxy_core: Core,
    /// Core of load and provider
    #[arg(long, global = true, default_value_t = 1, value_name = "CORE")]
    load_core: Core,
    /// Directory of the agix programs [default: that of this program]
    #[arg(long, global = true, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Print all figures as JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure what limits and budgets are made of, without a proxy
    Quota(QuotaArgs),
    /// Measure how fast a policy reaches many proxies
    Propagation(PropagationArgs),
    /// Keep a core awake until standard input closes
    #[command(hide = true)]
    Spin,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Output<'a> {
    settings: &'a Settings,
    targets: &'a [Measured],
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.command {
        Some(Command::Spin) => {
            awake::spin();
            Ok(())
        }
        Some(Command::Quota(of)) => quota(&args, of),
        Some(Command::Propagation(of)) => propagation(&args, of),
        None => bench(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("agix-bench: {}", with_causes(&*error)));
            ExitCode::FAILURE
        }
    }
}

fn bench(args: Args) -> Result<(), Box<dyn Error>> {
    // Before any thread: threads and processes started later inherit the core.
    process::pin_self(args.load_core)?;
    let settings = Settings {
        rounds: args.rounds,
        seconds: args.seconds,
        connections: args.connections,
        events: args.events,
        names: args.names,
        proxy_core: args.proxy_core,
        load_core: args.load_core,
    };
    warn_of_other_work();
    let measures = chosen(args.measure, Measure::is_usual);
    let mut kinds = chosen(args.target, Kind::is_usual);
    kinds.retain(|kind| {
        let installed = kind.is_installed();
        if !installed {
            say(&format!("{} is not installed: left out", kind.name()));
        }
        installed
    });
    let programs = programs(args.programs)?;
    let dir = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = runtime.block_on(async {
        let provider = Provider::start().await?;
        let place = Place {
            core: settings.proxy_core,
            other: settings.load_core,
            dir: dir.path(),
            programs: &programs,
            provider: provider.address,
        };
        let mut targets = Vec::new();
        for kind in kinds {
            let target = kind.start(&place)?;
            let process = target.process.as_ref();
            let id =
                process.map_or_else(String::new, |process| format!(", process {}", process.id()));
            say(&format!("{} on {}{id}", kind.name(), target.address));
            targets.push(target);
        }
        let run = rounds::run(&settings, &measures, &mut targets, &place, say);
        Ok::<_, Box<dyn Error>>(run.await?)
    })?;
    let text = if args.json {
        serde_json::to_string_pretty(&Output {
            settings: &settings,
            targets: &measured,
        })? + "\n"
    } else {
        report::tables(&settings, &measured)?
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Measures the parts of limits and budgets.
fn quota(args: &Args, of: &QuotaArgs) -> Result<(), Box<dyn Error>> {
    warn_of_other_work();
    let programs = programs(args.programs.clone())?;
    let place = quota::Place {
        core: args.proxy_core,
        other: args.load_core,
        programs: &programs,
        span: Duration::from_secs_f64(args.seconds),
    };
    let found = quota::run(of, &place, say)?;
    let text = if args.json {
        serde_json::to_string_pretty(&found)? + "\n"
    } else {
        quota::tables(&found)?
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Measures how a policy spreads.
fn propagation(args: &Args, of: &PropagationArgs) -> Result<(), Box<dyn Error>> {
    warn_of_other_work();
    let programs = programs(args.programs.clone())?;
    let found = propagation::run(of, (&programs, args.proxy_core), say)?;
    let text = if args.json {
        serde_json::to_string_pretty(&found)? + "\n"
    } else {
        found.to_string()
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn warn_of_other_work() {
    if let Some(pressure) = process::other_work().filter(|percent| *percent > QUIET_PERCENT) {
        say(&format!(
            "other work waits for a core {pressure:.0} % of the time: figures will be too high"
        ));
    }
}

/// The directory of the agix programs.
fn programs(asked: Option<PathBuf>) -> io::Result<PathBuf> {
    match asked {
        Some(programs) => Ok(programs),
        None => Ok(std::env::current_exe()?
            .parent()
            .map(PathBuf::from)
            .unwrap_or_default()),
    }
}

/// An error and its causes, on one line.
fn with_causes(mut error: &dyn Error) -> String {
    let mut text = error.to_string();
    while let Some(cause) = error.source() {
        error = cause;
        text.extend([": ", &error.to_string()]);
    }
    text
}

/// What was asked for, or what is usual.
fn chosen<T: clap::ValueEnum + Copy>(asked: Vec<T>, is_usual: fn(T) -> bool) -> Vec<T> {
    if asked.is_empty() {
        let all = T::value_variants().iter();
        all.copied().filter(|one| is_usual(*one)).collect()
    } else {
        asked
    }
}

/// Tells the person at the terminal.
fn say(text: &str) {
    // Nothing is left to do if standard error is closed.
    writeln!(io::stderr(), "{text}").ok();
}
