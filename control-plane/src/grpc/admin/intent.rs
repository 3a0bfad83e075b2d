//! Who changes the policy, why, and under which condition.

use agix_core::id::Revision;
use agix_core::limits::{AUTHOR_BYTES, MESSAGE_BYTES};
use agix_core::time::Wall;
use agix_proto::v1;
use tonic::Status;

use crate::repository::Intent;

/// The author of a change whose caller did not say who it is.
const UNKNOWN: &str = "unknown";

pub(super) fn of_apply(start: v1::ApplyStart, now: Wall) -> Result<Intent, Status> {
    let v1::ApplyStart {
        author,
        message,
        expected_revision,
        dry_run,
    } = start;
    let expected = expected_revision.map(Revision::new);
    Ok(Intent {
        expected,
        dry_run,
        ..signed(author, message, now)?
    })
}

pub(super) fn of_rollback(
    request: v1::RollbackRequest,
    now: Wall,
) -> Result<(Revision, Intent), Status> {
    let v1::RollbackRequest {
        to_revision,
        expected_revision,
        author,
        message,
    } = request;
    let intent = Intent {
        expected: expected_revision.map(Revision::new),
        ..signed(author, message, now)?
    };
    Ok((Revision::new(to_revision), intent))
}

fn signed(author: String, message: String, now: Wall) -> Result<Intent, Status> {
    let author = match author.trim() {
        "" => UNKNOWN.to_owned(),
        _ => author,
    };
    bounded(&author, "author", AUTHOR_BYTES)?;
    bounded(&message, "message", MESSAGE_BYTES)?;
    Ok(Intent {
        author,
        message,
        time: now,
        expected: None,
        dry_run: false,
    })
}

/// Both are printed to terminals: no control characters but the line ends of a message.
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

    fn intent(author: &str, message: &str) -> Result<Intent, Status> {
        signed(author.to_owned(), message.to_owned(), Wall::from_millis(1))
    }

    #[test]
    fn author_and_message_are_bounded_and_printable() {
        assert_eq!(intent("ann", "one\n\ttwo").unwrap().author, "ann");
        assert_eq!(intent(" ", "").unwrap().author, "unknown");
        for (author, message) in [
            ("a".repeat(AUTHOR_BYTES + 1), String::new()),
            ("a\nb".to_owned(), String::new()),
            ("a".to_owned(), "\u{1b}[2J".to_owned()),
            ("a".to_owned(), "m".repeat(MESSAGE_BYTES + 1)),
        ] {
            let refused = intent(&author, &message).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        }
    }
}
