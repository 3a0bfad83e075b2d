//! What is said about policies: problems, reasons, changes.

use agix_core::limits::NACK_TEXT_BYTES;
use agix_core::policy::{Change, Problem, ResourceKey};
use agix_core::sync::NackReason;

use super::error::{At, InvalidMessage};
use super::field::bounded;
use crate::v1;

impl From<&Problem> for v1::ResourceError {
    fn from(problem: &Problem) -> Self {
        let Problem {
            resource,
            field,
            code,
            message,
            help,
        } = problem;
        Self {
            key: Some(v1::ResourceKey::from(resource)),
            field: field.clone(),
            code: (*code).to_owned(),
            message: message.clone(),
            help: help.clone(),
        }
    }
}

impl From<&NackReason> for v1::ResourceError {
    fn from(reason: &NackReason) -> Self {
        let NackReason {
            resource,
            field,
            code,
            message,
            help,
        } = reason;
        Self {
            key: resource.as_ref().map(v1::ResourceKey::from),
            field: field.clone(),
            code: code.clone(),
            message: message.clone(),
            help: help.clone(),
        }
    }
}

impl TryFrom<v1::ResourceError> for NackReason {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ResourceError) -> Result<Self, InvalidMessage> {
        let v1::ResourceError {
            key,
            field,
            code,
            message,
            help,
        } = wire;
        Ok(Self {
            resource: key.map(ResourceKey::try_from).transpose().at("key")?,
            field: bounded(field, NACK_TEXT_BYTES, "field")?,
            code: bounded(code, NACK_TEXT_BYTES, "code")?,
            message: bounded(message, NACK_TEXT_BYTES, "message")?,
            help: help
                .map(|text| bounded(text, NACK_TEXT_BYTES, "help"))
                .transpose()?,
        })
    }
}

impl From<&Change> for v1::Change {
    fn from(change: &Change) -> Self {
        let Change { path, old, new } = change;
        Self {
            path: path.clone(),
            old: old.clone(),
            new: new.clone(),
        }
    }
}

impl From<v1::Change> for Change {
    fn from(wire: v1::Change) -> Self {
        let v1::Change { path, old, new } = wire;
        Self { path, old, new }
    }
}
