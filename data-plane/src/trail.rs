//! The trail of a request: what became of it, step by step, for those who watch.
//!
//! Rules this module keeps:
//! - Whether a request leaves a trail is decided once, before anything is written down. One that
//!   leaves none costs a look at the settings and at one header, and allocates nothing.
//! - It is handed in exactly once, when the last who holds it lets it go: at the end of the answer,
//!   or when the caller left before that.
//! - Handing in never waits: what watches is bounded, and what it cannot take is counted.
//! - No header and no key is written down; what was asked and answered only where the policy wants it
//!   in the audit records, and never in a trace.

mod attributes;
mod callback;
mod content;
mod context;
mod export;
mod spans;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use agix_core::id::{AgentName, Revision};
use agix_core::policy::Policy;
use agix_core::time::{Mono, Wall};
use agix_core::webhook::execution::ExecutionId;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::attempt::{Ask, Fault};
use crate::clock;
use crate::dialect::Finish;
use crate::front::reply::Ids;
use crate::plan::Plan;
use crate::record::{Bill, Ending};
use crate::shared::Shared;

pub(crate) use callback::CallbackTrail;
pub(crate) use content::Content;
pub(crate) use context::Parent;
pub(crate) use export::Tracer;

/// The trail of one request.
#[derive(Debug)]
pub(crate) struct Trail {
    shared: Arc<Shared>,
    is_traced: bool,
    is_audited: bool,
    is_reported: bool,
    head: Head,
    facts: Mutex<Facts>,
}

/// What is known of a request when it begins.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) trace: Trace,
    pub(crate) ids: Ids,
    pub(crate) began: Mono,
    pub(crate) began_at: Wall,
    pub(crate) origin: Origin,
}

/// A trail that has come to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) head: &'a Head,
    pub(crate) facts: &'a Facts,
    pub(crate) ended: Mono,
}

/// Where a trail belongs among the traces.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trace {
    pub(crate) id: u128,
    /// The caller's span.
    parent: Option<u64>,
    /// The span of the whole request.
    root: u64,
    /// The span of asking a model.
    call: u64,
}

/// What made the proxy work.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// A caller, at this endpoint.
    Caller {
        /// The request's method, if it is one of those that agix knows.
        method: &'static str,
        /// The endpoint, without what a stranger makes up.
        route: Option<&'static str>,
        /// Where it is.
        peer: Option<SocketAddr>,
    },
    /// A webhook that is run.
    Webhook {
        /// The definition's name.
        name: String,
        /// What is run.
        execution: ExecutionId,
    },
}

/// What became known on the way.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) status: Option<u16>,
    pub(crate) refused: Option<&'static str>,
    pub(crate) agent: Option<AgentName>,
    pub(crate) revision: Option<Revision>,
    pub(crate) call: Option<Call>,
    /// There if it is to be written down.
    pub(crate) content: Option<Content>,
}

