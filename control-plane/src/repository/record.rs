//! The stored form of a revision's record and of the head. Frozen: what is stored stays readable.
//!
//! A record is one byte that names its form and a protobuf message; fields are only ever added.

use agix_core::audit::{Act, Kind};
use agix_core::id::Revision;
use agix_core::sync::PolicyHash;
use agix_core::time::Wall;
use prost::Message;

use super::blob::Blob;
use super::revision::RevisionInfo;
use crate::store::keyspace::ChunkId;

/// The form of records written by this version.
const FORM: u8 = 1;

/// Everything stored of a revision outside its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) info: RevisionInfo,
    /// The policy's canonical form.
    pub(super) policy: Blob,
    /// The redacted sources.
    pub(super) sources: Blob,
    /// Tells this record from one with equal content made by somebody else.
    pub(super) attempt: Attempt,
}

impl Record {
    /// The act of making it, after `old`.
    pub(super) fn act(&self, old: Revision) -> Act {
        let info = &self.info;
        let low = self.attempt.0 & u128::from(u64::MAX);
        let taken_back = info.rolled_back_to;
        Act {
            id: u64::try_from(low).unwrap_or_default(),
            time: info.time,
            author: info.author.clone(),
            kind: if taken_back.is_some() {
                Kind::Rollback
            } else {
                Kind::Apply
            },
            subject: String::new(),
            old,
            new: info.revision,
            message: info.message.clone(),
        }
    }
}

