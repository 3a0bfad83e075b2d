//! Log lines on stderr.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use crate::args::{Args, LogFormat};

/// What is logged when nothing else is asked for.
const DEFAULT_FILTER: &str = "info";

/// The log filter cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{filter}` is no log filter; write a level such as `info`, or `info,agix_control_plane=debug`"
)]
pub(crate) struct InvalidFilter {
    filter: String,
    source: ParseError,
}

/// Sets up logging for the process: `--log` or `AGIX_LOG`, else `RUST_LOG`, else `info`.
pub(crate) fn set_up(args: &Args) -> Result<(), InvalidFilter> {
    let filter = args
        .log
        .clone()
        .or_else(|| std::env::var(EnvFilter::DEFAULT_ENV).ok())
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    let parsed = match EnvFilter::builder().parse(&filter) {
        Ok(parsed) => parsed,
        Err(source) => return Err(InvalidFilter { filter, source }),
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match args.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
