//! The inputs that are there: `corpus/NAME/*`, and the golden files of the dialects.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../data-plane/testdata/dialect"
);
const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// One input.
#[derive(Debug, Clone)]
pub struct Seed {
    /// The file it is in.
    pub path: PathBuf,
    /// What the parser reads.
    pub bytes: Vec<u8>,
}

/// The inputs of a parser, in the order of their names.
///
/// # Errors
/// A folder or a file cannot be read.
pub fn seeds(name: &str) -> io::Result<Vec<Seed>> {
    let mut paths = files(&Path::new(CORPUS).join(name))?;
    let is_input = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.contains(".in."))
    };
    // A request of one caller is as good as any for the parsers of others.
    let is_mine = |folder: &String| {
        folder == name || name.ends_with("-request") && folder.ends_with("-request")
    };
    for folder in golden_folders()?.into_iter().filter(is_mine) {
        let golden = files(&Path::new(GOLDEN).join(folder))?;
        paths.extend(golden.into_iter().filter(is_input));
    }
    if name == "policy-document" {
        paths.extend(files(Path::new(DOCUMENTS))?);
    }
    paths.sort();
    let read = |path: PathBuf| fs::read(&path).map(|bytes| Seed { path, bytes });
    paths.into_iter().map(read).collect()
}

/// The folders of golden files that hold inputs, by name.
///
/// # Errors
/// A folder cannot be read.
pub fn golden_folders() -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(GOLDEN)? {
        let entry = entry?;
        let inputs = files(&entry.path())?;
        let holds_inputs = inputs
            .iter()
            .any(|path| path.display().to_string().contains(".in."));
        if holds_inputs {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// The files of a folder; none if there is no such folder.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let paths: io::Result<Vec<_>> = entries.collect();
    Ok(paths?.into_iter().filter(|path| path.is_file()).collect())
}
