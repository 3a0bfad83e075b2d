//! The control plane's end of one policy stream.
//!
//! The session knows what its proxy has and what is current, and decides what to send. At most one
//! update is under way; when it is answered the newest revision follows, those in between are left
//! out. A revision the proxy refused is not offered again on this stream. A proxy that is ahead of
//! this control plane is offered nothing until the current revision has passed its own.

use crate::id::Revision;
use crate::limits::{HEARTBEAT_INTERVAL, SYNC_ANSWER_TIME, SYNC_SILENCE};
use crate::sync::{NackReason, Nonce, Offer, Version};
use crate::time::Mono;

/// What the control plane's history says about the version a proxy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// It holds the revision, with that hash.
    Held,
    /// It holds the revision with another hash, or no longer, or never did.
    NotHeld,
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerInput {
    /// The proxy said hello: what it has, and whether that is part of this history.
    Hello {
        /// What the proxy has.
        applied: Option<Version>,
        /// Whether a delta can start from it.
        recall: Recall,
    },
    /// This version is now current.
    Current(Version),
    /// The proxy has put an update in force.
    Ack {
        /// The update.
        nonce: Nonce,
        /// Its revision.
        revision: Revision,
    },
    /// The proxy refused an update.
    Nack {
        /// The update.
        nonce: Nonce,
        /// Its revision.
        revision: Revision,
        /// Why.
        reasons: Vec<NackReason>,
    },
    /// The proxy gave a sign of life.
    Heartbeat,
}

/// What a session wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEffect {
    /// Send an update.
    Send {
        /// Names it in the answer.
        offer: Offer,
        /// In which form.
        update: Update,
    },
    /// Send a sign of life that names the current revision.
    Heartbeat {
        /// [`Revision::NONE`] if there is none yet.
        current: Revision,
    },
    /// The proxy has this version in force.
    Applied(Version),
    /// The proxy refused this version and keeps what it has.
    Refused {
        /// What it refused.
        version: Version,
        /// Why.
        reasons: Vec<NackReason>,
    },
    /// The proxy has a version that this history does not reach: the store was replaced or
    /// restored from a backup. The next revision must be numbered above it, or the proxy will never
    /// take one again.
    Ahead {
        /// What the proxy has.
        applied: Version,
        /// For people.
        reason: NackReason,
    },
    /// End the stream. The session is over.
    Close(CloseReason),
}

/// The form of an update. A driver that cannot make a delta sends the snapshot of the revision
/// instead: the proxy takes either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// The whole policy.
    Snapshot {
        /// Its revision.
        revision: Revision,
    },
    /// What turns one revision into another.
    Delta {
        /// The revision the proxy has.
        base: Revision,
        /// The revision that results.
        revision: Revision,
    },
}

/// Why the control plane ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// Nothing was heard for [`SYNC_SILENCE`].
    #[error("the proxy has been silent for {} s", SYNC_SILENCE.as_secs())]
    Silent,
    /// An update was not answered for [`SYNC_ANSWER_TIME`].
    #[error("the proxy has not answered an update for {} s", SYNC_ANSWER_TIME.as_secs())]
    Unanswered,
    /// The first message was not a hello.
    #[error("the first message of a stream must be a hello")]
    NoHello,
    /// A hello came twice.
    #[error("a stream has one hello only")]
    SecondHello,
    /// An answer named an update that is not under way.
    #[error("the answer names no update that is under way")]
    StrayAnswer,
}

/// The control plane's end of one policy stream.
#[derive(Debug)]
pub struct ServerSession {
    stage: Stage,
    current: Option<Version>,
    last_nonce: Nonce,
    heard: Mono,
    heartbeat_due: Mono,
}

#[derive(Debug)]
enum Stage {
    Greeting,
    Serving(Peer),
    Closed,
}

/// What is known of the proxy.
#[derive(Debug)]
struct Peer {
    has: Option<Version>,
    /// Whether a delta can start from what it has.
    recall: Recall,
    under_way: Option<UnderWay>,
    refused: Option<Revision>,
    /// Whether it was reported to be ahead.
    ahead: bool,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    offer: Offer,
    since: Mono,
}

impl ServerSession {
    /// The session of a stream that opened now, with the current version if there is one.
    pub fn new(current: Option<Version>, now: Mono) -> Self {
        Self {
            stage: Stage::Greeting,
            current,
            last_nonce: Nonce::new(0),
            heard: now,
            heartbeat_due: now.after(HEARTBEAT_INTERVAL),
        }
    }

    /// Takes what happened and says what to do.
    pub fn handle(&mut self, input: ServerInput, now: Mono) -> Vec<ServerEffect> {
        let mut effects = Vec::new();
        if matches!(self.stage, Stage::Closed) {
            return effects;
        }
        if !matches!(input, ServerInput::Current(_)) {
            self.heard = now;
        }
        match self.take(input, &mut effects) {
            Ok(()) => self.offer(now, &mut effects),
            Err(reason) => self.close(reason, &mut effects),
        }
        effects
    }

