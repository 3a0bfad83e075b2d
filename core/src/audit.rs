//! Administrative acts: who changed what and when, chained so that none can be changed or taken out
//! without notice.
//!
//! Each record holds the digest of the one before it and a digest over that and all it says. The
//! oldest records go when there are too many; the head keeps the digest they led up to, so that what
//! is left can still be verified. Whoever can write the store could make a whole new chain, so keep
//! the last digest elsewhere now and then.

use sha2::{Digest as _, Sha256};

use crate::id::Revision;
use crate::time::Wall;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A document was made the policy.
    Apply,
    /// An earlier revision was made the policy again.
    Rollback,
    /// What an agent has spent was to be corrected.
    AdjustBudget,
    /// An execution of a webhook was to be delivered or run again.
    ReplayWebhook,
    /// A token came into the file of tokens.
    CreateToken,
    /// A token went out of it.
    RevokeToken,
    /// The whole state was to be taken out.
    Backup,
    /// The state of another store was put in.
    Restore,
}

/// An act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Drawn at random: tells whether a record is of this act.
    pub id: u64,
    /// When.
    pub time: Wall,
    /// Who.
    pub author: String,
    /// What was done.
    pub kind: Kind,
    /// To what: an agent, an execution, whoever has a token; empty for the policy and the state.
    pub subject: String,
    /// The revision of the policy before.
    pub old: Revision,
    /// The revision after; the same if the act makes none.
    pub new: Revision,
    /// What its author says of it, or what was asked.
    pub message: String,
}

/// The SHA-256 that a record ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest(pub [u8; 32]);

/// An act in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Counted from one.
    pub number: u64,
    /// The act.
    pub act: Act,
    /// The digest of the record before.
    pub previous: Digest,
    /// The digest of this one.
    pub digest: Digest,
}

