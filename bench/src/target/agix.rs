//! agix as it is deployed: a control plane with a policy, and a proxy that follows it.

use std::fs;

use super::{Kind, Place, Target};
use crate::process::{Process, ProcessError, free_address, run};

pub(super) fn start(place: &Place<'_>) -> Result<Target, ProcessError> {
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
        &place.log("control-plane"),
    )?;
    let policy = place.dir.join("policy.yaml");
    let text = include_str!("policy.yaml").replace("{provider}", &place.provider.to_string());
    fs::write(&policy, text).map_err(failed)?;
    let file = policy.display().to_string();
    let arguments = ["--endpoint", &endpoint, "apply", "--file", &file];
    run(&place.programs.join("agixctl"), &arguments)?;
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
        ],
        &place.log("agix"),
    )?;
    Ok(Target {
        kind: Kind::Agix,
        address: listen,
        process: Some(process),
        _beside: vec![control_plane],
    })
}
