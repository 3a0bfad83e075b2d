//! agix as it is deployed: a control plane with a policy, and a proxy that follows it.

use std::fs;

use super::{AGENT, Kind, Place, Target};
use crate::process::{Process, ProcessError, free_address, run_when_ready};

/// The agent that `governed.yaml` limits.
const GOVERNED: &str = "governed";

pub(super) fn start(kind: Kind, place: &Place<'_>) -> Result<Target, ProcessError> {
    let failed = |source| ProcessError::Start {
        program: "agix".to_owned(),
        source,
    };
    let (control, listen, admin) = (free_address()?, free_address()?, free_address()?);
    let endpoint = format!("http://{control}");
    let control_plane = Process::start(
        "agix-control-plane",
        place.other,
        &place.programs.join("agix-control-plane"),
        &["--listen", &control.to_string(), "--store", "memory"],
        &place.log(&format!("{}-control-plane", kind.name())),
    )?;
    let policy = place.dir.join(kind.name()).with_extension("yaml");
    let mut text = include_str!("policy.yaml").replace("{provider}", &place.provider.to_string());
    let agent = match kind {
        Kind::AgixGoverned => {
            text.push_str(include_str!("governed.yaml"));
            GOVERNED
        }
        Kind::AgixWatched => {
            text.push_str(include_str!("watched.yaml"));
            AGENT
        }
        Kind::Direct | Kind::Nginx | Kind::Agix => AGENT,
    };
    fs::write(&policy, text).map_err(failed)?;
    let file = policy.display().to_string();
    let arguments = ["--endpoint", &endpoint, "apply", "--file", &file];
    run_when_ready(&place.programs.join("agixctl"), &arguments)?;
    let audit = place.dir.join(kind.name()).with_extension("jsonl");
    let audit = audit.display().to_string();
    let process = Process::start(
        "agix-proxy",
        place.core,
        &place.programs.join("agix-proxy"),
        &[
            "--listen",
            &listen.to_string(),
            "--admin",
            &admin.to_string(),
            "--control-plane",
            &endpoint,
            "--audit-file",
            &audit,
        ],
        &place.log(kind.name()),
    )?;
    Ok(Target {
        kind,
        agent,
        address: listen,
        process: Some(process),
        _beside: vec![control_plane],
    })
}
