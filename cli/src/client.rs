//! Calls to the control plane.
//!
//! Rules of this module: every call has a bound in time, and every error says which control plane
//! did not do what, and belongs to one exit code.

use std::error::Error as _;
use std::time::Duration;

use agix_core::limits::{
    CONTROL_OPEN_TIME, CONTROL_REDIRECT_PAUSE, CONTROL_REDIRECTS, GRPC_MESSAGE_BYTES,
    SNAPSHOT_PART_BYTES,
};
use agix_proto::bearer::{Channel, Cleartext};
use agix_proto::convert::InvalidMessage;
use agix_proto::tls::{Credentials, explain};
use agix_proto::v1::audit_admin_client::AuditAdminClient;
use agix_proto::v1::fleet_client::FleetClient;
use agix_proto::v1::ledger_admin_client::LedgerAdminClient;
use agix_proto::v1::policy_admin_client::PolicyAdminClient;
use agix_proto::v1::state_admin_client::StateAdminClient;
use agix_proto::v1::targets_client::TargetsClient;
use agix_proto::v1::webhook_admin_client::WebhookAdminClient;
use agix_proto::v1::{Document, SourceFile, StatusRequest};
use tonic::transport::{Endpoint, Error as TransportError};
use tonic::{Code, Status};

use crate::exit::Exit;
use crate::output::span;

/// Longest wait for a connection; the request timeout bounds it too.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How an address is written.
const ADDRESS: &str = "write it as http://HOST:PORT or https://HOST:PORT";

/// A control plane, and through it those that own what it does not.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    channel: Channel,
    credentials: Credentials,
    endpoint: String,
    timeout: Duration,
}

/// Why the control plane did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The address is not one.
    #[error("`{endpoint}` is not the address of a control plane: {reason}")]
    Address {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The token would be sent where others can read it.
    #[error(transparent)]
    Cleartext(#[from] Cleartext),
    /// Nobody answers there.
    #[error("the control plane at {endpoint} cannot be reached")]
    Unreachable {
        /// Its address.
        endpoint: String,
        /// Why.
        source: NoConnection,
    },
    /// The control plane there and this program do not believe each other.
    #[error("no encrypted connection to the control plane at {endpoint}: {advice}")]
    Unencrypted {
        /// Its address.
        endpoint: String,
        /// What is wrong, and what helps.
        advice: &'static str,
    },
    /// The connection broke, or the control plane cannot work now.
    #[error("the control plane at {endpoint} is not available: {}", shown(.status))]
    Unavailable {
        /// Its address.
        endpoint: String,
        /// Its answer.
        status: Box<Status>,
    },
    /// It took too long.
    #[error("the control plane at {endpoint} did not answer within {}", span(*.timeout))]
    Timeout {
        /// Its address.
        endpoint: String,
        /// The time it was given.
        timeout: Duration,
    },
    /// It will not do it.
    #[error("the control plane refused: {}", shown(.status))]
    Refused {
        /// Its answer.
        status: Box<Status>,
    },
    /// It could not do it.
    #[error("the control plane failed: {}", shown(.status))]
    Failed {
        /// Its answer.
        status: Box<Status>,
    },
    /// What was asked for does not exist.
    #[error("{}", shown(.status))]
    NotFound {
        /// Its answer.
        status: Box<Status>,
    },
    /// The answer lacks a part that every control plane of this protocol sends.
    #[error("the answer of the control plane makes no sense: {missing} is missing")]
    Incomplete {
        /// The part.
        missing: &'static str,
    },
    /// The answer has a part that this program does not understand.
    #[error("the answer of the control plane makes no sense")]
    Nonsense(#[source] InvalidMessage),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoConnection(String);

impl NoConnection {
    /// The innermost cause; those around it only say that there is one.
    fn new(error: &TransportError) -> Self {
        let outermost: &dyn std::error::Error = error;
        let causes = std::iter::successors(Some(outermost), |error| (*error).source());
        Self(causes.last().map(ToString::to_string).unwrap_or_default())
    }
}

impl CallError {
    /// The exit code it leads to.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Address { .. } | Self::Cleartext(_) => Exit::Usage,
            Self::Unreachable { .. }
            | Self::Unencrypted { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { .. } => Exit::Unreachable,
            Self::Refused { .. } => Exit::Refused,
            Self::Failed { .. }
            | Self::NotFound { .. }
            | Self::Incomplete { .. }
            | Self::Nonsense(_) => Exit::Failed,
        }
    }

    /// What to do about it, where that is known.
    pub(crate) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Refused { status } if status.code() == Code::Unauthenticated => Some(
                "give a token with --token-file FILE or AGIX_TOKEN; who runs the control plane \
                 makes one with `agixctl token create`",
            ),
            Self::Refused { status } if status.code() == Code::PermissionDenied => Some(
                "use a token of that role; who runs the control plane makes one with `agixctl \
                 token create`",
            ),
            Self::Unreachable { .. } => Some(
                "start one with `agixctl dev` or `agix-control-plane`, \
                 or name another with --endpoint or AGIX_ENDPOINT",
            ),
            // With TLS 1.3 a client hears too late that its certificate is not accepted.
            Self::Unavailable { endpoint, status }
                if endpoint.starts_with("https://") && status.source().is_some() =>
            {
                Some(
                    "its log says why; perhaps it does not accept the certificate of --client-cert, \
                     which has to be signed by the authority of its --tls-client-ca and be valid now",
                )
            }
            Self::Timeout { .. } => Some("give it longer with --request-timeout"),
            Self::Incomplete { .. } | Self::Nonsense(_) => {
                Some("this agixctl and the control plane may be of different versions")
            }
            Self::Address { .. }
            | Self::Cleartext(_)
            | Self::Unencrypted { .. }
            | Self::Unavailable { .. }
            | Self::Refused { .. }
            | Self::Failed { .. }
            | Self::NotFound { .. } => None,
        }
    }
}

