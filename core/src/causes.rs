//! An error with its causes, for the log and for people.

use std::error::Error;

/// The text of `error` and of each of its causes, outermost first: `a: b: c`.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
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

    #[test]
    fn each_cause_is_said_once() {
        let inner = std::fmt::Error;
        assert_eq!(with_causes(&inner), inner.to_string());
        assert_eq!(with_causes(&Outer(inner)), format!("outer: {inner}"));
    }
}
