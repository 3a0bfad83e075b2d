//! Who changes the policy, why, and under which condition.

use agix_core::id::Revision;
use agix_core::time::Wall;
use agix_proto::v1;
use tonic::Status;

use crate::grpc::signature::signature;
use crate::repository::Intent;

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
    let (author, message) = signature(author, message)?;
    Ok(Intent {
        author,
        message,
        time: now,
        expected: None,
        dry_run: false,
    })
}
