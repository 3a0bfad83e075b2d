//! The proxy's side of the quota protocol.
