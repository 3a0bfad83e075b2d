//! Reading what `-f` names: files, directories and standard input.
//!
//! A directory stands for its `*.yaml` and `*.yml` files, sorted by name, hidden ones left out.
//! Nothing larger than a policy document may be is read into memory.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use agix_core::limits::{POLICY_DOCUMENT_BYTES, POLICY_FILES};
use agix_proto::v1::{Document, SourceFile};

use crate::exit::Exit;

/// The argument that stands for standard input.
const STDIN: &str = "-";
/// The name standard input has in messages.
const STDIN_NAME: &str = "<stdin>";

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// A file or directory.
    #[error("{} cannot be read", .path.display())]
    Path {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard input.
    #[error("standard input cannot be read")]
    Stdin(#[source] io::Error),
    /// A directory without policies.
    #[error("{} contains no *.yaml or *.yml file", .0.display())]
    NoFiles(PathBuf),
    /// Too many files.
    #[error("a policy has at most {POLICY_FILES} files")]
    TooManyFiles,
    /// Too many bytes.
    #[error("{name}: a policy has at most {POLICY_DOCUMENT_BYTES} bytes, all files together")]
    TooLarge {
        /// The file that passed the bound.
        name: String,
    },
    /// Bytes that are no text.
    #[error("{name} is not UTF-8 text (byte {offset})")]
    NotText {
        /// The file.
        name: String,
        /// The first byte that is wrong, counted from zero.
        offset: usize,
    },
}

impl ReadError {
    /// The exit code it leads to.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Path { .. } | Self::Stdin(_) | Self::NoFiles(_) => Exit::Usage,
            Self::TooManyFiles | Self::TooLarge { .. } | Self::NotText { .. } => Exit::Invalid,
        }
    }
}

/// Reads the document that the arguments of `-f` name, in their order.
pub(crate) fn read(arguments: &[PathBuf]) -> Result<Document, ReadError> {
    let mut files = Vec::new();
    let mut room = POLICY_DOCUMENT_BYTES;
    for argument in arguments {
        if argument.as_os_str() == STDIN {
            let text = take(io::stdin().lock(), STDIN_NAME, &mut room, ReadError::Stdin)?;
            files.push(text);
            continue;
        }
        for path in paths(argument)? {
            let failed = |source| ReadError::Path {
                path: path.clone(),
                source,
            };
            let file = fs::File::open(&path).map_err(failed)?;
            let name = path.display().to_string();
            files.push(take(file, &name, &mut room, failed)?);
        }
    }
    if files.len() > POLICY_FILES {
        return Err(ReadError::TooManyFiles);
    }
    Ok(Document { files })
}

/// The files `argument` stands for: itself, or what the directory holds.
pub(crate) fn paths(argument: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Path {
        path: argument.to_owned(),
        source,
    };
    if !fs::metadata(argument).map_err(failed)?.is_dir() {
        return Ok(vec![argument.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(argument).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_policy(&path) {
            found.push(path);
        }
        if found.len() > POLICY_FILES {
            return Err(ReadError::TooManyFiles);
        }
    }
    if found.is_empty() {
        return Err(ReadError::NoFiles(argument.to_owned()));
    }
    found.sort();
    Ok(found)
}

fn is_policy(path: &Path) -> bool {
    let extension = path.extension().and_then(|text| text.to_str());
    let hidden = path
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    matches!(extension, Some("yaml" | "yml")) && !hidden && !path.is_dir()
}

/// Reads one file whole, if it fits into `room`, which shrinks by it.
fn take(
    source: impl Read,
    name: &str,
    room: &mut usize,
    failed: impl FnOnce(io::Error) -> ReadError,
) -> Result<SourceFile, ReadError> {
    let mut bytes = Vec::new();
    let most = u64::try_from(*room).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut bytes).map_err(failed)?;
    *room = room
        .checked_sub(bytes.len())
        .ok_or_else(|| ReadError::TooLarge {
            name: name.to_owned(),
        })?;
    let text = String::from_utf8(bytes).map_err(|error| ReadError::NotText {
        name: name.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    Ok(SourceFile {
        name: name.to_owned(),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_its_visible_yaml_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "b.yml",
            "a.yaml",
            "notes.txt",
            ".a.yaml.swp",
            ".hidden.yaml",
        ] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        fs::create_dir(dir.path().join("nested.yaml")).unwrap();
        let document = read(&[dir.path().to_owned()]).unwrap();
        let texts: Vec<_> = document.files.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(texts, ["a.yaml", "b.yml"]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let missing = read(&[dir.path().join("absent.yaml")]).unwrap_err();
        assert!(missing.to_string().contains("absent.yaml"), "{missing}");
        assert_eq!(missing.exit(), Exit::Usage);
        let empty = read(&[dir.path().to_owned()]).unwrap_err();
        assert!(matches!(empty, ReadError::NoFiles(_)), "{empty}");

        let path = dir.path().join("latin.yaml");
        fs::write(&path, b"a: \xe9").unwrap();
        let not_text = read(&[path]).unwrap_err();
        assert!(not_text.to_string().contains("byte 3"), "{not_text}");
        assert_eq!(not_text.exit(), Exit::Invalid);
    }

    #[test]
    fn a_document_that_is_too_large_is_not_read_to_its_end() {
        let mut room = 10;
        let endless = io::repeat(b'a');
        let refused = take(endless, "endless", &mut room, ReadError::Stdin).unwrap_err();
        assert!(matches!(refused, ReadError::TooLarge { .. }), "{refused}");
        let fits = take(&b"0123456789"[..], "fits", &mut room, ReadError::Stdin);
        assert_eq!(fits.unwrap().text.len(), 10);
        assert_eq!(room, 0);
    }
}
