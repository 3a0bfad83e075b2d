//! The measurements. Each is made in several rounds, and in each round of every target in turn, so
//! that what the machine does meanwhile falls on all of them alike.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use thiserror::Error;

use crate::awake::{Awake, AwakeError};
use crate::clock;
use crate::load::{self, LoadError};
use crate::process::{Core, Process, ProcessError};
use crate::request;
use crate::stats::{self, Percentiles};
use crate::target::{Kind, Place, Target};

/// Events of a stream whose first byte is timed.
const SHORT_STREAM: usize = 8;
/// Load before memory is looked at.
const WARM_UP: Duration = Duration::from_secs(1);
/// Time a target has to give its first good answer.
const START_TIME: Duration = Duration::from_secs(15);
/// Pause between two looks at a target that starts.
const START_PAUSE: Duration = Duration::from_millis(50);

/// A kind of measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// Latency of plain answers on one connection.
    Latency,
    /// Plain answers a second on many connections.
    Load,
    /// First byte of a stream on one connection.
    FirstByte,
    /// Events a second of streams on many connections.
    Streams,
    /// Memory after requests in many names.
    Names,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Latency => "plain answers, one connection",
            Self::Load => "plain answers, many connections",
            Self::FirstByte => "first byte of a stream",
            Self::Streams => "streams, many connections",
            Self::Names => "many names",
        }
    }

    /// Whether it is made unless others are asked for.
    pub(crate) fn is_usual(self) -> bool {
        self != Self::Names
    }
}

/// How much is measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Settings {
    /// Rounds of each measurement.
    pub rounds: usize,
    /// Seconds of each measurement, round and target.
    pub seconds: f64,
    /// Connections under load.
    pub connections: usize,
    /// Events of a stream under load.
    pub events: usize,
    /// Names of agents that no policy names.
    pub names: u32,
    /// Core of the process measured.
    pub proxy_core: Core,
    /// Core of load and provider.
    pub load_core: Core,
}

/// One round under load.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Load {
    /// Answers, or events, a second.
    pub per_second: f64,
    /// Processor seconds for a thousand of them; none for the provider itself.
    pub cpu_per_thousand: Option<f64>,
    /// Share of its core the process used; none for the provider itself.
    pub busy: Option<f64>,
}

/// What requests in many names did.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Names {
    /// Resident memory before, in KiB.
    pub before_kib: u32,
    /// After a tenth of them.
    pub tenth_kib: u32,
    /// After all.
    pub after_kib: u32,
    /// Answers a second.
    pub per_second: f64,
}

/// All rounds of one target.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// Of which target.
    pub target: Kind,
    /// Plain answers on one connection.
    pub latency: Vec<Percentiles>,
    /// Plain answers under load.
    pub load: Vec<Load>,
    /// First byte of a stream on one connection.
    pub first_byte: Vec<Percentiles>,
    /// Events under load.
    pub streams: Vec<Load>,
    /// Requests in many names; none for the provider itself.
    pub names: Option<Names>,
    /// Resident memory before the first measurement, in KiB.
    pub resident_start_kib: Option<u32>,
    /// Resident memory after the last measurement, in KiB.
    pub resident_end_kib: Option<u32>,
}

/// Why nothing was measured.
#[derive(Debug, Error)]
pub(crate) enum RoundError {
    /// A process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A request failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The cores cannot be kept awake.
    #[error(transparent)]
    Awake(#[from] AwakeError),
    /// A target gave no good answer in time.
    #[error("{name} gave no good answer within {START_TIME:?}")]
    NotReady {
        /// Which.
        name: &'static str,
        /// Its last answer.
        source: LoadError,
    },
    /// A target changed the answer.
    #[error("{name} does not answer as the provider does: {what}")]
    Different {
        /// Which.
        name: &'static str,
        /// How.
        what: String,
    },
}

/// Runs `measures` on all `targets`.
pub(crate) async fn run(
    settings: &Settings,
    measures: &[Measure],
    targets: &mut [Target],
    place: &Place<'_>,
    progress: fn(&str),
) -> Result<Vec<Measured>, RoundError> {
    let mut all = Vec::new();
    for target in &mut *targets {
        until_good(target, place).await?;
        same_answers(target).await?;
        let resident = target
            .process
            .as_ref()
            .map(Process::resident_kib)
            .transpose()?;
        all.push(Measured::new(target.kind, resident));
    }
    for measure in measures {
        let _awake = match measure {
            Measure::Latency | Measure::FirstByte => Some(Awake::start(settings.proxy_core)?),
            Measure::Load | Measure::Streams | Measure::Names => None,
        };
        let rounds = match measure {
            // A name is new only once.
            Measure::Names => 1,
            _ => settings.rounds,
        };
        for round in 1..=rounds {
            progress(&format!("{}, round {round} of {rounds}", measure.name()));
            for (target, measured) in targets.iter().zip(&mut all) {
                measured.round(*measure, target, settings).await?;
            }
        }
    }
    for (target, measured) in targets.iter().zip(&mut all) {
        measured.resident_end_kib = target
            .process
            .as_ref()
            .map(Process::resident_kib)
            .transpose()?;
    }
    Ok(all)
}

impl Measured {
    fn new(target: Kind, resident_start_kib: Option<u32>) -> Self {
        Self {
            target,
            latency: Vec::new(),
            load: Vec::new(),
            first_byte: Vec::new(),
            streams: Vec::new(),
            names: None,
            resident_start_kib,
            resident_end_kib: None,
        }
    }

