//! The files of the repository: what git tracks, and what it would if one said `git add`.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

/// One file.
#[derive(Debug)]
pub(crate) struct File {
    /// Path from the top of the repository.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Its text; `None` if it is none.
    pub text: Option<String>,
    /// Whether all of it is tests.
    pub is_tests: bool,
}

/// The top of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// All files, in the order of their paths.
pub(crate) fn files() -> io::Result<Vec<File>> {
    let mut paths = match tracked() {
        Some(paths) => paths,
        None => walked()?,
    };
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::new();
    for path in paths {
        // A file that was removed and not committed is still listed.
        let Ok(content) = fs::read(root().join(&path)) else {
            continue;
        };
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        // Crates have their tests beside `src`; modules have them in `foo/tests.rs`.
        let mut parts = path.split('/').skip(1);
        let is_tests = path.ends_with("/tests.rs") || parts.any(|part| part == "tests");
        files.push(File {
            path,
            bytes,
            text: String::from_utf8(content).ok(),
            is_tests,
        });
    }
    let for_tests: BTreeSet<String> = files.iter().flat_map(File::modules_for_tests).collect();
    for file in &mut files {
        file.is_tests |= for_tests.contains(&file.path);
    }
    Ok(files)
}

/// What git lists; `None` if this is no clone.
fn tracked() -> Option<Vec<String>> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .ok()?;
    let listed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| {
        listed
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(str::to_owned)
            .collect()
    })
}

/// What lies there, build products left out.
fn walked() -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = VecDeque::from([PathBuf::new()]);
    while let Some(dir) = open.pop_front() {
        for entry in fs::read_dir(root().join(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            let built = [".git", "target", "__pycache__"]
                .iter()
                .any(|name| path.ends_with(name));
            if entry.file_type()?.is_dir() && !built {
                open.push_back(path);
            } else if !built {
                found.push(path.display().to_string());
            }
        }
    }
    Ok(found)
}

impl File {
    /// Whether it is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    }

    /// The lines that are no tests: those before the tests at the end of a file.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = self
            .text
            .as_deref()
            .filter(|_| !self.is_tests)
            .unwrap_or_default();
        let end = text.find("\n#[cfg(test)]\nmod tests").unwrap_or(text.len());
        let product = text.get(..end).unwrap_or_default();
        product
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// The files of modules which this file declares for tests only.
    fn modules_for_tests(&self) -> Vec<String> {
        let text = self
            .text
            .as_deref()
            .filter(|_| self.is_rust())
            .unwrap_or_default();
        let stem = self.path.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "lib" | "main" | "mod")) => folder,
            _ => stem,
        };
        text.lines()
            .zip(text.lines().skip(1))
            .filter(|(line, _)| line.starts_with("#[cfg(") && line.contains("test"))
            .filter_map(|(_, line)| line.rsplit_once("mod ")?.1.strip_suffix(';'))
            .map(|name| format!("{folder}/{name}.rs"))
            .collect()
    }
}
