//! Administrative acts, stored and shown.

use agix_core::audit::{Act, Digest, Head, Kind, Record};
use agix_core::id::Revision;
use agix_core::limits::{ACT_MESSAGE_BYTES, AUTHOR_BYTES};
use agix_core::time::Wall;

use super::error::At as _;
use super::field::{bounded, digest};
use super::{InvalidField, InvalidMessage};
use crate::v1;

impl From<&Record> for v1::Act {
    fn from(record: &Record) -> Self {
        let Record {
            number,
            act,
            previous,
            digest,
        } = record;
        let Act {
            id,
            time,
            author,
            kind,
            subject,
            old,
            new,
            message,
        } = act;
        Self {
            number: *number,
            id: *id,
            time_unix_ms: time.as_millis(),
            author: author.clone(),
            kind: kind.as_str().to_owned(),
            subject: subject.clone(),
            old_revision: old.number(),
            new_revision: new.number(),
            message: message.clone(),
            previous: previous.0.to_vec(),
            digest: digest.0.to_vec(),
        }
    }
}

impl TryFrom<v1::Act> for Record {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Act) -> Result<Self, InvalidMessage> {
        let v1::Act {
            number,
            id,
            time_unix_ms,
            author,
            kind,
            subject,
            old_revision,
            new_revision,
            message,
            previous,
            digest: own,
        } = wire;
        Ok(Self {
            number,
            act: Act {
                id,
                time: Wall::from_millis(time_unix_ms),
                author: bounded(author, AUTHOR_BYTES, "author")?,
                kind: Kind::parse(&kind)
                    .ok_or(InvalidField::Range("a known kind of act"))
                    .at("kind")?,
                subject: bounded(subject, AUTHOR_BYTES, "subject")?,
                old: Revision::new(old_revision),
                new: Revision::new(new_revision),
                message: bounded(message, ACT_MESSAGE_BYTES, "message")?,
            },
            previous: Digest(digest(&previous).at("previous")?),
            digest: Digest(digest(&own).at("digest")?),
        })
    }
}

impl From<&Head> for v1::ActsHead {
    fn from(head: &Head) -> Self {
        let Head {
            first,
            anchor,
            last,
            digest,
        } = head;
        Self {
            first: *first,
            anchor: anchor.0.to_vec(),
            last: *last,
            digest: digest.0.to_vec(),
        }
    }
}

impl TryFrom<v1::ActsHead> for Head {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ActsHead) -> Result<Self, InvalidMessage> {
        let v1::ActsHead {
            first,
            anchor,
            last,
            digest: newest,
        } = wire;
        Ok(Self {
            first,
            anchor: Digest(digest(&anchor).at("anchor")?),
            last,
            digest: Digest(digest(&newest).at("digest")?),
        })
    }
}
