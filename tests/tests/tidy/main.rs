//! Checks of the repository itself: what a reviewer would otherwise have to look for by hand.
//!
//! Each check collects every breach before it fails, one line each, with the place.

mod dependencies;
mod repository;
mod sources;
mod words;

use std::error::Error;

/// What a check returns: nothing, or why the repository cannot be read.
type Outcome = Result<(), Box<dyn Error>>;

/// Fails with `rule` and all `breaches`, if there are any.
fn none(rule: &str, breaches: &[String]) {
    assert!(
        breaches.is_empty(),
        "{rule}:\n  {}\n",
        breaches.join("\n  ")
    );
}
