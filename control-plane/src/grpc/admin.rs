//! `PolicyAdmin`: what an operator does with policies.

mod intent;
mod show;

use std::pin::Pin;
use std::sync::Arc;

use agix_core::id::Revision;
use agix_core::limits::{HISTORY_DEFAULT, HISTORY_REVISIONS};
use agix_core::policy::changes;
use agix_core::policy::document::{Checked, Diagnostic};
use agix_proto::v1;
use agix_proto::v1::policy_admin_server::PolicyAdmin;
use agix_proto::v1::{apply_response, rollback_response};
use futures_util::{Stream, StreamExt as _, stream};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::change::{listed, within};
use super::status;
use super::upload::{Part, Uploads};
use crate::access;
use crate::clock::Clock;
use crate::repository::{Outcome, Proposal, Published, Repository, Rollback};
use crate::store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct Admin<S> {
    repository: Repository<S>,
    clock: Clock,
    uploads: Uploads,
    stop: CancellationToken,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl<S: Store> Admin<S> {
    pub(crate) fn new(repository: Repository<S>, clock: Clock, stop: CancellationToken) -> Self {
        Self {
            repository,
            clock,
            uploads: Uploads::default(),
            stop,
        }
    }

    /// The revision asked for, or the current one.
    async fn revision(&self, number: Option<u64>) -> Result<Arc<Published>, Status> {
        match number {
            None => self.repository.current().ok_or_else(status::no_policy),
            Some(number) => self
                .repository
                .load(Revision::new(number))
                .await
                .map_err(|error| status::of_load(&error)),
        }
    }
}

#[tonic::async_trait]
impl<S: Store> PolicyAdmin for Admin<S> {
    type GetStream = Answers<v1::GetResponse>;
    type WatchStream = Answers<v1::WatchResponse>;

    async fn validate(
        &self,
        request: Request<v1::ValidateRequest>,
    ) -> Result<Response<v1::ValidateResponse>, Status> {
        let document = request.into_inner().document.unwrap_or_default();
        let mut upload = self.uploads.whole(document).await?;
        let diagnostics = match upload.read().await? {
            Ok(checked) => checked.warnings,
            Err(errors) => errors,
        };
        Ok(Response::new(v1::ValidateResponse {
            diagnostics: on_wire(&diagnostics),
        }))
    }

    async fn apply(
        &self,
        request: Request<Streaming<v1::ApplyRequest>>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let author = access::author(&request);
        let parts = request.into_inner();
        let (mut start, mut upload) = self
            .uploads
            .receive(parts, |message| match message.part {
                Some(v1::apply_request::Part::Start(start)) => Part::Start(start),
                Some(v1::apply_request::Part::File(file)) => Part::File(file),
                None => Part::Nothing,
            })
            .await?;
        start.author = author.unwrap_or(start.author);
        let intent = intent::of_apply(start, self.clock.wall())?;
        let outcome = match upload.read().await? {
            Err(errors) => apply_response::Outcome::Invalid(apply_response::Invalid {
                diagnostics: on_wire(&errors),
            }),
            Ok(Checked {
                policy,
                warnings,
                redacted,
            }) => {
                let proposal = Proposal {
                    policy: Arc::new(policy),
                    sources: redacted,
                    intent,
                };
                let outcome = self.repository.apply(proposal).await;
                match outcome.map_err(|error| status::of_apply(&error))? {
                    Outcome::Conflict(conflict) => {
                        apply_response::Outcome::Conflict(conflict.into())
                    }
                    Outcome::Applied(applied) => {
                        apply_response::Outcome::Applied(apply_response::Applied {
                            warnings: on_wire(&warnings),
                            ..applied.into()
                        })
                    }
                }
            }
        };
        Ok(Response::new(v1::ApplyResponse {
            outcome: Some(outcome),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetRequest>,
    ) -> Result<Response<Self::GetStream>, Status> {
        let published = self.revision(request.into_inner().revision).await?;
        let sources = self.repository.sources(published.info().revision).await;
        let sources = sources.map_err(|error| status::of_load(&error))?;
        let messages = stream::iter(show::messages(&published, sources).map(Ok));
        let stop = self.stop.clone().cancelled_owned();
        Ok(Response::new(Box::pin(messages.take_until(stop))))
    }

    async fn history(
        &self,
        request: Request<v1::HistoryRequest>,
    ) -> Result<Response<v1::HistoryResponse>, Status> {
        let v1::HistoryRequest { limit, before } = request.into_inner();
        let limit = match usize::try_from(limit) {
            Ok(0) => HISTORY_DEFAULT,
            Ok(limit) => limit,
            Err(_) => HISTORY_REVISIONS,
        };
        let history = self
            .repository
            .history(limit, before.map(Revision::new))
            .await
            .map_err(|error| status::of_load(&error))?;
        let found = history.revisions.len();
        let revisions = within(history.revisions.iter().map(v1::RevisionInfo::from));
        Ok(Response::new(v1::HistoryResponse {
            more: history.more || revisions.len() < found,
            revisions,
        }))
    }

    async fn diff(
        &self,
        request: Request<Streaming<v1::DiffRequest>>,
    ) -> Result<Response<v1::DiffResponse>, Status> {
        let parts = request.into_inner();
        let (start, mut upload) = self
            .uploads
            .receive(parts, |message| match message.part {
                Some(v1::diff_request::Part::Start(start)) => Part::Start(start),
                Some(v1::diff_request::Part::File(file)) => Part::File(file),
                None => Part::Nothing,
            })
            .await?;
        let v1::DiffStart { from, to } = start;
        if to.is_some() && !upload.is_empty() {
            return Err(Status::invalid_argument(
                "compare with a revision or with a document, not with both",
            ));
        }
        let old = match (from, self.repository.current()) {
            // Before the first revision there was nothing.
            (None, None) | (Some(0), _) => None,
            _ => Some(self.revision(from).await?),
        };
        let number = |published: &Arc<Published>| published.info().revision.number();
        let mut answer = v1::DiffResponse {
            from: old.as_ref().map_or(0, number),
            to,
            ..v1::DiffResponse::default()
        };
        let new = match to {
            Some(to) => Arc::clone(self.revision(Some(to)).await?.policy()),
            None => match upload.read().await? {
                Ok(checked) => {
                    answer.diagnostics = on_wire(&checked.warnings);
                    Arc::new(checked.policy)
                }
                Err(errors) => {
                    answer.diagnostics = on_wire(&errors);
                    return Ok(Response::new(answer));
                }
            },
        };
        let old = old.map_or_else(Arc::default, |old| Arc::clone(old.policy()));
        let changes = spawn_blocking(move || changes(&old, &new)).await;
        let changes = changes.map_err(|_interrupted| status::stopping())?;
        (answer.changes, answer.changes_left_out) = listed(&changes);
        Ok(Response::new(answer))
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackRequest>,
    ) -> Result<Response<v1::RollbackResponse>, Status> {
        let author = access::author(&request);
        let mut request = request.into_inner();
        request.author = author.unwrap_or(request.author);
        let (to, intent) = intent::of_rollback(request, self.clock.wall())?;
        let outcome = self.repository.rollback(Rollback { to, intent }).await;
        let outcome = match outcome.map_err(|error| status::of_rollback(&error))? {
            Outcome::Applied(applied) => rollback_response::Outcome::Applied(applied.into()),
            Outcome::Conflict(conflict) => rollback_response::Outcome::Conflict(conflict.into()),
        };
        Ok(Response::new(v1::RollbackResponse {
            outcome: Some(outcome),
        }))
    }

    async fn watch(
        &self,
        _request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut updates = self.repository.subscribe();
        updates.mark_changed();
        let revisions = stream::unfold(updates, |mut updates| async move {
            loop {
                updates.changed().await.ok()?;
                let current = updates.borrow_and_update().clone();
                if let Some(current) = current {
                    let current = Some(current.info().into());
                    return Some((Ok(v1::WatchResponse { current }), updates));
                }
            }
        });
        let stop = self.stop.clone().cancelled_owned();
        let farewell = stream::once(async { Err(status::stopping()) });
        Ok(Response::new(Box::pin(
            revisions.take_until(stop).chain(farewell),
        )))
    }
}

fn on_wire(diagnostics: &[Diagnostic]) -> Vec<v1::Diagnostic> {
    within(diagnostics.iter().map(v1::Diagnostic::from))
}
