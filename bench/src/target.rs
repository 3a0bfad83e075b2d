//! What is measured: the provider itself, nginx, agix.

mod agix;
mod nginx;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;

use crate::process::{Core, Process, ProcessError};

/// An agent that no policy names.
const AGENT: &str = "bench";

/// A thing between the load and the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The provider itself, with nothing between.
    Direct,
    /// nginx as a plain reverse proxy.
    Nginx,
    /// agix-proxy with a policy from a control plane.
    Agix,
    /// The same, for an agent with limits and a budget.
    #[serde(rename = "agix-governed")]
    AgixGoverned,
    /// The same as `agix`, with an audit record of every request and a trace of each hundredth.
    #[serde(rename = "agix-watched")]
    AgixWatched,
}

/// A target that answers.
#[derive(Debug)]
pub(crate) struct Target {
    /// Which.
    pub kind: Kind,
    /// Where to send requests.
    pub address: SocketAddr,
    /// In whose name.
    pub agent: &'static str,
    /// The process measured; none for the provider itself.
    pub process: Option<Process>,
    /// Processes that must run beside it.
    pub _beside: Vec<Process>,
}

/// Where targets are started.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Core of the process measured.
    pub core: Core,
    /// Core of everything else.
    pub other: Core,
    /// Directory for configuration and logs.
    pub dir: &'a Path,
    /// Directory of the agix programs.
    pub programs: &'a Path,
    /// Where the provider listens.
    pub provider: SocketAddr,
}

impl Kind {
    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Agix => "agix",
            Self::AgixGoverned => "agix-governed",
            Self::AgixWatched => "agix-watched",
        }
    }

    /// Whether it is agix with more in force than plain agix has.
    pub(crate) fn has_more_on(self) -> bool {
        matches!(self, Self::AgixGoverned | Self::AgixWatched)
    }

    /// Whether it is measured unless others are asked for.
    pub(crate) fn is_usual(self) -> bool {
        !self.has_more_on()
    }

    /// Whether the machine has the program.
    pub(crate) fn is_installed(self) -> bool {
        self != Self::Nginx || nginx::program().is_some()
    }

    /// Starts the target. It may not answer yet: see [`Target::check`].
    pub(crate) fn start(self, place: &Place<'_>) -> Result<Target, ProcessError> {
        match self {
            Self::Direct => Ok(Target {
                kind: self,
                address: place.provider,
                agent: AGENT,
                process: None,
                _beside: Vec::new(),
            }),
            Self::Nginx => nginx::start(place),
            Self::Agix | Self::AgixGoverned | Self::AgixWatched => agix::start(self, place),
        }
    }
}

impl Target {
    /// Fails if the process measured has ended.
    pub(crate) fn check(&mut self, place: &Place<'_>) -> Result<(), ProcessError> {
        match &mut self.process {
            Some(process) => process.check(&place.log(self.kind.name())),
            None => Ok(()),
        }
    }
}

impl Place<'_> {
    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(name).with_extension("log")
    }
}
