//! Who does something and why, as an operator says it.

use agix_core::limits::{AUTHOR_BYTES, MESSAGE_BYTES};
use tonic::Status;

/// The author of a change whose caller did not say who it is.
pub(super) const UNKNOWN: &str = "unknown";

/// Checks author and message. Both are printed to terminals: no control characters but the line ends
/// of a message.
pub(super) fn signature(author: String, message: String) -> Result<(String, String), Status> {
    let author = match author.trim() {
        "" => UNKNOWN.to_owned(),
        _ => author,
    };
    bounded(&author, "author", AUTHOR_BYTES)?;
    bounded(&message, "message", MESSAGE_BYTES)?;
    Ok((author, message))
}

fn bounded(text: &str, what: &str, limit: usize) -> Result<(), Status> {
    if text.len() > limit {
        return Err(Status::invalid_argument(format!(
            "the {what} has at most {limit} bytes, this one has {}",
            text.len()
        )));
    }
    let allowed = |c: char| !c.is_control() || (what == "message" && matches!(c, '\n' | '\t'));
    if text.chars().all(allowed) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "the {what} contains a control character"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn author_and_message_are_bounded_and_printable() {
        let signed = |author: &str, message: &str| signature(author.to_owned(), message.to_owned());
        assert_eq!(signed("ann", "one\n\ttwo").unwrap().0, "ann");
        assert_eq!(signed(" ", "").unwrap().0, "unknown");
        for (author, message) in [
            ("a".repeat(AUTHOR_BYTES + 1), String::new()),
            ("a\nb".to_owned(), String::new()),
            ("a".to_owned(), "\u{1b}[2J".to_owned()),
            ("a".to_owned(), "m".repeat(MESSAGE_BYTES + 1)),
        ] {
            let refused = signed(&author, &message).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        }
    }
}
