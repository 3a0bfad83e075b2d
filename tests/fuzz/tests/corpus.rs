//! Every parser keeps its promises on every input that is there, and on damaged ones.
//!
//! `AGIX_TEST_DAMAGES=1000` damages each input so many times.
#![expect(clippy::unwrap_used, reason = "all of it is tests")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use agix_fuzz::{PARSERS, Parser, Seed, damaged, golden_folders, of_caller, of_dialect, seeds};
use agix_proxy::dialect::{Caller, Dialect};

/// How often each input is damaged, unless the environment says otherwise.
const DAMAGES: u64 = 4;
/// Fewest inputs of a parser.
const FEWEST: usize = 5;

/// Runs one input; the words of what it breaks, if it does.
fn broken(parser: Parser, bytes: &[u8]) -> Option<String> {
    let run = catch_unwind(AssertUnwindSafe(|| (parser.check)(bytes)));
    let cause = run.err()?;
    let text = cause.downcast_ref::<String>().cloned();
    let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.unwrap_or_default())
}

/// Runs all inputs of the parsers that `is_mine`, as they are and damaged.
fn replay(is_mine: impl Fn(&str) -> bool) {
    let damages = std::env::var("AGIX_TEST_DAMAGES");
    let damages = damages.map_or(DAMAGES, |count| count.parse().unwrap());
    let mut breaches = Vec::new();
    for parser in PARSERS.into_iter().filter(|parser| is_mine(parser.name)) {
        let seeds = seeds(parser.name).unwrap();
        assert!(seeds.len() >= FEWEST, "{} has no corpus", parser.name);
        for (place, Seed { path, bytes }) in seeds.iter().enumerate() {
            if let Some(words) = broken(parser, bytes) {
                breaches.push(format!("{}: {words}", path.display()));
            }
            for number in 0..damages {
                let other = &seeds[(place * 7 + usize::try_from(number).unwrap()) % seeds.len()];
                let bytes = damaged(bytes, &other.bytes, number);
                if let Some(words) = broken(parser, &bytes) {
                    let text = bytes.escape_ascii();
                    breaches.push(format!(
                        "{} damaged by {number}: {words}\n{text}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(
        breaches.is_empty(),
        "{} breaches:\n{}",
        breaches.len(),
        breaches.join("\n")
    );
}

#[test]
fn requests_of_callers_keep_their_promises() {
    replay(|name| name.ends_with("-request"));
}

#[test]
fn answers_of_providers_keep_their_promises() {
    replay(|name| name.ends_with("-answer") || name == "refusal");
}

#[test]
fn streams_of_providers_keep_their_promises() {
    replay(|name| name.ends_with("-stream"));
}

#[test]
fn documents_and_webhooks_keep_their_promises() {
    let others = ["-request", "-answer", "-stream", "refusal"];
    replay(|name| !others.iter().any(|end| name.ends_with(end)));
}

#[test]
fn every_dialect_has_its_parsers_and_every_golden_file_is_run() {
    let names: BTreeSet<&str> = PARSERS.iter().map(|parser| parser.name).collect();
    assert_eq!(names.len(), PARSERS.len());
    let requests = Caller::ALL.map(|caller| format!("{}-request", of_caller(caller)));
    let answers = Dialect::ALL.map(|dialect| format!("{}-answer", of_dialect(dialect)));
    let streams = Dialect::ALL.map(|dialect| format!("{}-stream", of_dialect(dialect)));
    let golden = golden_folders().unwrap();
    assert!(golden.len() >= 8, "{golden:?}");
    // All requests are run by the parsers of all callers.
    let golden = golden.iter().filter(|folder| !folder.ends_with("-request"));
    for wanted in requests
        .iter()
        .chain(&answers)
        .chain(&streams)
        .chain(golden)
    {
        assert!(
            names.contains(wanted.as_str()),
            "no parser is called {wanted}"
        );
    }
}
