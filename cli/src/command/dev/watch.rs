//! Following a policy file.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use agix_proto::v1::ApplyStart;

use crate::args::WaitArgs;
use crate::author::author;
use crate::client::Client;
use crate::command::apply::submit;
use crate::command::outcome::conclude;
use crate::exit::{Exit, Failure};
use crate::files::{self, ReadError};
use crate::output::{Color, Output};

/// Pause between two looks at the file.
const PAUSE: Duration = Duration::from_millis(500);
/// Time the proxy gets to take a policy.
const ROLLOUT_TIME: Duration = Duration::from_secs(10);

/// Said after what is wrong with a file.
const UNCHANGED: &str = "nothing changes until it is saved again\n";

/// What is compared to see that a file was saved: its name, time of modification and size.
type Stamp = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// A policy file or directory, and how it looked when it was last applied.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    seen: Option<Result<Stamp, String>>,
}

impl Watched {
    /// A file that was not applied yet.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Applies the file whenever it changes. Never ends.
    pub(super) async fn follow(&mut self, client: &Client, output: Output) -> ! {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.apply_if_changed(client, output).await;
        }
    }

    /// Applies the file if it changed since the last time. What is wrong with it is printed, and
    /// the policy in force stays.
    pub(super) async fn apply_if_changed(&mut self, client: &Client, output: Output) {
        // The look comes before the reading: a save in between is seen at the next look.
        let path = self.path.clone();
        let look = move || stamp(&path).map_err(|error| error.to_string());
        let Ok(now) = tokio::task::spawn_blocking(look).await else {
            return;
        };
        if self.seen.as_ref() == Some(&now) {
            return;
        }
        self.seen = Some(now);
        match self.apply(client, output).await {
            Ok(Exit::Ok | Exit::Rollout) => {}
            Ok(_) => Output::words(UNCHANGED),
            Err(failure) => {
                let label = output.label("error:", Color::Bad);
                Output::words(&failure.report(&label).unwrap_or_default());
                Output::words(UNCHANGED);
            }
        }
    }

    async fn apply(&self, client: &Client, output: Output) -> Result<Exit, Failure> {
        let path = self.path.clone();
        let reading = tokio::task::spawn_blocking(move || files::read(&[path]));
        let document = reading
            .await
            .map_err(|error| Failure::new(Exit::Failed, error))??;
        let start = ApplyStart {
            author: author(),
            message: format!("saved {}", self.path.display()),
            expected_revision: None,
            dry_run: false,
        };
        let outcome = submit(client, start, document).await?;
        conclude(outcome, client, &wait(), false, output).await
    }
}

/// How long dev waits for its proxy.
pub(super) const fn wait() -> WaitArgs {
    WaitArgs {
        wait: true,
        timeout: ROLLOUT_TIME,
    }
}

fn stamp(path: &Path) -> Result<Stamp, ReadError> {
    let stamps = files::paths(path)?.into_iter().map(|path| {
        // A file that is gone in this moment is another stamp, and found at the next look.
        let data = std::fs::metadata(&path).ok();
        let modified = data.as_ref().and_then(|data| data.modified().ok());
        let size = data.map_or(0, |data| data.len());
        (path, modified, size)
    });
    Ok(stamps.collect())
}
