//! The services of a control plane, called over the network as agixctl and the proxies do.

mod admin;
mod large;
mod lifecycle;
mod plane;
mod policy_sync;
mod proxy;
