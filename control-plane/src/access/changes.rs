//! Writes down which tokens came and went while the control plane ran.

use std::error::Error;

use agix_core::audit::{Act, Kind};
use agix_core::id::Revision;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Tokens;
use crate::acts;
use crate::clock::Clock;
use crate::store::Store;

/// Records each token that is added to the file or taken out of it, until `stop` is cancelled. The file
/// is changed outside of agix, so nobody knows by whom: the record names the control plane that saw it.
pub(crate) async fn record<S: Store>(
    mut tokens: watch::Receiver<Tokens>,
    store: S,
    here: String,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut known = tokens.borrow_and_update().clone();
    while let Some(Ok(())) = stop.run_until_cancelled(tokens.changed()).await {
        let now = tokens.borrow_and_update().clone();
        for (kind, name, message) in differences(&known, &now) {
            let act = Act {
                id: fastrand::u64(1..),
                time: clock.wall(),
                author: here.clone(),
                kind,
                subject: name,
                old: Revision::NONE,
                new: Revision::NONE,
                message,
            };
            if let Err(error) = acts::record_first(&store, act).await {
                let error: &dyn Error = &error;
                error!(error, "a change of the tokens could not be recorded");
            }
        }
        known = now;
    }
}

/// What came and what went: kind, whose token, and which.
fn differences(before: &Tokens, after: &Tokens) -> Vec<(Kind, String, String)> {
    let missing = |from: &Tokens, of: &Tokens, kind: Kind| {
        let gone = of
            .by_id
            .iter()
            .filter(|(id, known)| from.by_id.get(*id) != Some(known));
        let told = gone.map(|(id, known)| {
            let message = format!("token {id} with the role {}", known.role());
            (kind, known.name().to_owned(), message)
        });
        told.collect::<Vec<_>>()
    };
    let mut all = missing(after, before, Kind::RevokeToken);
    all.extend(missing(before, after, Kind::CreateToken));
    all
}

#[cfg(test)]
mod tests {
    use super::super::token::{Role, create};
    use super::*;

    #[test]
    fn a_token_that_changes_its_role_is_revoked_and_made_anew() {
        let line = create(Role::Viewer, "ann").unwrap().line;
        let other = create(Role::Admin, "bob").unwrap().line;
        let before: Tokens = format!("{line}\n{other}").parse().unwrap();
        let after: Tokens = format!("{other}\n{}", line.replace("viewer", "admin"))
            .parse()
            .unwrap();
        let told: Vec<_> = differences(&before, &after)
            .into_iter()
            .map(|(kind, name, _)| (kind, name))
            .collect();
        let expected = [Kind::RevokeToken, Kind::CreateToken].map(|it| (it, "ann".to_owned()));
        assert_eq!(told, expected);
        assert!(differences(&after, &after).is_empty());
    }
}