    /// When [`ServerSession::handle_timeout`] is due; never once the session is over.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let silent = self.heard.after(SYNC_SILENCE);
        match &self.stage {
            Stage::Closed => None,
            Stage::Greeting => Some(silent),
            Stage::Serving(peer) => {
                let unanswered = peer.under_way.map(|it| it.since.after(SYNC_ANSWER_TIME));
                let first = silent.min(self.heartbeat_due);
                Some(unanswered.map_or(first, |at| at.min(first)))
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) -> Vec<ServerEffect> {
        let mut effects = Vec::new();
        let under_way = match &self.stage {
            Stage::Closed => return effects,
            Stage::Greeting => None,
            Stage::Serving(peer) => peer.under_way,
        };
        if now >= self.heard.after(SYNC_SILENCE) {
            self.close(CloseReason::Silent, &mut effects);
        } else if under_way.is_some_and(|it| now >= it.since.after(SYNC_ANSWER_TIME)) {
            self.close(CloseReason::Unanswered, &mut effects);
        } else if now >= self.heartbeat_due && matches!(self.stage, Stage::Serving(_)) {
            self.heartbeat(now, &mut effects);
        }
        effects
    }

    fn take(
        &mut self,
        input: ServerInput,
        effects: &mut Vec<ServerEffect>,
    ) -> Result<(), CloseReason> {
        match input {
            ServerInput::Current(version) => {
                if self.current.is_none_or(|it| version.revision > it.revision) {
                    self.current = Some(version);
                }
            }
            ServerInput::Hello { applied, recall } => {
                if !matches!(self.stage, Stage::Greeting) {
                    return Err(CloseReason::SecondHello);
                }
                if let (Some(version), Recall::Held) = (applied, recall) {
                    effects.push(ServerEffect::Applied(version));
                }
                self.stage = Stage::Serving(Peer::new(applied, recall));
                // At once: the proxy learns whether it is up to date.
                self.heartbeat(self.heard, effects);
            }
            ServerInput::Ack { nonce, revision } => {
                let peer = self.peer()?;
                let version = peer.answered(nonce, revision)?;
                peer.has = Some(version);
                peer.recall = Recall::Held;
                effects.push(ServerEffect::Applied(version));
            }
            ServerInput::Nack {
                nonce,
                revision,
                reasons,
            } => {
                let peer = self.peer()?;
                let version = peer.answered(nonce, revision)?;
                peer.refused = Some(revision);
                effects.push(ServerEffect::Refused { version, reasons });
            }
            ServerInput::Heartbeat => drop(self.peer()?),
        }
        Ok(())
    }

    /// Sends the current version if the proxy should get it now.
    fn offer(&mut self, now: Mono, effects: &mut Vec<ServerEffect>) {
        let Stage::Serving(peer) = &mut self.stage else {
            return;
        };
        let revision = self.current.map_or(Revision::NONE, |it| it.revision);
        if let Some(applied) = peer.has
            && self.current != Some(applied)
            && applied.revision >= revision
        {
            if !std::mem::replace(&mut peer.ahead, true) {
                let reason = NackReason::older(revision, applied.revision);
                effects.push(ServerEffect::Ahead { applied, reason });
            }
            return;
        }
        let Some(version) = self.current else {
            return;
        };
        if peer.under_way.is_some() || peer.refused == Some(revision) {
            return;
        }
        let update = match peer.has {
            Some(has) if has == version => return,
            Some(Version { revision: base, .. }) if peer.recall == Recall::Held => {
                Update::Delta { base, revision }
            }
            Some(_) | None => Update::Snapshot { revision },
        };
        self.last_nonce = self.last_nonce.next();
        let offer = Offer {
            nonce: self.last_nonce,
            version,
        };
        peer.under_way = Some(UnderWay { offer, since: now });
        effects.push(ServerEffect::Send { offer, update });
    }

    fn heartbeat(&mut self, now: Mono, effects: &mut Vec<ServerEffect>) {
        self.heartbeat_due = now.after(HEARTBEAT_INTERVAL);
        let current = self.current.map_or(Revision::NONE, |it| it.revision);
        effects.push(ServerEffect::Heartbeat { current });
    }

    fn peer(&mut self) -> Result<&mut Peer, CloseReason> {
        match &mut self.stage {
            Stage::Serving(peer) => Ok(peer),
            Stage::Greeting | Stage::Closed => Err(CloseReason::NoHello),
        }
    }

    fn close(&mut self, reason: CloseReason, effects: &mut Vec<ServerEffect>) {
        self.stage = Stage::Closed;
        effects.push(ServerEffect::Close(reason));
    }
}

impl Peer {
    const fn new(has: Option<Version>, recall: Recall) -> Self {
        Self {
            has,
            recall,
            under_way: None,
            refused: None,
            ahead: false,
        }
    }

    /// Ends the update under way and gives its version.
    fn answered(&mut self, nonce: Nonce, revision: Revision) -> Result<Version, CloseReason> {
        match self.under_way {
            Some(UnderWay { offer, .. })
                if offer.nonce == nonce && offer.version.revision == revision =>
            {
                self.under_way = None;
                Ok(offer.version)
            }
            Some(_) | None => Err(CloseReason::StrayAnswer),
        }
    }
}

#[cfg(test)]
mod tests;
