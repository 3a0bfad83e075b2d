//! What the ledger decides.
