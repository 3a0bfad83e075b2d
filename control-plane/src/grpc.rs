//! The gRPC services: they parse, call and encode, nothing more.
//!
//! A refused document and a lost race are answers. A status means that the call could not be
//! carried out; its text is shown to people as it is.

mod admin;
mod audit_admin;
mod change;
mod conversation;
mod fleet;
mod ledger_admin;
mod quota;
mod revision;
mod signature;
mod state;
mod status;
mod sync;
mod targets;
mod traffic;
mod upload;
mod webhook_admin;
mod webhooks;

pub(crate) use admin::Admin;
pub(crate) use audit_admin::AuditAdmin;
pub(crate) use fleet::FleetService;
pub(crate) use ledger_admin::LedgerAdmin;
pub(crate) use quota::Quota;
pub(crate) use state::StateAdmin;
pub(crate) use sync::Sync;
pub(crate) use targets::TargetsService;
pub(crate) use traffic::{TrafficReports, TrafficService};
pub(crate) use webhook_admin::WebhookAdmin;
pub(crate) use webhooks::Webhooks;
