//! One policy stream: carries out what the machine of `agix_core::sync` decides.

use std::sync::Arc;

use agix_core::limits::FAREWELL_TIME;
use agix_core::sync::{
    Offer, ProxyMessage, Recall, ServerEffect, ServerInput, ServerSession, Update, Version,
};
use agix_proto::convert::{delta_message, snapshot_messages};
use agix_proto::v1;
use tokio::sync::{mpsc, watch};
use tonic::{Status, Streaming};
use tracing::debug;

use super::Shared;
use super::outgoing::Outgoing;
use crate::fleet::Seat;
use crate::grpc::status;
use crate::repository::Published;
use crate::store::Store;

/// One stream.
pub(super) struct Session<S> {
    shared: Shared<S>,
    machine: ServerSession,
    updates: watch::Receiver<Option<Arc<Published>>>,
    /// The version the machine takes for current.
    current: Option<Arc<Published>>,
    /// What the proxy has in force.
    has: Option<Version>,
    seat: Option<Seat>,
    outgoing: Outgoing,
    sender: mpsc::Sender<Result<v1::ServerMessage, Status>>,
}

/// Why a stream ends.
enum End {
    /// The proxy is gone or has nothing more to say.
    Gone,
    /// It is ended for this reason.
    Told(Status),
}

impl<S: Store> Session<S> {
    pub(super) fn new(
        shared: Shared<S>,
        sender: mpsc::Sender<Result<v1::ServerMessage, Status>>,
    ) -> Self {
        let mut updates = shared.repository.subscribe();
        let current = updates.borrow_and_update().clone();
        let version = current.as_ref().map(|current| current.info().version());
        Self {
            machine: ServerSession::new(version, shared.clock.mono()),
            shared,
            updates,
            current,
            has: None,
            seat: None,
            outgoing: Outgoing::default(),
            sender,
        }
    }

    /// Serves the stream to its end.
    pub(super) async fn run(mut self, mut messages: Streaming<v1::ProxyMessage>) {
        let end = loop {
            if let Err(end) = self.step(&mut messages).await {
                break end;
            }
        };
        let proxy = self.seat.as_ref().map(|seat| seat.id().clone());
        match end {
            End::Gone => debug!(?proxy, "a policy stream ended"),
            End::Told(status) => {
                debug!(
                    ?proxy,
                    reason = status.message(),
                    "a policy stream is ended"
                );
                let farewell = self.sender.send(Err(status));
                // A proxy that does not read learns the reason by the end of the stream alone.
                drop(tokio::time::timeout(FAREWELL_TIME, farewell).await);
            }
        }
    }

    /// Waits for one thing to happen and deals with it.
    async fn step(&mut self, messages: &mut Streaming<v1::ProxyMessage>) -> Result<(), End> {
        let due = self.machine.poll_timeout();
        let due = due.and_then(|at| self.shared.clock.instant(at));
        let replaced = self.seat.as_ref().map(|seat| seat.replaced().clone());
        let sender = self.sender.clone();
        tokio::select! {
            () = self.shared.stop.cancelled() => Err(End::Told(status::stopping())),
            () = cancelled(replaced) => Err(End::Told(Status::aborted(
                "another proxy connected under the same id",
            ))),
            permit = sender.reserve(), if !self.outgoing.is_empty() => {
                let permit = permit.map_err(|_closed| End::Gone)?;
                if let Some(message) = self.outgoing.next() {
                    permit.send(Ok(message));
                }
                Ok(())
            }
            message = messages.message() => match message {
                Ok(Some(message)) => self.receive(message).await,
                Ok(None) | Err(_) => Err(End::Gone),
            },
            changed = self.updates.changed() => {
                changed.map_err(|_closed| End::Told(status::stopping()))?;
                self.current.clone_from(&self.updates.borrow_and_update());
                match self.current.as_ref().map(|current| current.info().version()) {
                    Some(version) => self.handle(ServerInput::Current(version)).await,
                    None => Ok(()),
                }
            }
            () = sleep_until(due) => {
                let effects = self.machine.handle_timeout(self.shared.clock.mono());
                self.carry_out(effects).await
            }
        }
    }

    /// Takes a message of the proxy.
    async fn receive(&mut self, message: v1::ProxyMessage) -> Result<(), End> {
        let message = ProxyMessage::try_from(message).map_err(|invalid| {
            End::Told(Status::invalid_argument(format!(
                "the message cannot be used: {invalid}"
            )))
        })?;
        let input = match message {
            ProxyMessage::Hello(hello) => {
                if self.seat.is_none() {
                    self.seat = Some(self.shared.fleet.connect(&hello));
                    self.has = hello.applied;
                }
                let recall = match hello.applied {
                    Some(version) if self.shared.repository.holds(version).await => Recall::Held,
                    Some(_) | None => Recall::NotHeld,
                };
                ServerInput::Hello {
                    applied: hello.applied,
                    recall,
                }
            }
            ProxyMessage::Ack { nonce, revision } => ServerInput::Ack { nonce, revision },
            ProxyMessage::Nack {
                nonce,
                revision,
                reasons,
            } => ServerInput::Nack {
                nonce,
                revision,
                reasons,
            },
            ProxyMessage::Heartbeat { applied: _, load } => {
                if let Some(seat) = &self.seat {
                    seat.alive(load);
                }
                ServerInput::Heartbeat
            }
        };
        self.handle(input).await
    }

    async fn handle(&mut self, input: ServerInput) -> Result<(), End> {
        let effects = self.machine.handle(input, self.shared.clock.mono());
        self.carry_out(effects).await
    }

    async fn carry_out(&mut self, effects: Vec<ServerEffect>) -> Result<(), End> {
        for effect in effects {
            match effect {
                ServerEffect::Send { offer, update } => self.send(offer, update).await,
                ServerEffect::Heartbeat { current } => self.outgoing.heartbeat(current),
                ServerEffect::Applied(version) => {
                    self.has = Some(version);
                    if let Some(seat) = &self.seat {
                        seat.applied(version);
                    }
                }
                ServerEffect::Refused { version, reasons } => {
                    if let Some(seat) = &self.seat {
                        seat.refused(version.revision, reasons);
                    }
                }
                ServerEffect::Ahead { applied, reason } => {
                    self.shared.repository.pass(applied.revision);
                    if let (Some(seat), Some(current)) = (&self.seat, &self.current) {
                        seat.refused(current.info().revision, vec![reason]);
                    }
                }
                ServerEffect::Close(reason) => return Err(End::Told(status::of_close(reason))),
            }
        }
        Ok(())
    }

    /// Sends the current revision: as a delta if that is wanted and can be had.
    async fn send(&mut self, offer: Offer, update: Update) {
        let Some(current) = self.current.clone() else {
            return;
        };
        if let (Update::Delta { base, .. }, Some(has)) = (update, self.has)
            && let Some(delta) = self.shared.repository.delta(has, &current).await
        {
            self.outgoing.update([delta_message(offer, base, delta)]);
        } else {
            self.outgoing
                .update(snapshot_messages(offer, current.canonical()));
        }
    }
}

/// Ends when the token is cancelled; never without one.
async fn cancelled(token: Option<tokio_util::sync::CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

/// Ends at the moment; never without one.
async fn sleep_until(at: Option<std::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
