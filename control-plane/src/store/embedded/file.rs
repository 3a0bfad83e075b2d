//! The file of an embedded store: made for its owner alone, opened by one process.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, StorageError, TableError};
use tokio::task::JoinError;
use tracing::{info, warn};

use super::tables::{META, SCHEMA, SCHEMA_VERSION, number};
use super::write;

/// The name of the file within its directory.
const FILE: &str = "agix.redb";
/// Readable and writable by the owner alone.
const FILE_MODE: u32 = 0o600;
/// The same, for a directory.
const DIRECTORY_MODE: u32 = 0o700;

/// Why an embedded store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenEmbeddedError {
    /// The directory cannot be made or used.
    #[error("the directory {path} cannot be used for the store")]
    Directory {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be opened.
    #[error("the store {path} cannot be opened")]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the store {path} is in use by another process; only one control plane can use an \
         embedded store at a time"
    )]
    InUse {
        /// Its path.
        path: PathBuf,
    },
    /// It is a store, but damaged.
    #[error(
        "the store {path} is damaged and was left as it is; restore the file from a backup, or \
         move it away to begin with an empty store"
    )]
    Damaged {
        /// Its path.
        path: PathBuf,
        /// What was found.
        source: Box<DatabaseError>,
    },
    /// It is something else.
    #[error("{path} is not a store of agix; it was left as it is")]
    Foreign {
        /// Its path.
        path: PathBuf,
    },
    /// It was written by a version whose tables this one does not know.
    #[error(
        "the store {path} has the form {found}, this version of agix knows {SCHEMA_VERSION}; \
         use the version that wrote it, or a later one"
    )]
    Schema {
        /// Its path.
        path: PathBuf,
        /// The form found.
        found: u64,
    },
    /// It could not be made ready.
    #[error("the store {path} cannot be made ready")]
    Prepare {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
    /// The process is ending.
    #[error("opening the store was interrupted")]
    Interrupted(#[source] JoinError),
}

/// Where the store of `directory` is.
pub(super) fn path_in(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// Opens the store of `directory`, or makes it.
pub(super) fn open(directory: &Path) -> Result<Database, OpenEmbeddedError> {
    prepare_directory(directory).map_err(|source| OpenEmbeddedError::Directory {
        path: directory.to_owned(),
        source,
    })?;
    let path = path_in(directory);
    let file_error = |source| OpenEmbeddedError::File {
        path: path.clone(),
        source,
    };
    let file = open_file(&path).map_err(file_error)?;
    let is_new = file.metadata().map_err(file_error)?.len() == 0;
    let database = open_database(file, &path)?;
    let prepare_error = |source| OpenEmbeddedError::Prepare {
        path: path.clone(),
        source: Box::new(source),
    };
    match schema(&database).map_err(prepare_error)? {
        Some(SCHEMA_VERSION) => {}
        Some(found) => return Err(OpenEmbeddedError::Schema { path, found }),
        // A process that was killed while it made the store leaves a file without tables.
        None if is_new || is_blank(&database).map_err(prepare_error)? => {
            write::set_up(&database).map_err(prepare_error)?;
            // The name of a new file is durable only when its directory is.
            File::open(directory)
                .and_then(|opened| opened.sync_all())
                .map_err(file_error)?;
            info!(path = %path.display(), "made a new store");
        }
        None => return Err(OpenEmbeddedError::Foreign { path }),
    }
    Ok(database)
}

fn prepare_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)?;
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o022 != 0 {
        warn!(
            path = %directory.display(),
            mode = format!("{:o}", mode & 0o777),
            "other users can write to the directory of the store; it should be theirs to leave alone (chmod 700)"
        );
    }
    Ok(())
}

fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)?;
    // The file may be older than this rule, or copied here by a tool without it.
    if file.metadata()?.permissions().mode() & 0o777 != FILE_MODE {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

fn open_database(file: File, path: &Path) -> Result<Database, OpenEmbeddedError> {
    let opened = FileBackend::new(file).and_then(|backend| {
        // Without the check a file damaged by something else than a crash could end the process
        // at any later read.
        Database::builder()
            .set_check_integrity_on_open(true)
            .create_with_backend(backend)
    });
    opened.map_err(|error| {
        let path = path.to_owned();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                OpenEmbeddedError::InUse { path }
            }
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() == io::ErrorKind::InvalidData =>
            {
                OpenEmbeddedError::Foreign { path }
            }
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() != io::ErrorKind::UnexpectedEof =>
            {
                OpenEmbeddedError::File { path, source }
            }
            other => OpenEmbeddedError::Damaged {
                path,
                source: Box::new(other),
            },
        }
    })
}

/// The form of the tables; `None` if there are none of ours.
fn schema(database: &Database) -> Result<Option<u64>, redb::Error> {
    let txn = database.begin_read()?;
    match txn.open_table(META) {
        Ok(meta) => Ok(Some(number(&meta, SCHEMA)?)),
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Whether there are no tables at all.
fn is_blank(database: &Database) -> Result<bool, redb::Error> {
    let txn = database.begin_read()?;
    Ok(txn.list_tables()?.next().is_none() && txn.list_multimap_tables()?.next().is_none())
}
