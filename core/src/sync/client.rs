//! The proxy's end of the policy stream, over all its connections.
//!
//! The session connects, says what it has, collects an update until it is whole, has it installed,
//! and answers. It takes no update older than what it has, nor another policy under the same
//! number. While an update is being installed no new connection begins, so that a hello always
//! tells the truth. After a delta that did not fit, the next hello claims nothing and so asks for a
//! snapshot.

mod incoming;

use crate::backoff::full_jitter;
use crate::limits::{HEARTBEAT_INTERVAL, RECONNECT_FIRST, RECONNECT_LONGEST, SYNC_SILENCE};
use crate::sync::{Content, NackReason, Offer, Received, Rejected, ServerMessage, Version};
use crate::time::Mono;
use incoming::{Incoming, Verdict};

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientInput {
    /// The stream asked for is open.
    Connected,
    /// The stream, open or asked for, is gone.
    Disconnected {
        /// A random number, evenly spread over its whole range: spreads the next try.
        random: u64,
    },
    /// The control plane said something.
    Message(ServerMessage),
    /// The update handed over is in force.
    Installed,
    /// The update handed over was rejected; what was in force still is.
    Rejected(Rejected),
}

/// What a session wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEffect {
    /// Open a stream and say hello.
    Connect {
        /// Counts the tries, to take the control planes in turn.
        attempt: u64,
        /// What the hello claims to have.
        applied: Option<Version>,
    },
    /// End the stream, then say [`ClientInput::Disconnected`].
    Disconnect(Fault),
    /// Put this update in force, whole or not at all, and say how it went.
    Install(Received),
    /// Tell the control plane that an update is in force.
    Ack(Offer),
    /// Tell the control plane why an update is not put in force.
    Nack {
        /// The update.
        offer: Offer,
        /// Why.
        reasons: Vec<NackReason>,
    },
    /// Give a sign of life.
    Heartbeat,
    /// The control plane's newest revision is older than the one in force here.
    Behind {
        /// For people.
        reason: NackReason,
    },
}

/// Why a proxy ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The stream did not open within [`SYNC_SILENCE`].
    #[error("no stream after {} s", SYNC_SILENCE.as_secs())]
    ConnectTimeout,
    /// Nothing was heard for [`SYNC_SILENCE`].
    #[error("the control plane has been silent for {} s", SYNC_SILENCE.as_secs())]
    Silent,
    /// An update began before the last one was answered.
    #[error("the control plane sent an update before the last one was answered")]
    Overlap,
    /// The parts of a snapshot do not belong together.
    #[error("the parts of a snapshot do not belong together")]
    MixedParts,
    /// An update is larger than a policy may be.
    #[error("the control plane sent an update larger than a policy may be")]
    TooLarge,
    /// A delta did not lead from the policy in force to the version promised.
    #[error("a delta did not fit the policy in force; asking for a snapshot")]
    Mismatch,
}

/// The proxy's end of the policy stream.
#[derive(Debug)]
pub struct ClientSession {
    applied: Option<Version>,
    link: Link,
    /// The update handed over to be installed.
    installing: Option<Handed>,
    /// Whether the next hello claims nothing.
    from_nothing: bool,
    attempt: u64,
    failures: u32,
}

#[derive(Debug)]
enum Link {
    Waiting {
        until: Mono,
    },
    Connecting {
        since: Mono,
    },
    Open(Stream),
    /// The driver was told to end the stream and has not yet said that it is gone.
    Closing {
        opened: Option<Mono>,
    },
}

#[derive(Debug)]
struct Stream {
    opened: Mono,
    heard: Mono,
    heartbeat_due: Mono,
    incoming: Option<Incoming>,
    /// Whether the control plane was reported to be behind.
    behind: bool,
}

#[derive(Debug, Clone, Copy)]
struct Handed {
    offer: Offer,
    /// Whether it came as a delta.
    delta: bool,
    /// Whether its stream is still there.
    answerable: bool,
}