impl Client {
    /// Connects to the first of the control planes at `endpoints`, separated by commas, that answers;
    /// each call then has `timeout`.
    pub(crate) async fn connect(
        endpoints: &str,
        timeout: Duration,
        credentials: &Credentials,
    ) -> Result<Self, CallError> {
        let mut unreachable = None;
        let count = endpoints.split(',').count();
        for endpoint in endpoints.split(',') {
            let client = match Self::connect_to(endpoint, timeout, credentials).await {
                Ok(client) => client,
                Err(error @ (CallError::Unreachable { .. } | CallError::Unencrypted { .. })) => {
                    unreachable.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            if count == 1 || client.answers().await {
                return Ok(client);
            }
            let source = NoConnection("it does not answer".to_owned());
            let endpoint = client.endpoint;
            unreachable.get_or_insert(CallError::Unreachable { endpoint, source });
        }
        Err(unreachable.unwrap_or_else(|| CallError::Address {
            endpoint: endpoints.to_owned(),
            reason: ADDRESS,
        }))
    }

    /// Whether the control plane says anything: one that hangs still lets others connect.
    async fn answers(&self) -> bool {
        let mut fleet = self.fleet();
        let asked = fleet.status(StatusRequest {});
        let limit = CONTROL_OPEN_TIME.min(self.timeout);
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(_)) => true,
            // A refusal is an answer; a status with a cause says that the connection broke.
            Ok(Err(status)) => status.source().is_none(),
            Err(_late) => false,
        }
    }

