//! Words that have no place in the repository, and files that have none.

use crate::repository::{File, files};
use crate::{Outcome, none};

/// Largest file, in bytes; Cargo.lock and the like stay below it.
const LARGEST_FILE: u64 = 512 * 1024;

/// Endings of files that programs make.
const MADE: [&str; 16] = [
    ".a", ".bin", ".class", ".db", ".exe", ".key", ".log", ".o", ".orig", ".profraw", ".pyc",
    ".redb", ".rej", ".so", ".swp", ".tmp",
];

/// Directories that programs make.
const MADE_IN: [&str; 4] = ["target", "__pycache__", "node_modules", ".venv"];

/// Banned words and why; in any case, unless all is in capitals. Each is written in two parts, so
/// that this file has none.
const BANNED: [(&str, &str, &str); 19] = [
    ("/wo", "rk/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    (
        "/tmp/",
        "agix",
        "a path of one machine; tests make a directory of their own",
    ),
    (
        "index-",
        "url",
        "where packages come from is the machine's affair",
    ),
    (
        "find-",
        "links",
        "where packages come from is the machine's affair",
    ),
    (
        "trusted-",
        "host",
        "where packages come from is the machine's affair",
    ),
    (
        "replace-",
        "with =",
        "where packages come from is the machine's affair",
    ),
    ("DESIGN", ".md", "the architecture is in ARCHITECTURE.md"),
    ("SPEC", ".md", "say what the product does"),
    ("shared/", "reference", "not part of the repository"),
    ("ecosystem", ".md", "not part of the repository"),
    ("reliability", ".md", "not part of the repository"),
    ("co-authored", "-by", "the history says who wrote what"),
    ("generated ", "with ", "say what the product does"),
    ("sub", "agent", "say what the product does"),
    ("TO", "DO", "finish it, or leave it out"),
    ("FIX", "ME", "finish it, or leave it out"),
    ("<<<<", "<<< ", "a conflict that was not resolved"),
    (">>>>", ">>> ", "a conflict that was not resolved"),
];

#[test]
fn no_file_holds_a_banned_word() -> Outcome {
    let mut breaches = Vec::new();
    for file in files()? {
        let text = file.text.as_deref().unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let lower = line.to_lowercase();
            for (first, second, why) in BANNED {
                let word = format!("{first}{second}");
                let shouted = word == word.to_uppercase() && word != word.to_lowercase();
                let found = if shouted {
                    has_word(line, &word)
                } else {
                    has_word(&lower, &word.to_lowercase())
                };
                if found {
                    breaches.push(format!("{}:{}: `{word}`: {why}", file.path, index + 1));
                }
            }
        }
    }
    none("Words that have no place here", &breaches);
    Ok(())
}

#[test]
fn no_file_is_the_product_of_a_program() -> Outcome {
    let made = |file: &File| {
        file.bytes > LARGEST_FILE
            || MADE.iter().any(|ending| file.path.ends_with(ending))
            || file
                .path
                .split('/')
                .rev()
                .skip(1)
                .any(|part| MADE_IN.contains(&part))
    };
    let breaches: Vec<_> = files()?
        .iter()
        // The bench keeps the policy and the nginx configuration of its targets in a `target`.
        .filter(|file| made(file) && !file.path.starts_with("bench/src/target/"))
        .map(|file| format!("{}, {} bytes", file.path, file.bytes))
        .collect();
    none(
        "Files that programs make, or larger than 512 KiB",
        &breaches,
    );
    Ok(())
}

/// Whether `word` is in `line` and does not go on from or into another word.
fn has_word(line: &str, word: &str) -> bool {
    let joins = |first: Option<char>, second: Option<char>| {
        matches!((first, second), (Some(first), Some(second))
            if first.is_alphanumeric() && second.is_alphanumeric())
    };
    line.match_indices(word).any(|(at, _)| {
        let (before, rest) = line.split_at(at);
        let after = rest.get(word.len()..).unwrap_or_default();
        !joins(before.chars().next_back(), word.chars().next())
            && !joins(word.chars().next_back(), after.chars().next())
    })
}

#[test]
fn a_banned_word_is_found_on_its_own_only() {
    assert!(has_word("// soon: finish", "soon"));
    assert!(has_word("see (soon)", "soon"));
    assert!(!has_word("sooner, unsoon", "soon"));
    assert!(has_word("in /somewhere/x", "/somewhere/"));
}
