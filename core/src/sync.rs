//! The policy stream between control plane and proxy.
