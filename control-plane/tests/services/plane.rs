//! A control plane on a free port, and what an operator asks of it.

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;

use agix_control_plane::{Config, Running, SealSource, StoreSpec, start};
use agix_proto::v1;
use agix_proto::v1::apply_response::{Applied, Conflict, Outcome};
use agix_proto::v1::fleet_client::FleetClient;
use agix_proto::v1::policy_admin_client::PolicyAdminClient;
use agix_proto::v1::{apply_request, diff_request};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

/// A control plane within the test's own process.
pub(crate) struct Plane {
    running: Running,
    shutdown: CancellationToken,
    operator: Operator,
}

/// Somebody who calls a control plane.
pub(crate) struct Operator {
    pub(crate) channel: Channel,
}

/// What `Get` answers, put together.
#[derive(Debug, Default)]
pub(crate) struct Got {
    pub(crate) info: v1::RevisionInfo,
    pub(crate) text: String,
    pub(crate) resources: Vec<v1::Resource>,
}

impl Plane {
    pub(crate) async fn in_memory() -> Self {
        Self::start(StoreSpec::Memory).await
    }

    pub(crate) async fn on_disk(directory: &Path) -> Self {
        Self::start(StoreSpec::Embedded(directory.to_owned())).await
    }

    async fn start(store: StoreSpec) -> Self {
        let shutdown = CancellationToken::new();
        let config = Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            http: None,
            admin: None,
            store,
            seal: SealSource::Own,
            tokens: None,
            advertise: None,
            tls: None,
        };
        let running = start(config, shutdown.clone()).await.unwrap();
        Self {
            operator: Operator::at(running.address).await,
            running,
            shutdown,
        }
    }

    /// Tells the control plane to stop, without waiting for it.
    pub(crate) fn tell_to_stop(&self) {
        self.shutdown.cancel();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        self.shutdown.cancel();
        let Self {
            running, operator, ..
        } = self;
        drop(operator);
        running.stopped().await;
    }
}

impl Deref for Plane {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}

impl Operator {
    /// Connects to a control plane.
    pub(crate) async fn at(address: SocketAddr) -> Self {
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        Self {
            channel: channel.connect().await.unwrap(),
        }
    }

    pub(crate) fn admin(&self) -> PolicyAdminClient<Channel> {
        PolicyAdminClient::new(self.channel.clone())
    }

    /// Applies a document of one file.
    pub(crate) async fn try_apply(
        &self,
        start: v1::ApplyStart,
        text: &str,
    ) -> Result<Outcome, Status> {
        let mut parts = vec![apply_request::Part::Start(start)];
        parts.extend(files(text).map(apply_request::Part::File));
        let messages = parts
            .into_iter()
            .map(|part| v1::ApplyRequest { part: Some(part) });
        let messages = tokio_stream::iter(messages.collect::<Vec<_>>());
        let mut admin = self.admin();
        let answer = admin.apply(messages);
        Ok(answer.await?.into_inner().outcome.unwrap())
    }

    pub(crate) async fn apply(&self, text: &str) -> Applied {
        applied(self.try_apply(by("ann"), text).await.unwrap())
    }

    pub(crate) async fn get(&self, revision: Option<u64>) -> Result<Got, Status> {
        let answer = self.admin().get(v1::GetRequest { revision }).await?;
        let mut stream = answer.into_inner();
        let mut got = Got::default();
        while let Some(message) = stream.message().await? {
            match message.part.unwrap() {
                v1::get_response::Part::Info(info) => got.info = info,
                v1::get_response::Part::File(file) => got.text.push_str(&file.text),
                v1::get_response::Part::Resource(resource) => got.resources.push(resource),
            }
        }
        Ok(got)
    }

    pub(crate) async fn history(&self, limit: u32, before: Option<u64>) -> (Vec<u64>, bool) {
        let request = v1::HistoryRequest { limit, before };
        let answer = self.admin().history(request).await.unwrap().into_inner();
        let numbers = answer.revisions.iter().map(|info| info.revision);
        (numbers.collect(), answer.more)
    }

    pub(crate) async fn diff(
        &self,
        start: v1::DiffStart,
        text: Option<&str>,
    ) -> Result<v1::DiffResponse, Status> {
        let mut parts = vec![diff_request::Part::Start(start)];
        parts.extend(
            text.into_iter()
                .flat_map(files)
                .map(diff_request::Part::File),
        );
        let messages = parts
            .into_iter()
            .map(|part| v1::DiffRequest { part: Some(part) });
        let messages = tokio_stream::iter(messages.collect::<Vec<_>>());
        let mut admin = self.admin();
        let answer = admin.diff(messages);
        Ok(answer.await?.into_inner())
    }

    pub(crate) async fn proxies(&self) -> Vec<v1::ProxyInfo> {
        let mut fleet = FleetClient::new(self.channel.clone());
        let answer = fleet.list_proxies(v1::ListProxiesRequest {}).await;
        answer.unwrap().into_inner().proxies
    }

    /// The only proxy, once it is as `as_wanted` says.
    pub(crate) async fn proxy(&self, as_wanted: impl Fn(&v1::ProxyInfo) -> bool) -> v1::ProxyInfo {
        loop {
            let proxies = self.proxies().await;
            assert!(proxies.len() <= 1);
            if let Some(found) = proxies.into_iter().find(&as_wanted) {
                return found;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) async fn status(&self) -> v1::StatusResponse {
        let mut fleet = FleetClient::new(self.channel.clone());
        fleet
            .status(v1::StatusRequest {})
            .await
            .unwrap()
            .into_inner()
    }
}

pub(crate) fn by(author: &str) -> v1::ApplyStart {
    v1::ApplyStart {
        author: author.to_owned(),
        message: format!("by {author}"),
        ..v1::ApplyStart::default()
    }
}

pub(crate) fn applied(outcome: Outcome) -> Applied {
    match outcome {
        Outcome::Applied(applied) => applied,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn conflict(outcome: Outcome) -> Conflict {
    match outcome {
        Outcome::Conflict(conflict) => conflict,
        other => panic!("{other:?}"),
    }
}

/// A document in parts that fit a message.
fn files(text: &str) -> impl Iterator<Item = v1::SourceFile> {
    let bytes = text.as_bytes().chunks(1024 * 1024);
    bytes.map(|part| v1::SourceFile {
        name: "policy.yaml".to_owned(),
        text: String::from_utf8(part.to_vec()).unwrap(),
    })
}

/// A document with one limited agent.
pub(crate) fn limit(requests_per_minute: u32) -> String {
    format!("rate_limits:\n  batch: {{ requests_per_minute: {requests_per_minute} }}\n")
}