impl ClientSession {
    /// A session that has `applied` in force, loaded from disk, or nothing. It connects at once.
    pub const fn new(applied: Option<Version>, now: Mono) -> Self {
        Self {
            applied,
            link: Link::Waiting { until: now },
            installing: None,
            from_nothing: false,
            attempt: 0,
            failures: 0,
        }
    }

    /// The version in force.
    pub const fn applied(&self) -> Option<Version> {
        self.applied
    }

    /// Takes what happened and says what to do.
    pub fn handle(&mut self, input: ClientInput, now: Mono) -> Vec<ClientEffect> {
        let mut effects = Vec::new();
        match input {
            ClientInput::Connected => {
                if matches!(self.link, Link::Connecting { .. }) {
                    self.link = Link::Open(Stream::new(now));
                }
            }
            ClientInput::Disconnected { random } => self.disconnected(random, now),
            ClientInput::Message(message) => {
                let Link::Open(stream) = &mut self.link else {
                    return effects;
                };
                stream.heard = now;
                if let Err(fault) = self.message(message, &mut effects) {
                    self.disconnect(fault, &mut effects);
                }
            }
            ClientInput::Installed => self.installed(&mut effects),
            ClientInput::Rejected(rejected) => self.rejected(rejected, &mut effects),
        }
        effects
    }