/// Names one try to make a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attempt(pub(super) u128);

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRecord {
    /// It is of a form this version does not know.
    #[error("the record has the form {0}, which this version of agix does not know")]
    Form(u8),
    /// It is empty.
    #[error("the record is empty")]
    Empty,
    /// It is malformed.
    #[error("the record cannot be decoded")]
    Encoding(#[source] prost::DecodeError),
    /// A field has the wrong length.
    #[error("field `{0}` of the record has the wrong length")]
    Length(&'static str),
}

/// The head: which revision is current.
#[derive(Clone, PartialEq, Message)]
struct StoredHead {
    #[prost(uint64, tag = "1")]
    revision: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredRecord {
    #[prost(uint64, tag = "1")]
    revision: u64,
    #[prost(string, tag = "2")]
    author: String,
    #[prost(string, tag = "3")]
    message: String,
    #[prost(int64, tag = "4")]
    time_unix_ms: i64,
    #[prost(bytes = "vec", tag = "5")]
    hash: Vec<u8>,
    #[prost(uint64, optional, tag = "6")]
    rolled_back_to: Option<u64>,
    #[prost(uint32, tag = "7")]
    changed: u32,
    #[prost(uint32, tag = "8")]
    removed: u32,
    #[prost(uint32, tag = "9")]
    total: u32,
    #[prost(message, optional, tag = "10")]
    policy: Option<StoredBlob>,
    #[prost(message, optional, tag = "11")]
    sources: Option<StoredBlob>,
    #[prost(bytes = "vec", tag = "12")]
    attempt: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredBlob {
    #[prost(uint64, tag = "1")]
    bytes: u64,
    /// SHA-256 of each chunk, one after the other.
    #[prost(bytes = "vec", tag = "2")]
    chunks: Vec<u8>,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let RevisionInfo {
            revision,
            author,
            message,
            time,
            hash,
            rolled_back_to,
            changed,
            removed,
            total,
        } = &self.info;
        with_form(&StoredRecord {
            revision: revision.number(),
            author: author.clone(),
            message: message.clone(),
            time_unix_ms: time.as_millis(),
            hash: hash.as_bytes().to_vec(),
            rolled_back_to: rolled_back_to.map(Revision::number),
            changed: *changed,
            removed: *removed,
            total: *total,
            policy: Some((&self.policy).into()),
            sources: Some((&self.sources).into()),
            attempt: self.attempt.0.to_be_bytes().to_vec(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, InvalidRecord> {
        let StoredRecord {
            revision,
            author,
            message,
            time_unix_ms,
            hash,
            rolled_back_to,
            changed,
            removed,
            total,
            policy,
            sources,
            attempt,
        } = without_form(bytes)?;
        Ok(Self {
            info: RevisionInfo {
                revision: Revision::new(revision),
                author,
                message,
                time: Wall::from_millis(time_unix_ms),
                hash: PolicyHash::from_bytes(exact(&hash, "hash")?),
                rolled_back_to: rolled_back_to.map(Revision::new),
                changed,
                removed,
                total,
            },
            policy: blob(policy)?,
            sources: blob(sources)?,
            attempt: Attempt(u128::from_be_bytes(exact(&attempt, "attempt")?)),
        })
    }
}

/// The stored form of the head.
pub(super) fn encode_head(revision: Revision) -> Vec<u8> {
    with_form(&StoredHead {
        revision: revision.number(),
    })
}

/// The revision the head names.
pub(crate) fn decode_head(bytes: &[u8]) -> Result<Revision, InvalidRecord> {
    let StoredHead { revision } = without_form(bytes)?;
    Ok(Revision::new(revision))
}

fn with_form(message: &impl Message) -> Vec<u8> {
    let mut bytes = vec![FORM];
    bytes.extend(message.encode_to_vec());
    bytes
}

fn without_form<M: Message + Default>(bytes: &[u8]) -> Result<M, InvalidRecord> {
    match bytes.split_first() {
        Some((&FORM, message)) => M::decode(message).map_err(InvalidRecord::Encoding),
        Some((&form, _)) => Err(InvalidRecord::Form(form)),
        None => Err(InvalidRecord::Empty),
    }
}

impl From<&Blob> for StoredBlob {
    fn from(blob: &Blob) -> Self {
        let ids = blob.chunks.iter().flat_map(ChunkId::as_bytes);
        Self {
            bytes: blob.bytes,
            chunks: ids.copied().collect(),
        }
    }
}

fn blob(stored: Option<StoredBlob>) -> Result<Blob, InvalidRecord> {
    let StoredBlob { bytes, chunks } = stored.unwrap_or_default();
    let (ids, rest) = chunks.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(InvalidRecord::Length("chunks"));
    }
    Ok(Blob {
        bytes,
        chunks: ids.iter().copied().map(ChunkId::new).collect(),
    })
}

fn exact<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], InvalidRecord> {
    match bytes.first_chunk() {
        Some(exact) if bytes.len() == N => Ok(*exact),
        _ => Err(InvalidRecord::Length(field)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_blob() -> impl Strategy<Value = Blob> {
        (
            any::<u64>(),
            proptest::collection::vec(any::<[u8; 32]>(), 0..4),
        )
            .prop_map(|(bytes, ids)| Blob {
                bytes,
                chunks: ids.into_iter().map(ChunkId::new).collect(),
            })
    }

    prop_compose! {
        fn any_record()(
            revision in any::<u64>(),
            (author, message) in any::<(String, String)>(),
            time in any::<i64>(),
            hash in any::<[u8; 32]>(),
            rolled_back_to in any::<Option<u64>>(),
            (changed, removed, total) in any::<(u32, u32, u32)>(),
            (policy, sources) in (any_blob(), any_blob()),
            attempt in any::<u128>(),
        ) -> Record {
            Record {
                info: RevisionInfo {
                    revision: Revision::new(revision),
                    author,
                    message,
                    time: Wall::from_millis(time),
                    hash: PolicyHash::from_bytes(hash),
                    rolled_back_to: rolled_back_to.map(Revision::new),
                    changed,
                    removed,
                    total,
                },
                policy,
                sources,
                attempt: Attempt(attempt),
            }
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(record in any_record()) {
            prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }

        #[test]
        fn a_head_is_read_as_it_was_written(number in any::<u64>()) {
            let revision = Revision::new(number);
            prop_assert_eq!(decode_head(&encode_head(revision)).unwrap(), revision);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(Record::decode(&bytes));
            drop(decode_head(&bytes));
        }
    }

    #[test]
    fn the_stored_form_is_frozen() {
        assert_eq!(encode_head(Revision::new(300)), [1, 0x08, 0xac, 0x02]);
        assert!(matches!(
            decode_head(&[2, 8, 1]),
            Err(InvalidRecord::Form(2))
        ));
        assert!(matches!(decode_head(&[]), Err(InvalidRecord::Empty)));
    }
}
