//! `AuditAdmin`: administrative acts, for those who ask who did what.

use agix_core::audit::Kind;
use agix_core::limits::{ACTS_PAGE, HISTORY_DEFAULT};
use agix_core::time::Wall;
use agix_proto::v1;
use tonic::{Request, Response, Status};

use super::change::within;
use super::status;
use crate::acts;
use crate::store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct AuditAdmin<S> {
    store: S,
}

impl<S: Store> AuditAdmin<S> {
    pub(crate) const fn new(store: S) -> Self {
        Self { store }
    }
}

#[tonic::async_trait]
impl<S: Store> v1::audit_admin_server::AuditAdmin for AuditAdmin<S> {
    async fn list_acts(
        &self,
        request: Request<v1::ListActsRequest>,
    ) -> Result<Response<v1::ListActsResponse>, Status> {
        let v1::ListActsRequest {
            subject,
            kinds,
            since_unix_ms,
            limit,
        } = request.into_inner();
        let kinds: Vec<Kind> = kinds
            .iter()
            .map(|name| kind(name))
            .collect::<Result<_, _>>()?;
        let most = match usize::try_from(limit) {
            Ok(0) => HISTORY_DEFAULT,
            Ok(limit) => limit.min(ACTS_PAGE),
            Err(_) => ACTS_PAGE,
        };
        let since = Wall::from_millis(since_unix_ms);
        let newest = acts::newest(&self.store, most, |record| {
            let act = &record.act;
            (subject.is_empty() || act.subject == subject)
                && (kinds.is_empty() || kinds.contains(&act.kind))
                && act.time >= since
        });
        let (found, more) = newest.await.map_err(|error| status::of_acts(&error))?;
        let acts = within(found.iter().map(v1::Act::from));
        Ok(Response::new(v1::ListActsResponse {
            more: more || acts.len() < found.len(),
            acts,
        }))
    }

    async fn verify_acts(
        &self,
        _request: Request<v1::VerifyActsRequest>,
    ) -> Result<Response<v1::VerifyActsResponse>, Status> {
        let verified = acts::verify(&self.store).await;
        let verified = verified.map_err(|error| status::of_acts(&error))?;
        Ok(Response::new(v1::VerifyActsResponse {
            acts: verified.found,
            first: verified.head.first,
            digest: verified.head.digest.0.to_vec(),
            broken: verified
                .outcome
                .err()
                .map(|broken| broken.to_string())
                .unwrap_or_default(),
        }))
    }
}

fn kind(name: &str) -> Result<Kind, Status> {
    Kind::parse(name).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        let known = known.join(", ");
        Status::invalid_argument(format!("`{name}` is no kind of act; there are {known}"))
    })
}