    async fn round(
        &mut self,
        measure: Measure,
        target: &Target,
        settings: &Settings,
    ) -> Result<(), RoundError> {
        let span = Duration::from_secs_f64(settings.seconds);
        match measure {
            Measure::Latency => {
                let samples =
                    load::sample(target.address, &request::plain(target.agent), span).await?;
                let times = samples.iter().map(|answered| answered.complete).collect();
                self.latency.extend(stats::percentiles(times));
            }
            Measure::FirstByte => {
                let request = request::stream(target.agent, SHORT_STREAM);
                let samples = load::sample(target.address, &request, span).await?;
                let times = samples.iter().map(|answered| answered.first_byte).collect();
                self.first_byte.extend(stats::percentiles(times));
            }
            Measure::Load => {
                let request = request::plain(target.agent);
                self.load
                    .push(under_load(target, &request, 1, settings, span).await?);
            }
            Measure::Streams => {
                let request = request::stream(target.agent, settings.events);
                let load = under_load(target, &request, settings.events, settings, span).await?;
                self.streams.push(load);
            }
            Measure::Names => self.names = in_many_names(target, settings).await?,
        }
        Ok(())
    }
}

/// Requests on all connections; a request counts as `units`.
async fn under_load(
    target: &Target,
    request: &[u8],
    units: usize,
    settings: &Settings,
    span: Duration,
) -> Result<Load, RoundError> {
    let connections = settings.connections;
    // Connections are opened and buffers grown before it counts.
    load::saturate(target.address, request, connections, span / 5).await?;
    let process = target.process.as_ref();
    let before = process.map(Process::processor_time).transpose()?;
    let done = load::saturate(target.address, request, connections, span).await?;
    let after = process.map(Process::processor_time).transpose()?;
    let used = before
        .zip(after)
        .map(|(before, after)| after.saturating_sub(before).as_secs_f64());
    let units = f64::from(done.answers) * f64::from(u32::try_from(units).unwrap_or(u32::MAX));
    let elapsed = done.elapsed.as_secs_f64();
    Ok(Load {
        per_second: units / elapsed,
        cpu_per_thousand: used.map(|used| used / units * 1_000.0),
        busy: used.map(|used| used / elapsed),
    })
}

/// Requests each in another name; nothing of the provider itself.
async fn in_many_names(target: &Target, settings: &Settings) -> Result<Option<Names>, RoundError> {
    let Some(process) = &target.process else {
        return Ok(None);
    };
    let (address, connections) = (target.address, settings.connections);
    // Connections have their buffers before it counts.
    load::saturate(address, &request::plain(target.agent), connections, WARM_UP).await?;
    let before_kib = process.resident_kib()?;
    let tenth = settings.names / 10;
    load::names(address, 0..tenth, connections).await?;
    let tenth_kib = process.resident_kib()?;
    let done = load::names(address, tenth..settings.names, connections).await?;
    Ok(Some(Names {
        before_kib,
        tenth_kib,
        after_kib: process.resident_kib()?,
        per_second: f64::from(done.answers) / done.elapsed.as_secs_f64(),
    }))
}

/// Waits for the first good answer of a target that starts.
async fn until_good(target: &mut Target, place: &Place<'_>) -> Result<(), RoundError> {
    let end = clock::now() + START_TIME;
    loop {
        target.check(place)?;
        match load::once(target.address, &request::plain(target.agent)).await {
            Ok(_) => return Ok(()),
            Err(source) if clock::now() > end => {
                return Err(RoundError::NotReady {
                    name: target.kind.name(),
                    source,
                });
            }
            Err(_) => tokio::time::sleep(START_PAUSE).await,
        }
    }
}

/// Checks that plain answers and streams arrive whole, so that no figure is of errors.
async fn same_answers(target: &Target) -> Result<(), RoundError> {
    let different = |what: String| RoundError::Different {
        name: target.kind.name(),
        what,
    };
    let plain = load::once(target.address, &request::plain(target.agent)).await?;
    if memchr::memmem::find(&plain, b"\"total_tokens\":300").is_none() {
        return Err(different(String::from_utf8_lossy(&plain).into_owned()));
    }
    let stream = load::once(target.address, &request::stream(target.agent, SHORT_STREAM)).await?;
    let words = memchr::memmem::find_iter(&stream, b"\"content\":\"").count();
    if words != SHORT_STREAM || memchr::memmem::find(&stream, b"data: [DONE]").is_none() {
        return Err(different(String::from_utf8_lossy(&stream).into_owned()));
    }
    Ok(())
}
