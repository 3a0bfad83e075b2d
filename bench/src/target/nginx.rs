//! nginx as a plain reverse proxy: one worker, no log, connections to the provider kept alive.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{AGENT, Kind, Place, Target};
use crate::process::{Process, ProcessError, free_address};

/// Where nginx may be.
const PROGRAMS: [&str; 3] = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];

/// The program, if it is installed.
pub(super) fn program() -> Option<&'static Path> {
    PROGRAMS
        .map(Path::new)
        .into_iter()
        .find(|path| path.exists())
}

pub(super) fn start(place: &Place<'_>) -> Result<Target, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: "nginx".to_owned(),
        source,
    };
    let program = program().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let address = free_address()?;
    let config: PathBuf = place.dir.join("nginx.conf");
    let text = include_str!("nginx.conf")
        .replace("{dir}", &place.dir.display().to_string())
        .replace("{listen}", &address.to_string())
        .replace("{provider}", &place.provider.to_string());
    fs::write(&config, text).map_err(failed)?;
    let arguments = ["-e", "stderr", "-c", &config.display().to_string()];
    let process = Process::start(
        "nginx",
        place.core,
        program,
        &arguments,
        &place.log("nginx"),
    )?;
    Ok(Target {
        kind: Kind::Nginx,
        agent: AGENT,
        address,
        process: Some(process),
        _beside: Vec::new(),
    })
}
