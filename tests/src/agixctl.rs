//! `agixctl` as an operator runs it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::program::command;

/// Runs `agixctl` against one control plane.
#[derive(Debug, Clone)]
pub struct Agixctl {
    home: PathBuf,
    endpoint: String,
    environment: Vec<(String, String)>,
}

/// What a run of it printed, and its exit code.
#[derive(Debug, Clone)]
pub struct Said {
    /// Exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Agixctl {
    /// Talks to `control_plane`; `home` holds what it may write.
    pub fn new(home: &Path, control_plane: SocketAddr) -> Self {
        Self::at(home, format!("http://{control_plane}"))
    }

    /// Talks to whichever of `endpoints` it reaches.
    pub fn at(home: &Path, endpoints: String) -> Self {
        Self {
            home: home.to_owned(),
            endpoint: endpoints,
            environment: Vec::new(),
        }
    }

    /// The same with further environment variables.
    #[must_use]
    pub fn with(mut self, environment: &[(String, String)]) -> Self {
        self.environment.extend_from_slice(environment);
        self
    }

    /// Runs it, whatever comes of it.
    ///
    /// # Panics
    /// It cannot be run.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.run_with("", arguments).await
    }

    /// Runs it with `input` on standard input.
    ///
    /// # Panics
    /// It cannot be run.
    pub async fn run_with(&self, input: &str, arguments: &[&str]) -> Said {
        let mut command = command("agixctl", &self.home);
        command
            .args(arguments)
            .env("AGIX_ENDPOINT", &self.endpoint)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let input = input.to_owned();
        let run = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().expect("agixctl starts");
            let mut stdin = child.stdin.take().expect("its input is piped");
            // It may end without reading.
            drop(stdin.write_all(input.as_bytes()));
            drop(stdin);
            child.wait_with_output().expect("agixctl ends")
        });
        let output = run.await.expect("agixctl runs");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it and expects success; its standard output.
    ///
    /// # Panics
    /// It does not end with 0.
    pub async fn ok(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, 0, "agixctl {}: {said:#?}", arguments.join(" "));
        said.out
    }

    /// Runs it with `-o json` and expects success.
    ///
    /// # Panics
    /// It does not end with 0, or prints no JSON.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["-o", "json"]).collect();
        let out = self.ok(&arguments).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("no JSON ({error}): {out}"))
    }

    /// Applies a document and expects success; its standard output.
    ///
    /// # Panics
    /// It does not end with 0.
    pub async fn apply(&self, document: &str, more: &[&str]) -> String {
        let arguments: Vec<&str> = ["apply", "-f", "-"].iter().chain(more).copied().collect();
        let said = self.run_with(document, &arguments).await;
        assert_eq!(said.code, 0, "{document}\n{said:#?}");
        said.out
    }
}
