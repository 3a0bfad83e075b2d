//! An execution: one webhook that was accepted, or one alert, from its receipt to its end.

use std::fmt;
use std::time::Duration;

use crate::id::{ModelName, ProxyId, WebhookName};
use crate::time::Wall;
use crate::units::NanoUsd;

/// Names an execution. Ids sort by the time of their making.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutionId(u128);

/// The same for deliveries that repeat each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey([u8; 32]);

/// How far an execution has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It waits for a proxy, for the first time or again.
    Pending,
    /// A proxy renders its prompt and asks the model.
    Running,
    /// It has its result, which is being delivered or will be again.
    CallingBack,
    /// The model answered, and the answer was delivered.
    Succeeded,
    /// There is no answer; that was delivered.
    Failed,
    /// What came of it could not be delivered.
    Dead,
}

/// Where an execution comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A proxy received it.
    Received(ProxyId),
    /// An operator had this one run once more.
    Replay(ExecutionId),
    /// A budget crossed a threshold.
    Alert,
}

/// One start of one proxy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worker {
    /// The proxy.
    pub proxy: ProxyId,
    /// Which start of it.
    pub incarnation: u64,
}

/// Who works on the step that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Never used twice.
    pub number: u64,
    /// Who has it.
    pub worker: Worker,
}

/// One try to make or to deliver a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// When it was over.
    pub at: Wall,
    /// Of a callback; else of the model call.
    pub is_callback: bool,
    /// Who tried.
    pub proxy: ProxyId,
    /// What came of it, in a few words.
    pub outcome: String,
    /// How long it took.
    pub latency: Duration,
}

/// A result without what can be long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The model that answered.
    pub model: Option<ModelName>,
    /// How long rendering and model call took.
    pub latency: Duration,
    /// What it cost; absent: nobody knows.
    pub cost: Option<NanoUsd>,
    /// Why there is no answer.
    pub error: Option<String>,
}

/// An execution as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// Its definition.
    pub webhook: WebhookName,
    /// When it was accepted.
    pub received: Wall,
    /// Where it comes from.
    pub origin: Origin,
    /// SHA-256 of what was received.
    pub payload_hash: [u8; 32],
    /// Length of what was received.
    pub payload_bytes: u64,
    /// How far it has come.
    pub state: State,
    /// When its next step is due, if one is to come and nobody works on it.
    pub due: Option<Wall>,
    /// Who works on it.
    pub claim: Option<Claim>,
    /// Model calls begun.
    pub runs: u32,
    /// Callbacks begun.
    pub callbacks: u32,
    /// The last tries.
    pub tries: Vec<Try>,
    /// Its result in short, once there is one.
    pub summary: Option<Summary>,
    /// When it came to its end.
    pub finished: Option<Wall>,
}

impl ExecutionId {
    /// The id of something that was accepted at `at`.
    pub fn new(at: Wall, random: u128) -> Self {
        let millis = u128::try_from(at.as_millis()).unwrap_or_default();
        Self((millis << RANDOM_BITS) | (random & RANDOM))
    }

    /// The id with these bits.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its bits, which sort as it does.
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// Bits that differ between any two ids.
    pub fn low_bits(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or_default()
    }

    /// Reads an id as it is shown.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        if digits.len() != DIGITS {
            return None;
        }
        let mut value = 0_u128;
        for digit in digits.bytes() {
            let index = ALPHABET.iter().position(|it| *it == digit)?;
            value = value.checked_mul(32)?;
            value = value.checked_add(u128::try_from(index).ok()?)?;
        }
        Some(Self(value))
    }
}

const PREFIX: &str = "exec_";
const DIGITS: usize = 26;
const RANDOM_BITS: u32 = 80;
const RANDOM: u128 = (1 << RANDOM_BITS) - 1;
/// Crockford's, which has no letter that looks like a digit.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for place in (0..DIGITS).rev() {
            let shift = u32::try_from(place).unwrap_or_default().saturating_mul(5);
            let digit = usize::try_from((self.0 >> shift) & 31).unwrap_or_default();
            let digit = ALPHABET.get(digit).copied().unwrap_or_default();
            write!(f, "{}", char::from(digit))?;
        }
        Ok(())
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl DeliveryKey {
    /// The key with these bytes: a SHA-256.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl State {
    /// All of them, in their order.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Running,
        Self::CallingBack,
        Self::Succeeded,
        Self::Failed,
        Self::Dead,
    ];

    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Dead)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::CallingBack => "calling_back",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Dead => "dead",
        }
    }
}

impl Execution {
    /// Whether the model call has its result.
    pub const fn has_result(&self) -> bool {
        self.summary.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_shown_and_sorts_by_time() {
        let early = ExecutionId::new(Wall::from_millis(1_700_000_000_000), u128::MAX);
        let late = ExecutionId::new(Wall::from_millis(1_700_000_000_001), 0);
        assert!(early < late && early.to_string() < late.to_string());
        for id in [early, late, ExecutionId(0), ExecutionId(u128::MAX)] {
            assert_eq!(ExecutionId::parse(&id.to_string()), Some(id));
            assert_eq!(id.to_string().len(), 31);
        }
    }

    #[test]
    fn what_is_no_id_is_not_taken_for_one() {
        let id = ExecutionId(u128::MAX).to_string();
        let too_large = id.replacen("exec_7", "exec_8", 1);
        assert_ne!(too_large, id);
        for text in [
            "",
            "exec_",
            "exec_1",
            &id[1..],
            &id.to_uppercase(),
            &too_large,
        ] {
            assert_eq!(ExecutionId::parse(text), None, "{text}");
        }
    }
}
