//! The control plane's services, as a page calls them: in the process, with the visitor's token.

use agix_core::limits::GRPC_MESSAGE_BYTES;
use agix_proto::v1::fleet_client::FleetClient;
use agix_proto::v1::ledger_admin_client::LedgerAdminClient;
use agix_proto::v1::policy_admin_client::PolicyAdminClient;
use agix_proto::v1::targets_client::TargetsClient;
use agix_proto::v1::traffic_client::TrafficClient;
use agix_proto::v1::webhook_admin_client::WebhookAdminClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::service::{Interceptor, Routes};
use tonic::{Request, Status};

/// The services.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    routes: Routes,
}

/// The services for one visitor.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    service: InterceptedService<Routes, Token>,
}

/// What a visitor signed in with; nothing where nothing is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Token(Option<MetadataValue<Ascii>>);

impl Token {
    /// A token as it was typed; `None` if it cannot be one.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut value: MetadataValue<Ascii> = format!("Bearer {text}").parse().ok()?;
        value.set_sensitive(true);
        Some(Self(Some(value)))
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl Api {
    pub(super) const fn new(routes: Routes) -> Self {
        Self { routes }
    }

    /// The services for whoever has `token`.
    pub(super) fn with(&self, token: Token) -> Calls {
        Calls {
            service: InterceptedService::new(self.routes.clone(), token),
        }
    }
}

type Service = InterceptedService<Routes, Token>;

impl Calls {
    pub(super) fn policy(&self) -> PolicyAdminClient<Service> {
        PolicyAdminClient::new(self.service.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    pub(super) fn fleet(&self) -> FleetClient<Service> {
        FleetClient::new(self.service.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    pub(super) fn ledger(&self) -> LedgerAdminClient<Service> {
        LedgerAdminClient::new(self.service.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    pub(super) fn targets(&self) -> TargetsClient<Service> {
        TargetsClient::new(self.service.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    pub(super) fn traffic(&self) -> TrafficClient<Service> {
        TrafficClient::new(self.service.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }

    pub(super) fn webhooks(&self) -> WebhookAdminClient<Service> {
        WebhookAdminClient::new(self.service.clone()).max_decoding_message_size(GRPC_MESSAGE_BYTES)
    }
}
