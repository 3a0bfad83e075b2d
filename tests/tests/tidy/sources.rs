//! Rules for the Rust files: size, documentation, limits and diagnostic codes.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::{File, files};
use crate::{Outcome, none};

/// Most lines of a file, its tests left out.
const LONGEST_FILE: usize = 600;
/// Most lines of a file of tests.
const LONGEST_TESTS: usize = 1_000;
/// Where the bounds of the product have their names.
const LIMITS: &str = "core/src/limits.rs";
const MORE_LIMITS: &str = "core/src/limits/";
/// What diagnostic codes begin with; digits follow.
const CODE: &str = "\"AGX";

#[test]
fn no_file_is_longer_than_one_can_read() -> Outcome {
    let breaches: Vec<_> = rust_files()?
        .iter()
        .filter_map(|file| {
            let lines = file.text.as_deref().unwrap_or_default().lines().count();
            let product = file.product_lines().count();
            let tests = lines - product;
            (product > LONGEST_FILE || tests > LONGEST_TESTS)
                .then(|| format!("{}: {product} lines and {tests} of tests", file.path))
        })
        .collect();
    none(
        "Files over 600 lines without their tests, or 1,000 lines of tests",
        &breaches,
    );
    Ok(())
}

#[test]
fn every_file_says_what_it_is_for() -> Outcome {
    let breaches: Vec<_> = rust_files()?
        .into_iter()
        // Tests of a module are the end of its file, where the documentation is.
        .filter(|file| !(file.is_tests && file.path.contains("/src/")))
        .filter(|file| !file.text.as_deref().unwrap_or_default().starts_with("//! "))
        .map(|file| file.path)
        .collect();
    none("Files without module documentation", &breaches);
    Ok(())
}

#[test]
fn no_module_is_named_after_nothing() -> Outcome {
    let banned = [
        "common", "helper", "helpers", "manager", "misc", "mod", "util", "utils",
    ];
    let breaches: Vec<_> = rust_files()?
        .into_iter()
        .map(|file| file.path)
        .filter(|path| {
            path.trim_end_matches(".rs")
                .split('/')
                .any(|part| banned.contains(&part))
        })
        .collect();
    none(
        "Modules whose names say nothing (and `mod.rs`: use `foo.rs` beside `foo/`)",
        &breaches,
    );
    Ok(())
}

#[test]
fn every_limit_is_in_force() -> Outcome {
    let files = rust_files()?;
    let (limits, others): (Vec<_>, Vec<_>) = files
        .iter()
        .partition(|file| file.path == LIMITS || file.path.starts_with(MORE_LIMITS));
    let names: Vec<&str> = limits
        .iter()
        .flat_map(|file| file.product_lines())
        .filter_map(|(_, line)| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    assert!(
        names.len() > 50,
        "{LIMITS} is not read as it should: {names:?}"
    );
    let words: BTreeSet<&str> = others
        .iter()
        .flat_map(|file| file.product_lines())
        .flat_map(|(_, line)| line.split(|c: char| !(c.is_alphanumeric() || c == '_')))
        .collect();
    let unused = names.into_iter().filter(|name| !words.contains(name));
    let breaches: Vec<_> = unused.map(str::to_owned).collect();
    none("Limits that nothing but tests reads", &breaches);
    Ok(())
}

#[test]
fn a_diagnostic_code_means_one_thing() -> Outcome {
    let files = rust_files()?;
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in &files {
        for (number, line) in file.product_lines() {
            for (at, _) in line.match_indices(CODE) {
                let code = line.get(at + 1..at + 8).unwrap_or_default();
                if code.chars().skip(3).all(|c| c.is_ascii_digit()) {
                    places
                        .entry(code)
                        .or_default()
                        .push(format!("{}:{number}", file.path));
                }
            }
        }
    }
    let breaches: Vec<_> = places
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(code, places)| format!("{code}: {}", places.join(", ")))
        .collect();
    none(
        "Codes written in more than one place (give the meaning one constant)",
        &breaches,
    );
    Ok(())
}

fn rust_files() -> std::io::Result<Vec<File>> {
    Ok(files()?.into_iter().filter(File::is_rust).collect())
}
