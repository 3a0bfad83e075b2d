//! `Fleet`: the proxies a control plane knows, and the control plane itself.

use std::sync::Arc;

use agix_core::id::Revision;
use agix_core::time::Wall;
use agix_proto::v1;
use tonic::{Request, Response, Status};

use super::change::within;
use crate::fleet::{Everybody, Others, ProxyStatus, Rejected};
use crate::repository::Repository;
use crate::store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct FleetService<S> {
    repository: Repository<S>,
    fleet: Arc<Others<S>>,
    store_kind: &'static str,
    started_at: Wall,
}

impl<S: Store> FleetService<S> {
    pub(crate) const fn new(
        repository: Repository<S>,
        fleet: Arc<Others<S>>,
        store_kind: &'static str,
        started_at: Wall,
    ) -> Self {
        Self {
            repository,
            fleet,
            store_kind,
            started_at,
        }
    }
}

#[tonic::async_trait]
impl<S: Store> v1::fleet_server::Fleet for FleetService<S> {
    async fn list_proxies(
        &self,
        _request: Request<v1::ListProxiesRequest>,
    ) -> Result<Response<v1::ListProxiesResponse>, Status> {
        let current = self.repository.current();
        let Everybody {
            proxies,
            is_partial,
        } = self.fleet.everybody().await;
        let known = proxies.len();
        let proxies = within(proxies.into_iter());
        let left_out = known.saturating_sub(proxies.len());
        Ok(Response::new(v1::ListProxiesResponse {
            current_revision: current.map_or(0, |it| it.info().revision.number()),
            proxies_left_out: count(left_out),
            proxies,
            partial: is_partial,
        }))
    }

    async fn status(
        &self,
        _request: Request<v1::StatusRequest>,
    ) -> Result<Response<v1::StatusResponse>, Status> {
        let current = self.repository.current();
        let info = current.as_ref().map(|current| current.info());
        let revision = info.map_or(Revision::NONE, |info| info.revision);
        let Everybody {
            proxies,
            is_partial,
        } = self.fleet.everybody().await;
        let connected = proxies.iter().filter(|it| it.connected);
        let up_to_date = connected
            .clone()
            .filter(|it| it.applied_revision == revision.number());
        let store = self.fleet.health().unwrap_or_default();
        Ok(Response::new(v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.store_kind.to_owned(),
            started_at_unix_ms: self.started_at.as_millis(),
            current: info.map(v1::RevisionInfo::from),
            proxies_connected: count(connected.count()),
            proxies_current: count(up_to_date.count()),
            partial: is_partial,
            store_trouble: store.trouble,
            store_write_ms: u32::try_from(store.write_time.as_millis()).unwrap_or(u32::MAX),
            // A store that cannot be read is told of by everything else.
            restoring: self.repository.is_restoring().await.unwrap_or(false),
        }))
    }
}

impl From<&ProxyStatus> for v1::ProxyInfo {
    fn from(status: &ProxyStatus) -> Self {
        let ProxyStatus {
            id,
            incarnation,
            version,
            address,
            connected,
            applied,
            applied_at,
            connected_at,
            last_seen,
            load,
            rejection,
        } = status;
        Self {
            id: id.as_str().to_owned(),
            incarnation: *incarnation,
            version: version.clone(),
            address: address.clone(),
            connected: *connected,
            applied_revision: applied.number(),
            applied_at_unix_ms: applied_at.map_or(0, Wall::as_millis),
            connected_at_unix_ms: connected_at.as_millis(),
            last_seen_unix_ms: last_seen.as_millis(),
            load: Some((*load).into()),
            rejection: rejection.as_ref().map(v1::Rejection::from),
        }
    }
}

impl From<&Rejected> for v1::Rejection {
    fn from(rejected: &Rejected) -> Self {
        let Rejected {
            revision,
            at,
            reasons,
        } = rejected;
        Self {
            revision: revision.number(),
            at_unix_ms: at.as_millis(),
            errors: reasons.iter().map(v1::ResourceError::from).collect(),
        }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
