//! Tells the status and the log what changed; each change once.

use std::error::Error;

use agix_core::causes::with_causes;
use agix_core::id::Revision;
use agix_core::sync::{NackReason, Version};
use tokio::sync::watch;

use super::install::UnusableGeneration;
use super::snapshot_file::UnwrittenSnapshot;
use super::status::{Applied, Link, Source, SyncStatus};
use crate::clock::Clock;

/// The one who tells.
#[derive(Debug)]
pub(super) struct Reporter {
    status: watch::Sender<SyncStatus>,
    clock: Clock,
}

impl Reporter {
    pub(super) const fn new(status: watch::Sender<SyncStatus>, clock: Clock) -> Self {
        Self { status, clock }
    }

    /// A stream is open and the control plane has spoken.
    pub(super) fn connected(&self) {
        if self.status.borrow().is_connected() {
            return;
        }
        tracing::info!("connected to the control plane");
        let since = self.clock.wall();
        self.status
            .send_modify(|it| it.link = Link::Connected { since });
    }

    /// There is no stream.
    pub(super) fn lost(&self, error: &dyn Error) {
        let error = with_causes(error);
        let now = self.clock.wall();
        let since = match &self.status.borrow().link {
            Link::Lost { since, .. } => Some(*since),
            Link::Connecting | Link::Connected { .. } => None,
        };
        if since.is_none() {
            let applied = self.status.borrow().applied;
            if let Some(Applied { version, .. }) = applied {
                let revision = version.revision;
                tracing::warn!(
                    error,
                    %revision,
                    "no control plane; going on with the policy in force and trying again"
                );
            } else {
                tracing::warn!(error, "no control plane and no policy yet; trying again");
            }
        }
        let since = since.unwrap_or(now);
        self.status.send_modify(|it| {
            it.link = Link::Lost { since, error };
            it.behind = None;
        });
    }

    /// A policy is in force.
    pub(super) fn applied(&self, version: Version, source: Source) {
        tracing::info!(revision = %version.revision, hash = ?version.hash, ?source, "policy in force");
        let since = self.clock.wall();
        self.status.send_modify(|it| {
            it.applied = Some(Applied {
                version,
                since,
                source,
            });
            it.refused = None;
            it.behind = None;
        });
    }

    /// An update was refused.
    pub(super) fn refused(&self, revision: Revision, reasons: &[NackReason]) {
        let refused = (revision, reasons.to_vec());
        if self.status.borrow().refused.as_ref() == Some(&refused) {
            return;
        }
        for reason in reasons {
            let resource = reason.resource.as_ref().map(tracing::field::display);
            tracing::error!(
                %revision,
                resource,
                field = reason.field,
                code = reason.code,
                reason = reason.message,
                help = reason.help,
                "policy refused"
            );
        }
        self.status.send_modify(|it| it.refused = Some(refused));
    }

    /// The control plane's history does not reach the policy in force.
    pub(super) fn behind(&self, reason: &NackReason) {
        let help = &reason.help;
        tracing::error!(
            reason = reason.message,
            help,
            "the control plane is behind this proxy; keeping the policy in force"
        );
        self.status
            .send_modify(|it| it.behind = Some(reason.clone()));
    }

    /// What came of the snapshot file at the start.
    pub(super) fn cold_start(&self, in_force: Option<Version>, unusable: &[UnusableGeneration]) {
        for error in unusable {
            tracing::error!(error = with_causes(error), "policy snapshot not used");
        }
        if let Some(error) = unusable.first() {
            self.snapshot_error(error);
        }
        if let Some(version) = in_force {
            self.applied(version, Source::Snapshot);
        }
    }

    /// A snapshot was written, or not.
    pub(super) fn saved(&self, error: Option<&UnwrittenSnapshot>) {
        match error {
            None => self
                .status
                .send_if_modified(|it| it.snapshot_error.take().is_some()),
            Some(error) => {
                tracing::error!(error = with_causes(error), "policy snapshot not written");
                self.snapshot_error(error);
                true
            }
        };
    }

    /// The snapshot file is not what it should be.
    pub(super) fn snapshot_error(&self, error: &dyn Error) {
        let error = with_causes(error);
        self.status
            .send_modify(|it| it.snapshot_error = Some(error));
    }
}