/// Asking a model, its fallbacks included.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) plan: Arc<Plan>,
    operation: &'static str,
    pub(crate) stream: bool,
    output_bound: Option<u64>,
    began: Mono,
    pub(crate) ended: Option<Mono>,
    pub(crate) tries: Vec<Try>,
    pub(crate) skipped: Vec<(usize, Cow<'static, str>, Mono)>,
    /// When the first content of a stream was there.
    first_content: Option<Mono>,
    /// The place of the target that answered.
    pub(crate) answered: Option<usize>,
    model: Option<String>,
    finish: Option<Finish>,
    pub(crate) bill: Option<Bill>,
    pub(crate) ending: Ending,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Try {
    pub(crate) place: usize,
    span: u64,
    pub(crate) began: Mono,
    pub(crate) ended: Option<Mono>,
    /// Why it failed, and the provider's status if it has one.
    pub(crate) fault: Option<(&'static str, Option<u16>)>,
}

#[cfg(test)]
impl Head {
    /// The head of a request of nobody in particular.
    pub(crate) fn example() -> Self {
        let ids = Ids::draw(None);
        Self {
            trace: Trace {
                id: ids.trace_number(),
                parent: None,
                root: 1,
                call: 2,
            },
            ids,
            began: Mono::default(),
            began_at: Wall::from_millis(1_000),
            origin: Origin::Caller {
                method: "POST",
                route: Some("/v1/chat/completions"),
                peer: None,
            },
        }
    }
}

impl Call {
    /// What became of one of its tries.
    pub(crate) fn outcome(&self, one: &Try) -> &'static str {
        match one.fault {
            Some(_) => "failed",
            None if self.answered == Some(one.place) => "answered",
            None => "given_up",
        }
    }
}

impl Told<'_> {
    /// Whether the proxy refused it itself, before any provider was called.
    pub(crate) fn is_refused(&self) -> bool {
        let call = self.facts.call.as_ref();
        self.facts.refused.is_some() && call.is_none_or(|call| call.tries.is_empty())
    }

    /// How it ended, in a word.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.facts.call.as_ref().map(|call| call.ending) {
            _ if self.is_refused() => "refused",
            Some(Ending::Answered) => "answered",
            Some(Ending::Failed) => "failed",
            None if self.facts.status.is_some() => "answered",
            Some(Ending::CallerLeft) | None => "caller_left",
        }
    }
}

impl Trail {
    /// The trail of a request that begins now, if it leaves one.
    pub(crate) fn begin(
        shared: &Arc<Shared>,
        ids: &Ids,
        parent: Option<Parent>,
        origin: impl FnOnce() -> Origin,
    ) -> Option<Arc<Self>> {
        let compiled = shared.compiled.load();
        let audit = compiled.policy.audit;
        let is_traced = is_traced(shared, &compiled.policy, ids.trace_number(), parent);
        let is_audited = audit.enabled && shared.auditor.get().is_some();
        let is_reported = shared.traffic.takes();
        if !is_traced && !is_audited && !is_reported {
            return None;
        }
        let facts = Facts {
            content: (is_audited && audit.content_log).then(Content::default),
            ..Facts::default()
        };
        Some(Arc::new(Self {
            is_traced,
            is_audited,
            is_reported,
            head: Head {
                trace: Trace {
                    id: ids.trace_number(),
                    parent: parent.map(|parent| parent.span),
                    root: span_id(),
                    call: span_id(),
                },
                ids: ids.clone(),
                began: shared.clock.mono(),
                began_at: shared.clock.wall(),
                origin: origin(),
            },
            facts: Mutex::new(facts),
            shared: Arc::clone(shared),
        }))
    }

    /// Who asks, and by which policy.
    pub(crate) fn identified(&self, agent: &AgentName, revision: Revision) {
        self.note(|facts| {
            facts.agent = Some(agent.clone());
            facts.revision = Some(revision);
        });
    }

    /// A model is asked.
    pub(crate) fn asks(&self, ask: &Ask, plan: &Arc<Plan>) {
        let output_bound = match ask {
            Ask::Chat(chat) => chat.output_bound(),
            Ask::Embeddings(_) | Ask::Tokens(_) => None,
        };
        let began = self.now();
        self.note(|facts| {
            if let Some(content) = &mut facts.content {
                content.asked(ask);
            }
            facts.call = Some(Call {
                plan: Arc::clone(plan),
                operation: ask.operation(),
                stream: ask.is_stream(),
                output_bound,
                began,
                ended: None,
                // Mostly the first one answers.
                tries: Vec::with_capacity(1),
                skipped: Vec::new(),
                first_content: None,
                answered: None,
                model: None,
                finish: None,
                bill: None,
                ending: Ending::CallerLeft,
            });
        });
    }

    /// A target is passed over.
    pub(crate) fn skipped(&self, place: usize, reason: Cow<'static, str>) {
        let now = self.now();
        self.of_call(|call| call.skipped.push((place, reason, now)));
    }

    /// An attempt begins.
    pub(crate) fn tries(&self, place: usize) {
        let began = self.now();
        self.of_call(|call| {
            call.tries.push(Try {
                place,
                span: span_id(),
                began,
                ended: None,
                fault: None,
            });
        });
    }