/// Both ends of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The oldest record that is kept.
    pub first: u64,
    /// The digest of the one before it.
    pub anchor: Digest,
    /// The newest record; zero if there is none.
    pub last: u64,
    /// Its digest.
    pub digest: Digest,
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A record is not there.
    #[error("record {0} is missing")]
    Missing(u64),
    /// A record does not say what it said when it was written.
    #[error("record {0} was changed")]
    Changed(u64),
    /// A record was not written behind the one before it.
    #[error("record {0} does not follow from the one before it")]
    Unchained(u64),
    /// The newest record is not the one that the head names.
    #[error("the newest record is not the one that was written last")]
    Head,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 8] = [
        Self::Apply,
        Self::Rollback,
        Self::AdjustBudget,
        Self::ReplayWebhook,
        Self::CreateToken,
        Self::RevokeToken,
        Self::Backup,
        Self::Restore,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "policy.apply",
            Self::Rollback => "policy.rollback",
            Self::AdjustBudget => "budget.adjust",
            Self::ReplayWebhook => "webhook.replay",
            Self::CreateToken => "token.create",
            Self::RevokeToken => "token.revoke",
            Self::Backup => "state.backup",
            Self::Restore => "state.restore",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Default for Head {
    fn default() -> Self {
        Self {
            first: 1,
            anchor: Digest::default(),
            last: 0,
            digest: Digest::default(),
        }
    }
}

impl Head {
    /// The record of an act behind this head, and the head behind that.
    #[must_use]
    pub fn followed_by(&self, act: Act) -> (Record, Self) {
        let number = self.last.saturating_add(1);
        let digest = digest(number, self.digest, &act);
        let record = Record {
            number,
            act,
            previous: self.digest,
            digest,
        };
        let head = Self {
            last: number,
            digest,
            ..*self
        };
        (record, head)
    }

    /// The head after its oldest record was let go.
    #[must_use]
    pub const fn without(&self, oldest: &Record) -> Self {
        Self {
            first: oldest.number.saturating_add(1),
            anchor: oldest.digest,
            ..*self
        }
    }

    /// How many records there are.
    pub const fn len(&self) -> u64 {
        self.last.saturating_add(1).saturating_sub(self.first)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `records`, oldest first, are all that belong between the ends.
    pub fn verify<'a>(&self, records: impl IntoIterator<Item = &'a Record>) -> Result<(), Broken> {
        let (mut expected, mut before) = (self.first, self.anchor);
        for record in records {
            if record.number != expected {
                return Err(Broken::Missing(expected));
            }
            if digest(record.number, record.previous, &record.act) != record.digest {
                return Err(Broken::Changed(record.number));
            }
            if record.previous != before {
                return Err(Broken::Unchained(record.number));
            }
            before = record.digest;
            expected = expected.saturating_add(1);
        }
        if expected <= self.last {
            return Err(Broken::Missing(expected));
        }
        if before == self.digest && expected == self.last.saturating_add(1) {
            Ok(())
        } else {
            Err(Broken::Head)
        }
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Over the digest before and everything that is said, each text with its length before it.
fn digest(number: u64, previous: Digest, act: &Act) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"agix administrative act 1\n");
    hash.update(previous.0);
    let time = act.time.as_millis();
    for part in [number, act.id, act.old.number(), act.new.number()] {
        hash.update(part.to_be_bytes());
    }
    hash.update(time.to_be_bytes());
    for text in [
        act.author.as_str(),
        act.kind.as_str(),
        act.subject.as_str(),
        act.message.as_str(),
    ] {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        hash.update(length.to_be_bytes());
        hash.update(text);
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(id: u64) -> Act {
        Act {
            id,
            time: Wall::from_millis(1_000),
            author: "ann".to_owned(),
            kind: Kind::Apply,
            subject: String::new(),
            old: Revision::new(id),
            new: Revision::new(id + 1),
            message: "why".to_owned(),
        }
    }

    fn chain(length: u64) -> (Head, Vec<Record>) {
        let mut head = Head::default();
        let mut records = Vec::new();
        for id in 0..length {
            let (record, next) = head.followed_by(act(id));
            records.push(record);
            head = next;
        }
        (head, records)
    }

    #[test]
    fn a_chain_as_it_was_written_is_whole_also_without_its_oldest() {
        assert_eq!(Head::default().verify([]), Ok(()));
        let (head, records) = chain(4);
        assert_eq!(head.verify(&records), Ok(()));
        let (oldest, rest) = records.split_first().unwrap();
        let head = head.without(oldest);
        assert_eq!((head.len(), head.verify(rest)), (3, Ok(())));
    }

    #[test]
    fn what_was_changed_taken_out_or_put_in_is_noticed() {
        let (head, records) = chain(4);
        for place in 0..records.len() {
            let number = records[place].number;
            let mut changed = records.clone();
            changed[place].act.author = "bob".to_owned();
            assert_eq!(head.verify(&changed), Err(Broken::Changed(number)));
            // With a digest that fits what it says now.
            changed[place].digest = digest(number, changed[place].previous, &changed[place].act);
            let broken = head.verify(&changed).unwrap_err();
            let is_last = place + 1 == records.len();
            let expected = if is_last {
                Broken::Head
            } else {
                Broken::Unchained(number + 1)
            };
            assert_eq!(broken, expected);
            let mut without = records.clone();
            without.remove(place);
            assert_eq!(head.verify(&without), Err(Broken::Missing(number)));
        }
        let mut longer = records.clone();
        longer.push(head.followed_by(act(9)).0);
        assert_eq!(head.verify(&longer), Err(Broken::Head));
    }

    #[test]
    fn texts_are_told_apart_wherever_they_are_split() {
        let one = Act {
            author: "ab".to_owned(),
            subject: "c".to_owned(),
            ..act(1)
        };
        let other = Act {
            author: "a".to_owned(),
            subject: "bc".to_owned(),
            ..act(1)
        };
        let digest_of = |act| digest(1, Digest::default(), act);
        assert_ne!(digest_of(&one), digest_of(&other));
    }
}