    /// When [`ClientSession::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        match &self.link {
            Link::Waiting { .. } if self.installing.is_some() => None,
            Link::Waiting { until } => Some(*until),
            Link::Connecting { since } => Some(since.after(SYNC_SILENCE)),
            Link::Open(stream) => Some(stream.heartbeat_due.min(stream.heard.after(SYNC_SILENCE))),
            Link::Closing { .. } => None,
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Mono) -> Vec<ClientEffect> {
        let mut effects = Vec::new();
        match &mut self.link {
            Link::Waiting { until } if now >= *until && self.installing.is_none() => {
                self.link = Link::Connecting { since: now };
                let applied = self.applied.filter(|_| !self.from_nothing);
                effects.push(ClientEffect::Connect {
                    attempt: self.attempt,
                    applied,
                });
                self.attempt = self.attempt.saturating_add(1);
            }
            Link::Connecting { since } if now >= since.after(SYNC_SILENCE) => {
                self.disconnect(Fault::ConnectTimeout, &mut effects);
            }
            Link::Open(stream) if now >= stream.heard.after(SYNC_SILENCE) => {
                self.disconnect(Fault::Silent, &mut effects);
            }
            Link::Open(stream) if now >= stream.heartbeat_due => {
                stream.heartbeat_due = now.after(HEARTBEAT_INTERVAL);
                effects.push(ClientEffect::Heartbeat);
            }
            Link::Waiting { .. }
            | Link::Connecting { .. }
            | Link::Open(_)
            | Link::Closing { .. } => {}
        }
        effects
    }

    fn message(
        &mut self,
        message: ServerMessage,
        effects: &mut Vec<ClientEffect>,
    ) -> Result<(), Fault> {
        let Link::Open(stream) = &mut self.link else {
            return Ok(());
        };
        match message {
            ServerMessage::Heartbeat { current } => {
                if let Some(applied) = self.applied
                    && current < applied.revision
                    && !std::mem::replace(&mut stream.behind, true)
                {
                    let reason = NackReason::older(current, applied.revision);
                    effects.push(ClientEffect::Behind { reason });
                }
            }
            ServerMessage::Snapshot {
                offer,
                content,
                last,
            } => {
                if self.installing.is_some() {
                    return Err(Fault::Overlap);
                }
                let verdict = Verdict::on(offer.version, self.applied);
                let incoming = stream
                    .incoming
                    .take()
                    .unwrap_or_else(|| Incoming::new(offer, verdict))
                    .join(offer, content)?;
                if last {
                    self.take(incoming, false, effects);
                } else {
                    stream.incoming = Some(incoming);
                }
            }
            ServerMessage::Delta {
                offer,
                base,
                content,
            } => {
                if self.installing.is_some() || stream.incoming.is_some() {
                    return Err(Fault::Overlap);
                }
                let verdict = Verdict::on(offer.version, self.applied);
                let in_force = self.applied.map(|it| it.revision);
                if verdict == Verdict::Newer && in_force != Some(base) {
                    self.from_nothing = true;
                    return Err(Fault::Mismatch);
                }
                let incoming = Incoming::new(offer, verdict).join(offer, content)?;
                self.take(incoming, true, effects);
            }
        }
        Ok(())
    }

    /// A whole update has arrived.
    fn take(&mut self, incoming: Incoming, delta: bool, effects: &mut Vec<ClientEffect>) {
        let (offer, verdict, bytes) = incoming.into_parts();
        let version = offer.version;
        match verdict {
            Verdict::Newer => {
                self.installing = Some(Handed {
                    offer,
                    delta,
                    answerable: true,
                });
                let content = if delta {
                    Content::Delta(bytes)
                } else {
                    Content::Snapshot(bytes)
                };
                effects.push(ClientEffect::Install(Received { version, content }));
            }
            Verdict::InForce => {
                self.from_nothing = false;
                effects.push(ClientEffect::Ack(offer));
            }
            Verdict::Older { applied } => {
                self.from_nothing = false;
                let reasons = vec![NackReason::older(version.revision, applied)];
                effects.push(ClientEffect::Nack { offer, reasons });
            }
        }
    }

    fn installed(&mut self, effects: &mut Vec<ClientEffect>) {
        let Some(Handed {
            offer,
            delta: _,
            answerable,
        }) = self.installing.take()
        else {
            return;
        };
        self.applied = Some(offer.version);
        self.from_nothing = false;
        if answerable {
            effects.push(ClientEffect::Ack(offer));
        }
    }

    fn rejected(&mut self, rejected: Rejected, effects: &mut Vec<ClientEffect>) {
        let Some(Handed {
            offer,
            delta,
            answerable,
        }) = self.installing.take()
        else {
            return;
        };
        let reasons = match rejected {
            Rejected::Mismatch if delta => {
                self.from_nothing = true;
                if answerable {
                    self.disconnect(Fault::Mismatch, effects);
                }
                return;
            }
            Rejected::Mismatch => vec![NackReason::not_understood()],
            Rejected::Refused(reasons) => NackReason::bounded(reasons),
        };
        self.from_nothing = false;
        if answerable {
            effects.push(ClientEffect::Nack { offer, reasons });
        }
    }

    fn disconnected(&mut self, random: u64, now: Mono) {
        let opened = match &self.link {
            Link::Waiting { .. } => return,
            Link::Connecting { .. } => None,
            Link::Open(stream) => Some(stream.opened),
            Link::Closing { opened } => *opened,
        };
        self.unanswerable();
        // A stream that lasted shows a control plane in health; one that did not may be the next of
        // many.
        if opened.is_some_and(|opened| now.since(opened) >= SYNC_SILENCE) {
            self.failures = 0;
        }
        let pause = full_jitter(RECONNECT_FIRST, RECONNECT_LONGEST, self.failures, random);
        self.failures = self.failures.saturating_add(1);
        self.link = Link::Waiting {
            until: now.after(pause),
        };
    }

    fn disconnect(&mut self, fault: Fault, effects: &mut Vec<ClientEffect>) {
        self.unanswerable();
        let opened = match &self.link {
            Link::Open(stream) => Some(stream.opened),
            Link::Waiting { .. } | Link::Connecting { .. } | Link::Closing { .. } => None,
        };
        self.link = Link::Closing { opened };
        effects.push(ClientEffect::Disconnect(fault));
    }

    /// What is being installed can no longer be answered: its stream is gone.
    fn unanswerable(&mut self) {
        if let Some(handed) = &mut self.installing {
            handed.answerable = false;
        }
    }
}

impl Stream {
    fn new(now: Mono) -> Self {
        Self {
            opened: now,
            heard: now,
            heartbeat_due: now.after(HEARTBEAT_INTERVAL),
            incoming: None,
            behind: false,
        }
    }
}

#[cfg(test)]
mod tests;
