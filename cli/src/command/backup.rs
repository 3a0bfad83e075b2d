//! `backup` and `restore`: the whole state of a control plane's store as one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agix_core::limits::BACKUP_PART_BYTES;
use agix_proto::v1::restore_response::Outcome;
use agix_proto::v1::{BackupRequest, NotEmpty, RestorePart, Restored};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::connect;
use crate::args::Global;
use crate::client::{CallError, Client};
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View, clean};

/// Longest time a backup or a restore may take.
const LONGEST: Duration = Duration::from_hours(1);
/// Parts read ahead of the connection.
const AHEAD: usize = 4;

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl backup /var/backups/agix-2026-11-25

The state is that of one moment, while everything goes on. What is sealed in the store is sealed in
the file: keep the seal key too, at another place.")]
pub(crate) struct BackupArgs {
    /// The file to write; it must not exist yet
    file: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl --endpoint http://new:7070 restore /var/backups/agix-2026-11-25

The store must be empty and the control plane must have the seal key of the store that was backed up.
Exit codes: 0 restored, 5 the store is not empty; nothing was changed then.")]
pub(crate) struct RestoreArgs {
    /// The file that `agixctl backup` has written
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Written {
    file: String,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct RestoredView {
    policy_revision: u64,
    entries: u64,
    bytes: u64,
}

/// A file that cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    #[error("the backup cannot be written to {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the backup cannot be read from {}", path.display())]
    Read { path: PathBuf, source: io::Error },
}

/// The store has something that a restore would lose.
#[derive(Debug, thiserror::Error)]
#[error("the store of the control plane is not empty: it holds {0}; nothing was changed")]
struct NotEmptyError(String);

impl View for Written {
    fn text(&self, _look: Look) -> String {
        format!("{} bytes written to {}\n", self.bytes, self.file)
    }
}

impl View for RestoredView {
    fn text(&self, _look: Look) -> String {
        let policy = match self.policy_revision {
            0 => "no policy".to_owned(),
            revision => format!("policy revision {revision}"),
        };
        format!(
            "restored: {policy}, {} entries of the store, {} bytes\n",
            self.entries, self.bytes
        )
    }
}

pub(crate) async fn backup(
    args: BackupArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let file = args.file;
    if file.exists() {
        return Err(Failure::new(Exit::Usage, FileError::Exists(file)).help("name another file"));
    }
    let client = connect(global).await?.patient(LONGEST);
    let mut unfinished = file.clone().into_os_string();
    unfinished.push(".unfinished");
    let unfinished = PathBuf::from(unfinished);
    let taken = match take(&client, &unfinished).await {
        Ok(bytes) => fs::rename(&unfinished, &file)
            .map(|()| bytes)
            .map_err(|error| unwritten(&file, error)),
        Err(failure) => Err(failure),
    };
    if taken.is_err() {
        // A half backup must not be taken for one; if it cannot go, its name says what it is.
        drop(fs::remove_file(&unfinished));
    }
    output.data(&Written {
        file: file.display().to_string(),
        bytes: taken?,
    })?;
    Ok(Exit::Ok)
}

/// Writes the backup; how many bytes it has.
async fn take(client: &Client, path: &Path) -> Result<u64, Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unwritten(path, error))?;
    let mut bytes = 0_u64;
    let mut state = client.state();
    let answer = client.call(state.backup(BackupRequest {})).await?;
    let mut parts = answer.into_inner();
    while let Some(part) = client.call(parts.message()).await? {
        let written = file.write_all(&part.data);
        written.map_err(|error| unwritten(path, error))?;
        bytes = bytes.saturating_add(u64::try_from(part.data.len()).unwrap_or(u64::MAX));
    }
    file.sync_all().map_err(|error| unwritten(path, error))?;
    Ok(bytes)
}

pub(crate) async fn restore(
    args: RestoreArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let file = File::open(&args.file).map_err(|error| unread(&args.file, error))?;
    let client = connect(global).await?.patient(LONGEST);
    let (sender, parts) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(file, &sender));
    let mut state = client.state();
    let answer = client.call(state.restore(ReceiverStream::new(parts))).await;
    // The answer may come before everything is read; then nobody takes the rest.
    if let Ok(Err(error)) = reading.await {
        return Err(unread(&args.file, error));
    }
    let Restored {
        policy_revision,
        entries,
        bytes,
    } = match answer?.into_inner().outcome {
        Some(Outcome::Restored(restored)) => restored,
        Some(Outcome::NotEmpty(NotEmpty { holds })) => {
            let error = NotEmptyError(clean(&holds).into_owned());
            return Err(Failure::new(Exit::Conflict, error).help(
                "start a control plane on a new store: another directory, or another prefix in etcd",
            ));
        }
        None => return Err(CallError::Incomplete { missing: "outcome" }.into()),
    };
    output.data(&RestoredView {
        policy_revision,
        entries,
        bytes,
    })?;
    Ok(Exit::Ok)
}

/// Reads a file to its end, or until nobody takes more of it.
fn read(mut file: File, parts: &mpsc::Sender<RestorePart>) -> io::Result<()> {
    let most = u64::try_from(BACKUP_PART_BYTES).unwrap_or(u64::MAX);
    loop {
        let mut data = Vec::new();
        let read = (&mut file).take(most).read_to_end(&mut data)?;
        let part = RestorePart { data: data.into() };
        if read == 0 || parts.blocking_send(part).is_err() {
            return Ok(());
        }
    }
}

fn unwritten(path: &Path, source: io::Error) -> Failure {
    let path = path.to_owned();
    Failure::new(Exit::Failed, FileError::Write { path, source })
}

fn unread(path: &Path, source: io::Error) -> Failure {
    let path = path.to_owned();
    Failure::new(Exit::Usage, FileError::Read { path, source })
}