    async fn connect_to(
        endpoint: &str,
        timeout: Duration,
        credentials: &Credentials,
    ) -> Result<Self, CallError> {
        let address = address(endpoint)?;
        let there =
            Endpoint::from_shared(address.clone()).map_err(|_invalid| CallError::Address {
                endpoint: endpoint.to_owned(),
                reason: ADDRESS,
            })?;
        credentials.bearer.may_go_to(there.uri())?;
        let named = there.uri().clone();
        let unreachable = |source: TransportError| match explain(&source) {
            Some(advice) => CallError::Unencrypted {
                endpoint: address.clone(),
                advice,
            },
            None => CallError::Unreachable {
                endpoint: address.clone(),
                source: NoConnection::new(&source),
            },
        };
        let there = there
            .connect_timeout(CONNECT_TIME.min(timeout))
            .tcp_nodelay(true);
        let there = credentials.tls.on(there, &named).map_err(unreachable)?;
        let channel = there.connect().await.map_err(unreachable)?;
        Ok(Self {
            channel: credentials.bearer.on(channel),
            credentials: credentials.clone(),
            endpoint: address,
            timeout,
        })
    }

    /// The address it was reached at.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The service for policies.
    pub(crate) fn policy(&self) -> PolicyAdminClient<Channel> {
        PolicyAdminClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    /// The service for administrative acts.
    pub(crate) fn audit(&self) -> AuditAdminClient<Channel> {
        AuditAdminClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    /// The service for the control plane and its proxies.
    pub(crate) fn fleet(&self) -> FleetClient<Channel> {
        FleetClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    /// The service for the targets of chains.
    pub(crate) fn targets(&self) -> TargetsClient<Channel> {
        TargetsClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    /// Asks the control plane that owns the ledger about limits, budgets and usage.
    pub(crate) async fn ledger<T>(
        &self,
        ask: impl AsyncFn(LedgerAdminClient<Channel>) -> Result<T, Status>,
    ) -> Result<T, CallError> {
        let service =
            |channel| LedgerAdminClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
        self.ask_owner(async |channel| ask(service(channel)).await)
            .await
    }

    /// Asks the control plane that owns the queue of webhooks.
    pub(crate) async fn webhooks<T>(
        &self,
        ask: impl AsyncFn(WebhookAdminClient<Channel>) -> Result<T, Status>,
    ) -> Result<T, CallError> {
        let service = |channel| {
            WebhookAdminClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES)
        };
        self.ask_owner(async |channel| ask(service(channel)).await)
            .await
    }

    /// Asks this control plane, or the one it names as the owner of what is asked about. Whoever
    /// names another has done nothing, so asking again is safe. An owner that is not there is about
    /// to be followed by another.
    async fn ask_owner<T>(
        &self,
        ask: impl AsyncFn(Channel) -> Result<T, Status>,
    ) -> Result<T, CallError> {
        let asked = tokio::time::timeout(self.timeout, async {
            let mut at = self.clone();
            let mut hops = 0;
            loop {
                let status = match ask(at.channel.clone()).await {
                    Ok(answer) => return Ok(answer),
                    Err(status) => status,
                };
                let named = status.metadata().get(agix_proto::OWNER);
                let named = named.and_then(|it| it.to_str().ok());
                let Some(owner) = named.filter(|_| hops < CONTROL_REDIRECTS) else {
                    return Err(at.explain(status));
                };
                hops += 1;
                // Whoever names another cannot send us where nothing is encrypted.
                let owner = encrypted_as(&at.endpoint, owner)?;
                at = match Self::connect_to(owner, self.timeout, &self.credentials).await {
                    Ok(owner) => owner,
                    Err(CallError::Unreachable { .. }) if hops < CONTROL_REDIRECTS => {
                        tokio::time::sleep(CONTROL_REDIRECT_PAUSE).await;
                        self.clone()
                    }
                    Err(error) => return Err(error),
                };
            }
        });
        asked.await.unwrap_or_else(|_late| Err(self.timed_out()))
    }

    /// The service for the whole state.
    pub(crate) fn state(&self) -> StateAdminClient<Channel> {
        StateAdminClient::new(self.channel.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    /// The same control plane, with another time for each call.
    pub(crate) fn patient(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Carries out one call, or one call and the reading of its stream, within the time it has.
    pub(crate) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(self.explain(status)),
            Err(_elapsed) => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> CallError {
        CallError::Timeout {
            endpoint: self.endpoint.clone(),
            timeout: self.timeout,
        }
    }

    fn explain(&self, status: Status) -> CallError {
        let endpoint = self.endpoint.clone();
        // A status that has a cause was made on this side: the connection broke.
        let broken = status.source().is_some();
        if let Some(advice) = explain(&status) {
            return CallError::Unencrypted { endpoint, advice };
        }
        let status = Box::new(status);
        match status.code() {
            _ if broken => CallError::Unavailable { endpoint, status },
            Code::Unavailable => CallError::Unavailable { endpoint, status },
            Code::DeadlineExceeded => CallError::Timeout {
                endpoint,
                timeout: self.timeout,
            },
            Code::NotFound => CallError::NotFound { status },
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::ResourceExhausted
            | Code::AlreadyExists => CallError::Refused { status },
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::Aborted
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => CallError::Failed { status },
        }
    }
}

/// The parts in which the files of a document travel: each file cut so that it fits a message.
pub(crate) fn file_parts(document: Document) -> impl Iterator<Item = SourceFile> {
    document.files.into_iter().flat_map(|file| {
        let mut rest = file.text;
        let mut first = true;
        std::iter::from_fn(move || {
            if rest.is_empty() && !first {
                return None;
            }
            first = false;
            let cut = rest.floor_char_boundary(SNAPSHOT_PART_BYTES);
            let tail = rest.split_off(cut);
            Some(SourceFile {
                name: file.name.clone(),
                text: std::mem::replace(&mut rest, tail),
            })
        })
    })
}

/// The address with its scheme.
fn address(endpoint: &str) -> Result<String, CallError> {
    let wrong = |reason| CallError::Address {
        endpoint: endpoint.to_owned(),
        reason,
    };
    let trimmed = endpoint.trim().trim_end_matches('/');
    match trimmed.split_once("://") {
        _ if trimmed.is_empty() => Err(wrong("it is empty")),
        None => Ok(format!("http://{trimmed}")),
        Some(("http" | "https", _)) => Ok(trimmed.to_owned()),
        Some(_) => Err(wrong(ADDRESS)),
    }
}

/// `owner`, if it is asked in the protocol in which `asked` was.
fn encrypted_as<'a>(asked: &str, owner: &'a str) -> Result<&'a str, CallError> {
    let scheme = |address: &str| address.split_once("://").map(|it| it.0.to_owned());
    if scheme(asked) == scheme(owner) {
        return Ok(owner);
    }
    Err(CallError::Address {
        endpoint: owner.to_owned(),
        reason: "the control plane that names it speaks another protocol; its --advertise is wrong",
    })
}

fn shown(status: &Status) -> String {
    match status.message() {
        "" => format!("it said `{}` and nothing else", status.code()),
        message => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_out_its_scheme() {
        assert_eq!(address("127.0.0.1:7070").unwrap(), "http://127.0.0.1:7070");
        assert_eq!(address(" http://a:1/ ").unwrap(), "http://a:1");
        assert_eq!(address("https://a:1").unwrap(), "https://a:1");
        for wrong in ["", "ftp://a"] {
            assert_eq!(address(wrong).unwrap_err().exit(), Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn files_of_any_size_arrive_whole_in_messages_that_fit() {
        let texts = [
            String::new(),
            "small".to_owned(),
            "é".repeat(SNAPSHOT_PART_BYTES),
        ];
        let file = |text: &String| SourceFile {
            name: text.len().to_string(),
            text: text.clone(),
        };
        let document = Document {
            files: texts.iter().map(file).collect(),
        };
        let parts: Vec<_> = file_parts(document).collect();
        assert!(parts.iter().all(|p| p.text.len() <= SNAPSHOT_PART_BYTES));
        for text in &texts {
            let name = text.len().to_string();
            let mine: Vec<_> = parts.iter().filter(|part| part.name == name).collect();
            assert!(!mine.is_empty(), "an empty file is sent too");
            let joined: String = mine.iter().map(|part| part.text.as_str()).collect();
            assert_eq!(&joined, text);
        }
    }
}
