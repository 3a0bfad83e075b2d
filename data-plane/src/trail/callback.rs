//! The span of a post to a webhook's receiver.
//!
//! A post is no part of a request: it is made when there is a result, and again when it failed. Its
//! trace is the execution's, as that of the run is where the sender was in no trace of its own; so
//! posts of one execution are found together, and beside its run.

use std::sync::Arc;

use agix_core::time::{Mono, Wall};
use agix_core::webhook::outcome::CallbackOutcome;
use agix_core::webhook::work::Step;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;
use reqwest::Url;

use super::spans::{Attributes, span};
use super::{Head, Origin, Trace, attributes as name, is_traced, span_id};
use crate::front::reply::Ids;
use crate::shared::Shared;

/// A post under way whose trace is sampled.
#[derive(Debug)]
pub(crate) struct CallbackTrail {
    shared: Arc<Shared>,
    began: (Mono, Wall),
}

impl CallbackTrail {
    /// The trail of a post that begins now, if it leaves one.
    pub(crate) fn begin(shared: &Arc<Shared>, step: &Step) -> Option<Self> {
        let policy = &shared.compiled.load().policy;
        let trace = step.execution.to_bits();
        is_traced(shared, policy, trace, None).then(|| Self {
            shared: Arc::clone(shared),
            began: (shared.clock.mono(), shared.clock.wall()),
        })
    }

    /// Hands it in: where was posted to, and what came of it.
    pub(crate) fn end(self, step: &Step, url: &Url, outcome: &CallbackOutcome) {
        let ended = self.shared.clock.mono();
        let (began, began_at) = self.began;
        let head = Head {
            trace: Trace {
                id: step.execution.to_bits(),
                parent: None,
                root: span_id(),
                call: 0,
            },
            ids: Ids::draw(Some(step.execution.to_bits())),
            began,
            began_at,
            origin: Origin::Webhook {
                name: step.webhook.to_string(),
                execution: step.execution,
            },
        };
        if let Some(tracer) = self.shared.tracer.get() {
            tracer.take(made(&head, step, url, (outcome, ended)));
        }
    }
}

fn made(
    head: &Head,
    step: &Step,
    url: &Url,
    (outcome, ended): (&CallbackOutcome, Mono),
) -> SpanData {
    let mut attributes = Attributes::default();
    attributes.set(name::HTTP_METHOD, "POST");
    attributes.set(name::WEBHOOK, step.webhook.to_string());
    attributes.set(name::EXECUTION, step.execution.to_string());
    attributes.may_set(name::SERVER_ADDRESS, url.host_str().map(str::to_owned));
    let port = url.port_or_known_default();
    attributes.may_set(name::SERVER_PORT, port.map(i64::from));
    let failed = match outcome {
        CallbackOutcome::Answered { status, .. } => {
            attributes.set(name::HTTP_STATUS, i64::from(*status));
            (!(200..300).contains(status)).then(|| status.to_string())
        }
        CallbackOutcome::Failed(_) => Some("failed".to_owned()),
        CallbackOutcome::Refused(_) => Some("refused".to_owned()),
        CallbackOutcome::NoCallback => None,
    };
    let status = failed.map_or(Status::Unset, |kind| {
        attributes.set(name::ERROR_TYPE, kind.clone());
        Status::error(kind)
    });
    SpanData {
        name: format!("callback {}", step.webhook).into(),
        status,
        ..span(
            head,
            (head.trace.root, 0),
            (SpanKind::Client, (head.began, ended)),
            attributes,
        )
    }
}
