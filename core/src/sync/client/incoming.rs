//! An update that is arriving.

use super::Fault;
use crate::id::Revision;
use crate::limits::POLICY_ENCODED_BYTES;
use crate::sync::{Offer, Version};

/// The parts of an update so far.
#[derive(Debug)]
pub(super) struct Incoming {
    offer: Offer,
    verdict: Verdict,
    bytes: Vec<u8>,
}

/// What becomes of an update, as its version alone decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is installed.
    Newer,
    /// It is what is in force.
    InForce,
    /// It is refused: older, or another policy of the same number.
    Older { applied: Revision },
}

impl Verdict {
    pub(super) fn on(offered: Version, applied: Option<Version>) -> Self {
        match applied {
            Some(applied) if offered == applied => Self::InForce,
            Some(Version { revision, .. }) if offered.revision <= revision => {
                Self::Older { applied: revision }
            }
            Some(_) | None => Self::Newer,
        }
    }
}

impl Incoming {
    pub(super) const fn new(offer: Offer, verdict: Verdict) -> Self {
        Self {
            offer,
            verdict,
            bytes: Vec::new(),
        }
    }

    /// Adds the next part. Of an update that will not be installed only the end matters.
    pub(super) fn join(mut self, offer: Offer, part: Vec<u8>) -> Result<Self, Fault> {
        if offer != self.offer {
            return Err(Fault::MixedParts);
        }
        if self.verdict != Verdict::Newer {
            return Ok(self);
        }
        if self.bytes.len().saturating_add(part.len()) > POLICY_ENCODED_BYTES {
            return Err(Fault::TooLarge);
        }
        if self.bytes.is_empty() {
            self.bytes = part;
        } else {
            self.bytes.extend_from_slice(&part);
        }
        Ok(self)
    }

    pub(super) fn into_parts(self) -> (Offer, Verdict, Vec<u8>) {
        (self.offer, self.verdict, self.bytes)
    }
}