    /// It could not be made at all.
    pub(crate) fn not_made(&self) {
        self.of_call(|call| call.tries.truncate(call.tries.len().saturating_sub(1)));
    }

    /// It is answered, as far as the caller's status depends on it.
    pub(crate) fn answers(&self) {
        self.of_call(|call| call.first_content = call.stream.then(|| self.now()));
    }

    /// It failed.
    pub(crate) fn failed(&self, fault: &Fault) {
        let now = self.now();
        self.of_call(|call| {
            if let Some(last) = call.tries.last_mut() {
                last.ended = Some(now);
                last.fault = Some((fault.reason(), fault.own_status()));
            }
        });
    }

    /// What the answer says of itself.
    pub(crate) fn answer(&self, model: Option<&str>, finish: Option<Finish>) {
        self.of_call(|call| {
            // Only spans tell it.
            call.model = model.filter(|_| self.is_traced).map(str::to_owned);
            call.finish = finish;
        });
    }

    /// A part of what the caller gets.
    pub(crate) fn says(&self, part: &Bytes) {
        self.note(|facts| {
            if let Some(content) = &mut facts.content {
                content.said(part);
            }
        });
    }

    /// No model is asked any more.
    pub(crate) fn asked(&self, answered: Option<usize>, bill: Option<Bill>, ending: Ending) {
        let now = self.now();
        self.of_call(|call| {
            call.ended = Some(now);
            call.answered = answered;
            call.bill = bill;
            call.ending = ending;
        });
    }

    /// The proxy refuses the request itself.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.note(|facts| facts.refused = Some(reason));
    }

    /// The status that the caller gets.
    pub(crate) fn status(&self, status: u16) {
        self.note(|facts| facts.status = Some(status));
    }

    /// What tells a provider where the attempt under way belongs.
    pub(crate) fn traceparent(&self) -> Option<HeaderValue> {
        let mut span = None;
        self.of_call(|call| span = call.tries.last().map(|last| last.span));
        context::header(self.head.trace.id, span?, self.is_traced)
    }

    fn of_call(&self, change: impl FnOnce(&mut Call)) {
        self.note(|facts| {
            if let Some(call) = &mut facts.call {
                change(call);
            }
        });
    }

    fn note(&self, change: impl FnOnce(&mut Facts)) {
        change(&mut self.facts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn now(&self) -> Mono {
        self.shared.clock.mono()
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        let facts = self.facts.get_mut().unwrap_or_else(PoisonError::into_inner);
        let told = Told {
            head: &self.head,
            facts,
            ended: self.shared.clock.mono(),
        };
        if self.is_traced
            && let Some(tracer) = self.shared.tracer.get()
        {
            for span in spans::of(&told) {
                tracer.take(span);
            }
        }
        if self.is_reported {
            self.shared.traffic.take(&told);
        }
        if self.is_audited
            && let Some(auditor) = self.shared.auditor.get()
        {
            auditor.take(&told);
        }
    }
}

/// What tells a provider the trace of a request that leaves no trail.
pub(crate) fn unsampled(trace_id: u128) -> Option<HeaderValue> {
    context::header(trace_id, span_id(), false)
}

/// The caller's place in a trace, if it says.
pub(crate) fn parent(headers: &HeaderMap) -> Option<Parent> {
    context::read(headers)
}

/// As the caller's trace has it; else by the policy's share, whose draw is the trace's own id, so
/// that all who see the trace decide alike.
fn is_traced(shared: &Shared, policy: &Policy, trace_id: u128, parent: Option<Parent>) -> bool {
    let settings = &policy.tracing;
    if !settings.enabled || shared.tracer.get().is_none() {
        return false;
    }
    let drawn = trace_id & u128::from(u64::MAX);
    parent.map_or_else(
        || u64::try_from(drawn).is_ok_and(|drawn| settings.sample_rate.takes(drawn)),
        |parent| parent.sampled,
    )
}

/// A span's name; zero would be none.
fn span_id() -> u64 {
    clock::random().max(1)
}
