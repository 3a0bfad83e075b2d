//! The services of a control plane, called over the network as agixctl and the proxies do.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test reports what goes wrong by failing"
)]

mod admin;
mod console;
mod large;
mod lifecycle;
mod plane;
mod policy_sync;
mod process;
mod proxy;
mod quota;
