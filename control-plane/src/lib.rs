//! The control plane of agix: keeps policy and its history, and streams policy to the proxies.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`app`] | the parts put together, started and stopped |
//! | [`config`] | what a control plane is started with |
//! | [`access`] | who may call what |
//! | [`clock`] | the only reader of clocks |
//! | [`store`] | a revisioned key-value store: its contract and its backends |
//! | [`repository`] | the revisions of the policy, in a store |
//! | [`ledger`] | the log of rights and money, in a store |
//! | [`seal`] | the keys that keep secrets in the store secret |
//! | [`fleet`] | the proxies, from what their streams say |
//! | `console` | the web console: pages made from what the services answer |
//! | `grpc` | the services: administration, policy streams, the fleet |
//!
//! Rules of this crate:
//! - The gRPC services parse, call and encode; rules are in `agix_core`.
//! - An answer that something was stored is given after it was made durable.
//! - Nothing here prints, logs or returns a secret of a policy.

pub mod access;
pub mod acts;
pub mod admin;
mod app;
pub mod clock;
pub mod config;
pub mod fleet;
pub mod ledger;
pub mod repository;
pub mod seal;
pub mod store;

mod backup;
mod console;
mod grpc;
mod housekeeping;
mod http;
mod incoming;
mod owned;
mod spans;
mod targets;
mod traffic;
mod webhooks;
mod zones;

pub use app::{Running, StartError, start};
pub use config::{Advertised, Config, InvalidAdvertised, InvalidStoreSpec, SealSource, StoreSpec};
pub use seal::SealKeys;
pub use store::{EtcdAccess, EtcdAddress, InvalidEtcdAddress};
