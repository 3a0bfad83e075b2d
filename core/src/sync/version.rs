//! What a policy is known by on the stream.

use std::fmt;

use crate::id::Revision;

/// The SHA-256 of a policy's canonical form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyHash([u8; 32]);

/// A revision together with the hash of its policy. The same number with another hash is another
/// history: a control plane whose store was replaced or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    /// The revision; never [`Revision::NONE`].
    pub revision: Revision,
    /// The hash of its policy.
    pub hash: PolicyHash,
}

/// The number of an update on one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(u64);

impl PolicyHash {
    /// Takes the 32 bytes of a hash.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PolicyHash {
    /// 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PolicyHash {
    /// The first 12 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = self.0.iter().take(6);
        first.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Nonce {
    /// The nonce numbered `number`.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number, for the wire.
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
