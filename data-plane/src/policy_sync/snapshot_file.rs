//! The last good policy on disk.
//!
//! Written whole to a file beside it, made durable, then renamed: a crash leaves the old file or
//! the new one. The one before is kept as `FILE.previous` and used if the newest turns out damaged.
//! Only its owner may read it: it holds what the policy holds.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use agix_core::id::Revision;
use agix_core::limits::POLICY_ENCODED_BYTES;
use agix_core::policy::Policy;
use agix_core::sync::{PolicyHash, Version};
use agix_proto::convert::{InvalidPolicy, decode_policy, encode_policy};
use sha2::{Digest as _, Sha256};

/// What every snapshot begins with; the last byte is the number of its layout.
const MAGIC: [u8; 8] = *b"AGIXPOL\x01";
/// Bytes before the policy: the magic, the revision, the policy's hash.
const HEADER: usize = 8 + 8 + 32;
/// Bytes after the policy: the SHA-256 of everything before.
const CHECKSUM: usize = 32;

/// The snapshot file of a proxy.
#[derive(Debug)]
pub(super) struct SnapshotFile {
    path: PathBuf,
    /// Whether the newest generation is worth keeping as the previous one.
    newest_is_good: bool,
}

/// A policy read from disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) policy: Policy,
}

/// One of the two files kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    Newest,
    Previous,
}

/// Why a snapshot cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableSnapshot {
    /// It cannot be read.
    #[error("cannot read the policy snapshot {}", .path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    /// It is not a snapshot, or one of another version of agix.
    #[error("{} is not a policy snapshot of this version of agix", .0.display())]
    Foreign(PathBuf),
    /// It was cut off or damaged.
    #[error("the policy snapshot {} is damaged: its checksum does not match", .0.display())]
    Damaged(PathBuf),
    /// Its policy means nothing here.
    #[error("the policy in the snapshot {} cannot be read", .path.display())]
    Policy {
        path: PathBuf,
        #[source]
        cause: InvalidPolicy,
    },
}

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the policy snapshot {}", .path.display())]
pub(super) struct UnwrittenSnapshot {
    path: PathBuf,
    #[source]
    cause: io::Error,
}

impl SnapshotFile {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            newest_is_good: false,
        }
    }

    /// Reads one generation; nothing if there is no such file.
    pub(super) fn load(&self, generation: Generation) -> Result<Option<Stored>, UnusableSnapshot> {
        let path = match generation {
            Generation::Newest => self.path.clone(),
            Generation::Previous => self.beside("previous"),
        };
        match read_bounded(&path) {
            Ok(bytes) => parse(&bytes, &path).map(Some),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(UnusableSnapshot::Read { path, cause }),
        }
    }

    /// Says that the newest generation was read and put in force.
    pub(super) const fn newest_is_good(&mut self) {
        self.newest_is_good = true;
    }

    /// Makes `policy` the newest generation.
    pub(super) fn save(
        &mut self,
        version: Version,
        policy: &Policy,
    ) -> Result<(), UnwrittenSnapshot> {
        self.replace(&compose(version, policy))
            .map_err(|cause| UnwrittenSnapshot {
                path: self.path.clone(),
                cause,
            })
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let new = self.beside("new");
        remove_if_there(&new)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if self.newest_is_good {
            fs::rename(&self.path, self.beside("previous"))?;
            self.newest_is_good = false;
        }
        fs::rename(&new, &self.path)?;
        self.newest_is_good = true;
        // The names are durable only when the directory is.
        File::open(self.directory())?.sync_all()
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".");
        name.push(suffix);
        PathBuf::from(name)
    }

    fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        }
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The content of a file that is not larger than a snapshot may be.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let most = POLICY_ENCODED_BYTES.saturating_add(HEADER + CHECKSUM);
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn compose(version: Version, policy: &Policy) -> Vec<u8> {
    let Version { revision, hash } = version;
    let mut bytes = Vec::from(MAGIC);
    bytes.extend(revision.number().to_be_bytes());
    bytes.extend(hash.as_bytes());
    bytes.extend(encode_policy(policy));
    let checksum = Sha256::digest(&bytes);
    bytes.extend(checksum);
    bytes
}

fn parse(bytes: &[u8], path: &Path) -> Result<Stored, UnusableSnapshot> {
    let damaged = || UnusableSnapshot::Damaged(path.to_owned());
    let after_magic = match bytes.split_first_chunk::<8>() {
        Some((magic, rest)) if *magic == MAGIC => rest,
        Some(_) => return Err(UnusableSnapshot::Foreign(path.to_owned())),
        None => return Err(damaged()),
    };
    let (summed, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(damaged)?;
    if Sha256::digest(summed)[..] != checksum[..] {
        return Err(damaged());
    }
    let (revision, rest) = after_magic.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (hash, rest) = rest.split_first_chunk::<32>().ok_or_else(damaged)?;
    let (policy, _checksum) = rest.split_last_chunk::<CHECKSUM>().ok_or_else(damaged)?;
    let policy = decode_policy(policy).map_err(|cause| UnusableSnapshot::Policy {
        path: path.to_owned(),
        cause,
    })?;
    let version = Version {
        revision: Revision::new(u64::from_be_bytes(*revision)),
        hash: PolicyHash::from_bytes(*hash),
    };
    Ok(Stored { version, policy })
}

#[cfg(test)]
mod tests;
