//! What can happen, and to whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use agix_core::ledger::Batch;
use agix_core::quota::{FromLedger, ToLedger};

use super::faults::Fault;
use super::streams::Stream;
use crate::job::Job;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// A request of an agent arrives somewhere.
    Arrive { agent: usize },
    /// The single caller of an agent asks.
    Lone { agent: usize, chain: u64 },
    /// A request arrives at a proxy.
    Request {
        proxy: usize,
        agent: usize,
        job: Box<Job>,
    },
    /// A request goes on.
    Step {
        proxy: usize,
        incarnation: u64,
        request: u64,
        step: u32,
    },
    /// A request's caller leaves.
    Leave {
        proxy: usize,
        incarnation: u64,
        request: u64,
    },
    /// A proxy has something to do.
    Wake {
        proxy: usize,
        incarnation: u64,
        wakes: u64,
    },
    /// A proxy's process starts.
    Start { proxy: usize },
    /// A proxy learns of new limits.
    Rules { proxy: usize, version: usize },
    /// A proxy's wish for a stream arrives.
    Dial { stream: u64 },
    /// It is answered.
    Dialled { stream: u64, open: bool },
    /// A message of a proxy arrives.
    Up { stream: u64, message: Box<ToLedger> },
    /// A message of the ledger arrives.
    Down {
        stream: u64,
        message: Box<FromLedger>,
    },
    /// The owner learns that a stream is over.
    Gone { stream: u64 },
    /// The proxy learns that a stream is over.
    Lost { stream: u64 },
    /// A control plane becomes the owner.
    Elect { plane: usize },
    /// It has read the books.
    Load {
        plane: usize,
        incarnation: u64,
        term: u64,
    },
    /// An owner has something to do.
    Round { plane: usize, term: u64, wakes: u64 },
    /// A batch arrives at the store.
    Append {
        plane: usize,
        term: u64,
        batch: Arc<Batch>,
        /// Whether its sender waits for the answer.
        asked: bool,
    },
    /// The store's answer arrives at an owner.
    Answer {
        plane: usize,
        term: u64,
        number: u64,
        outcome: Outcome,
    },
    /// An owner learns that it is none.
    Notice { plane: usize, term: u64 },
    /// A control plane's process starts.
    StartPlane { plane: usize },
    /// By now everyone is served again.
    Serving { term: u64 },
    /// Something goes wrong.
    Fault(Fault),
    /// Nothing goes wrong any more, and no more requests come.
    Heal,
    /// All requests end.
    Hush,
}

/// What an owner learns of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is in the log.
    Committed,
    /// It is not and never will be.
    Refused,
    /// It is not.
    Failed,
    /// Nobody knows.
    Unknown,
}

impl Event {
    /// The proxy that it happens to.
    pub(super) fn proxy(&self, streams: &BTreeMap<u64, Stream>) -> Option<usize> {
        match self {
            Self::Request { proxy, .. }
            | Self::Step { proxy, .. }
            | Self::Leave { proxy, .. }
            | Self::Wake { proxy, .. }
            | Self::Rules { proxy, .. } => Some(*proxy),
            Self::Dialled { stream, .. } | Self::Down { stream, .. } | Self::Lost { stream } => {
                streams.get(stream).map(|it| it.proxy)
            }
            _ => None,
        }
    }

    /// The control plane that it happens to.
    pub(super) fn plane(&self, streams: &BTreeMap<u64, Stream>) -> Option<usize> {
        match self {
            Self::Round { plane, .. }
            | Self::Load { plane, .. }
            | Self::Answer { plane, .. }
            | Self::Notice { plane, .. } => Some(*plane),
            Self::Dial { stream } | Self::Up { stream, .. } | Self::Gone { stream } => {
                streams.get(stream).map(|it| it.plane)
            }
            _ => None,
        }
    }

    /// Tells one kind of event from another, for the fingerprint of a run.
    pub(super) fn mark(&self) -> u64 {
        let (kind, detail) = match self {
            Self::Arrive { agent } => (1, index(*agent)),
            Self::Lone { agent, chain } => (2, index(*agent) ^ (chain << 8)),
            Self::Request { proxy, .. } => (3, index(*proxy)),
            Self::Step { request, step, .. } => (4, request ^ (u64::from(*step) << 40)),
            Self::Leave { request, .. } => (5, *request),
            Self::Wake { proxy, wakes, .. } => (6, index(*proxy) ^ (wakes << 8)),
            Self::Start { proxy } => (7, index(*proxy)),
            Self::Rules { proxy, version } => (8, index(*proxy) ^ (index(*version) << 8)),
            Self::Dial { stream } => (9, *stream),
            Self::Dialled { stream, open } => (10, stream ^ (u64::from(*open) << 60)),
            Self::Up { stream, .. } => (11, *stream),
            Self::Down { stream, .. } => (12, *stream),
            Self::Gone { stream } => (13, *stream),
            Self::Lost { stream } => (14, *stream),
            Self::Elect { plane } => (15, index(*plane)),
            Self::Load { term, .. } => (16, *term),
            Self::Round { term, wakes, .. } => (17, term ^ (wakes << 8)),
            Self::Append { batch, .. } => (18, batch.number),
            Self::Answer { number, .. } => (19, *number),
            Self::Notice { term, .. } => (20, *term),
            Self::StartPlane { plane } => (21, index(*plane)),
            Self::Serving { term } => (22, *term),
            Self::Fault(_) => (23, 0),
            Self::Heal => (24, 0),
            Self::Hush => (25, 0),
        };
        (kind << 56) ^ detail
    }
}

fn index(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
