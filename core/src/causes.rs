//! An error with its causes, for the log and for people.

use std::error::Error;

/// The text of `error` and of each of its causes, outermost first: `a: b: c`. A cause that the
/// error before it has already told is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("talkative: {0}")]
    struct Talkative(#[source] Outer);

    #[test]
    fn each_cause_is_said_once() {
        let inner = std::fmt::Error;
        assert_eq!(with_causes(&inner), inner.to_string());
        assert_eq!(with_causes(&Outer(inner)), format!("outer: {inner}"));
        let says = format!("talkative: outer: {inner}");
        assert_eq!(with_causes(&Talkative(Outer(inner))), says);
    }
}
