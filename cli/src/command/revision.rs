//! A revision as the commands show it.

use agix_proto::v1::RevisionInfo;
use serde::Serialize;

use crate::output::rfc3339;

/// A revision, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct RevisionView {
    pub(crate) revision: u64,
    pub(crate) author: String,
    pub(crate) message: String,
    pub(crate) time: Option<String>,
    /// SHA-256 of the policy's canonical form.
    pub(crate) hash: String,
    pub(crate) rolled_back_to: Option<u64>,
    pub(crate) resources_changed: u32,
    pub(crate) resources_removed: u32,
    pub(crate) resources_total: u32,
    #[serde(skip)]
    pub(crate) time_unix_ms: i64,
}

impl From<RevisionInfo> for RevisionView {
    fn from(info: RevisionInfo) -> Self {
        Self {
            revision: info.revision,
            author: info.author,
            message: info.message,
            time: rfc3339(info.time_unix_ms),
            hash: hexadecimal(&info.hash),
            rolled_back_to: info.rolled_back_to,
            resources_changed: info.resources_changed,
            resources_removed: info.resources_removed,
            resources_total: info.resources_total,
            time_unix_ms: info.time_unix_ms,
        }
    }
}

impl RevisionView {
    /// The message, or what stands for it: `content of revision 3`.
    pub(crate) fn note(&self) -> String {
        match (self.message.as_str(), self.rolled_back_to) {
            ("", Some(old)) => format!("(content of revision {old})"),
            (message, Some(old)) => format!("{message} (content of revision {old})"),
            (message, None) => message.to_owned(),
        }
    }

    /// The first digits of the hash, enough to compare by eye.
    pub(crate) fn short_hash(&self) -> &str {
        self.hash.get(..12).unwrap_or(&self.hash)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
