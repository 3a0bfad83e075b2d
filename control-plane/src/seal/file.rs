//! Keys in files: read where an operator keeps them, or made beside a store that is on its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use agix_core::limits::SEAL_KEY_FILE_BYTES;
use ring::rand::{SecureRandom as _, SystemRandom};
use tracing::{info, warn};

use super::{InvalidSealKeys, KEY_BYTES, NoRandomness, SealKeyId, SealKeys};

/// The key of a store that has its own.
const OWN: &str = "seal.key";
/// The same while it is written.
const UNFINISHED: &str = "seal.key.new";

/// Why a file gives no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("the seal key cannot be read from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any file of keys.
    #[error("{} has more than {SEAL_KEY_FILE_BYTES} bytes: it is no file of seal keys", .0.display())]
    TooLong(PathBuf),
    /// What it says are no keys.
    #[error("{} holds no seal key", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidSealKeys,
    },
    /// A store's own key is gone, and the store has sealed values.
    #[error(
        "{} is gone, and the store has values that are sealed with the key {sealed_with}: put the \
         file back, or name another that has the key with --seal-key-file",
        path.display()
    )]
    Lost {
        /// Where it was.
        path: PathBuf,
        /// What it had.
        sealed_with: SealKeyId,
    },
    /// A key cannot be made.
    #[error("a seal key cannot be made")]
    NoRandomness(#[from] NoRandomness),
    /// A key cannot be written.
    #[error("the seal key cannot be written to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SealKeys {
    /// Reads the keys of a file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let failed = |source| KeyFileError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        // Mounted secrets are often readable by a group: said, not refused.
        if file.metadata().map_err(failed)?.mode() & 0o007 != 0 {
            warn!(path = %path.display(), "everybody on this machine can read the seal key");
        }
        let most = u64::try_from(SEAL_KEY_FILE_BYTES).unwrap_or(u64::MAX);
        let mut text = String::new();
        let file = &mut file;
        file.take(most.saturating_add(1))
            .read_to_string(&mut text)
            .map_err(failed)?;
        if text.len() > SEAL_KEY_FILE_BYTES {
            return Err(KeyFileError::TooLong(path.to_owned()));
        }
        text.parse().map_err(|source| KeyFileError::Invalid {
            path: path.to_owned(),
            source,
        })
    }
}

/// The own key of the store in `directory`; made if there is none and nothing is sealed yet. The
/// store must be open, so that nobody else makes one at the same time.
pub(crate) fn own(
    directory: &Path,
    sealed_with: Option<SealKeyId>,
) -> Result<SealKeys, KeyFileError> {
    let path = directory.join(OWN);
    match (SealKeys::read(&path), sealed_with) {
        (Err(KeyFileError::Read { source, path }), sealed_with)
            if source.kind() == io::ErrorKind::NotFound =>
        {
            if let Some(sealed_with) = sealed_with {
                return Err(KeyFileError::Lost { path, sealed_with });
            }
            make(directory, &path)?;
            SealKeys::read(&path)
        }
        (read, _) => read,
    }
}

/// Makes a key that only the owner of the process can read.
fn make(directory: &Path, path: &Path) -> Result<(), KeyFileError> {
    let failed = |source| KeyFileError::Write {
        path: path.to_owned(),
        source,
    };
    let mut key = [0; KEY_BYTES];
    SystemRandom::new()
        .fill(&mut key)
        .map_err(|_unspecified| NoRandomness)?;
    let digits = key.iter().map(|byte| format!("{byte:02x}"));
    let text = format!("{}\n", digits.collect::<String>());
    let unfinished = directory.join(UNFINISHED);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&unfinished, path).map_err(failed)?;
    // The name is as durable as the values sealed with the key will be.
    let directory = File::open(directory).map_err(failed)?;
    directory.sync_all().map_err(failed)?;
    info!(path = %path.display(), "a seal key was made for the store; keep a copy of it elsewhere");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_on_its_own_gets_a_key_that_only_its_owner_reads() {
        let directory = tempfile::tempdir().unwrap();
        let made = own(directory.path(), None).unwrap();
        let path = directory.path().join(OWN);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(own(directory.path(), Some(made.first())).unwrap(), made);
        assert!(!directory.path().join(UNFINISHED).exists());
    }

    #[test]
    fn a_lost_key_is_not_replaced_by_another() {
        let directory = tempfile::tempdir().unwrap();
        let made = own(directory.path(), None).unwrap();
        std::fs::remove_file(directory.path().join(OWN)).unwrap();
        let refused = own(directory.path(), Some(made.first())).unwrap_err();
        assert!(refused.to_string().contains(&made.first().to_string()));
        assert!(!directory.path().join(OWN).exists());
    }

    #[test]
    fn a_file_that_holds_no_keys_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        assert!(matches!(
            SealKeys::read(&path),
            Err(KeyFileError::Read { .. })
        ));
        std::fs::write(&path, "hunter2").unwrap();
        let refused = SealKeys::read(&path).unwrap_err();
        assert!(refused.to_string().contains("key holds no seal key"));
        std::fs::write(&path, "0".repeat(SEAL_KEY_FILE_BYTES + 1)).unwrap();
        let refused = SealKeys::read(&path).unwrap_err();
        assert!(matches!(refused, KeyFileError::TooLong(_)));
    }
}
