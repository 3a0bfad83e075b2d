//! One row of the journal: as wide as every other, so that it is written in its place.
//!
//! | bytes | |
//! | --- | --- |
//! | 8 | check sum of the rest |
//! | 8, 4, 8, 8 | session, day, spent, set aside; the least byte first |
//! | 1 | length of the agent's name |
//! | 64 | the name |
//! | 27 | nothing |

use agix_core::id::AgentName;
use agix_core::lease::Noted;
use agix_core::quota::{Day, SessionId};
use agix_core::units::NanoUsd;
use sha2::{Digest as _, Sha256};

/// Bytes of a row. A divisor of every size of a page of memory, so that no row lies on two.
pub(super) const ROW_BYTES: usize = 128;
/// What stands before the first row.
pub(super) const HEADER: [u8; ROW_BYTES] = {
    let mut header = [0; ROW_BYTES];
    let name = b"agix journal 1\n";
    let mut place = 0;
    while place < name.len() {
        header[place] = name[place];
        place += 1;
    }
    header
};

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::quota) struct Row {
    pub(in crate::quota) agent: AgentName,
    pub(in crate::quota) session: SessionId,
    pub(in crate::quota) day: Day,
    pub(in crate::quota) money: Noted,
}

impl Row {
    pub(super) fn encode(&self) -> [u8; ROW_BYTES] {
        let Self {
            agent,
            session,
            day,
            money: Noted { spent, reserved },
        } = self;
        let name = agent.as_str().as_bytes();
        let length = u8::try_from(name.len()).unwrap_or(0);
        let parts: [&[u8]; 6] = [
            &session.number().to_le_bytes(),
            &day.number().to_le_bytes(),
            &spent.as_nanos().to_le_bytes(),
            &reserved.as_nanos().to_le_bytes(),
            &[length],
            name,
        ];
        let mut row = [0; ROW_BYTES];
        if let Some((sum, rest)) = row.split_first_chunk_mut::<8>() {
            for (place, byte) in rest.iter_mut().zip(parts.into_iter().flatten()) {
                *place = *byte;
            }
            *sum = check_sum(rest);
        }
        row
    }

    /// A row that was written whole.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (sum, rest) = bytes.split_first_chunk::<8>()?;
        if bytes.len() != ROW_BYTES || *sum != check_sum(rest) {
            return None;
        }
        let (session, rest) = rest.split_first_chunk()?;
        let (day, rest) = rest.split_first_chunk()?;
        let (spent, rest) = rest.split_first_chunk()?;
        let (reserved, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first()?;
        let name = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
        Some(Self {
            agent: AgentName::new(name).ok()?,
            session: SessionId::new(u64::from_le_bytes(*session)),
            day: Day::from_number(u32::from_le_bytes(*day)).ok()?,
            money: Noted {
                spent: NanoUsd::from_nanos(u64::from_le_bytes(*spent)),
                reserved: NanoUsd::from_nanos(u64::from_le_bytes(*reserved)),
            },
        })
    }
}

fn check_sum(bytes: &[u8]) -> [u8; 8] {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    digest.first_chunk().copied().unwrap_or_default()
}
