//! The ledger in the control plane: its log and its books in the store.

pub mod codec;
