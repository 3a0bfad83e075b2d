//! Conversations, counts of their tokens, and embeddings.

use std::sync::Arc;
use std::time::Duration;

use agix_core::id::{AgentName, Revision};
use agix_core::limits::CHAIN_TARGETS;
use agix_core::policy::RateLimits;
use agix_core::time::Mono;
use agix_core::usage::{Cost, UsageSource};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use hyper::body::Incoming;

use crate::attempt::{Answered, Ask, AttemptReport, Exchange, Failed, Gain};
use crate::dialect::{Caller, ChatRequest, EmbeddingsRequest};
use crate::front::refusal::{Refusal, Voice, tokens_value};
use crate::front::reply::{Content, Ids};
use crate::front::{Reply, Seen, body, budget_headers, held, identity, rate_headers};
use crate::plan::{NoPlan, Plan};
use crate::quota::{Gate, Listed};
use crate::record::{Bill, Ending, Record, Request};
use crate::relay::{RelayBody, RelaySettings};
use crate::snapshot::Compiled;
use crate::worker::Worker;

const COST: HeaderName = HeaderName::from_static("x-cost-usd");
const INPUT_TOKENS: HeaderName = HeaderName::from_static("x-input-tokens");
const OUTPUT_TOKENS: HeaderName = HeaderName::from_static("x-output-tokens");
const MODEL: HeaderName = HeaderName::from_static("x-agix-model");
const PROVIDER: HeaderName = HeaderName::from_static("x-agix-provider");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-agix-attempts");
const USAGE: HeaderName = HeaderName::from_static("x-agix-usage");
const SIMULATED: HeaderName = HeaderName::from_static("x-agix-simulated");
const DROPPED: HeaderName = HeaderName::from_static("x-agix-dropped-params");
/// Asks for a drill, and tells the path it took.
const DRILL: HeaderName = HeaderName::from_static("x-agix-drill");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Where OpenAI's and Anthropic's client libraries say how long they wait, in seconds.
const CALLER_TIMEOUTS: [HeaderName; 2] = [
    HeaderName::from_static("x-stainless-timeout"),
    HeaderName::from_static("x-stainless-read-timeout"),
];

/// The version of Anthropic's protocol and what of it is to be tried.
const FORWARDED: [HeaderName; 2] = [
    HeaderName::from_static("anthropic-version"),
    HeaderName::from_static("anthropic-beta"),
];

/// The endpoint called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The next turn of a conversation, in this caller's dialect.
    Conversation(Caller),
    /// How many tokens a conversation has.
    Tokens,
    Embeddings,
}

/// A request, and what it runs with.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) worker: Arc<Worker>,
    pub(super) compiled: Arc<Compiled>,
    pub(super) plan: Arc<Plan>,
    pub(super) agent: AgentName,
    pub(super) gate: Arc<Gate>,
    pub(super) limits: Option<RateLimits>,
    pub(super) ask: Ask,
    pub(super) ids: Ids,
    pub(super) voice: Voice,
    pub(super) forwarded: HeaderMap,
    /// Targets that a drill says have failed.
    pub(super) drill: Vec<String>,
    pub(super) deadline: Mono,
}

/// Answers a request for a model.
pub(super) async fn answer(
    worker: &Arc<Worker>,
    parts: &Parts,
    incoming: Incoming,
    seen: &Seen<'_>,
    kind: Kind,
) -> Result<Reply, Refusal> {
    let shared = &worker.shared;
    let accepted = shared.clock.mono();
    let compiled = shared.compiled.load_full();
    if compiled.revision == Revision::NONE {
        return Err(Refusal::no_policy());
    }
    let Seen { ids, path, .. } = *seen;
    let agent = identity::identify(&compiled, &parts.headers, path.agent)?;
    seen.watch(|trail| trail.identified(&agent, compiled.revision));
    let Listed { gate, limits } = compiled
        .listed(&agent)
        .unwrap_or_else(|| shared.quota.unlisted(&agent));
    let (bytes, held) = body::read(incoming, shared).await?;
    let read = shared.clock.mono();
    let ask = match kind {
        Kind::Conversation(caller) => ChatRequest::read_as(caller, bytes).map(Ask::Chat),
        Kind::Tokens => ChatRequest::read_as(Caller::Messages, bytes).map(Ask::Tokens),
        Kind::Embeddings => EmbeddingsRequest::read(bytes).map(Ask::Embeddings),
    };
    let ask = ask.map_err(|error| Refusal::bad_request(&error))?;
    let plan = find_plan(worker, &compiled, &ask)?;
    seen.watch(|trail| trail.asks(&ask, &plan));
    may_use(&compiled, &plan, &agent)?;
    let total = compiled.policy.failover.timeouts.total;
    let patience = caller_patience(&parts.headers).map_or(total, |caller| caller.min(total));
    let deadline = accepted.after(patience);
    let mut record = Record::begin(
        shared,
        &compiled,
        &plan,
        agent.clone(),
        Request::of(&ask, ids.request(), seen.trail),
        accepted,
    );
    let asked = Asked {
        forwarded: forwarded(&parts.headers, ask.caller()),
        worker: Arc::clone(worker),
        compiled,
        plan,
        agent,
        gate,
        limits,
        ask,
        ids: ids.clone(),
        voice: seen.voice.clone(),
        drill: drilled(&parts.headers),
        deadline,
    };
    if asked.exchange().is_held_back() {
        return held::answer(asked, record, held).await;
    }
    let outcome = asked.exchange().run(&mut record).await;
    let own = shared
        .clock
        .mono()
        .since(read)
        .saturating_sub(record.waited);
    shared.metrics.overhead.observe(own.as_secs_f64());
    asked.reply(outcome, record)
}

impl Asked {
    pub(super) fn exchange(&self) -> Exchange<'_> {
        Exchange {
            worker: &self.worker,
            compiled: &self.compiled,
            plan: &self.plan,
            agent: &self.agent,
            gate: &self.gate,
            ask: &self.ask,
            ids: &self.ids,
            forwarded: &self.forwarded,
            drill: &self.drill,
            deadline: self.deadline,
        }
    }

    /// What the caller gets in the end.
    pub(super) fn reply(
        &self,
        outcome: Result<Answered, Failed>,
        record: Record,
    ) -> Result<Reply, Refusal> {
        let answered = match outcome {
            Ok(answered) => answered,
            Err(failed) => return Err(self.refusal(failed, record)),
        };
        let with = (&self.worker, &*self.compiled, &self.voice);
        let until = (self.ask.bytes(), self.deadline);
        let path = (!self.drill.is_empty()).then(|| self.path(&answered));
        let mut reply = reply(with, &self.plan, answered, record, until);
        if let Some(path) = path {
            insert_text(&mut reply.headers, DRILL, &path);
        }
        announce(&mut reply.headers, &self.gate, self.limits.as_ref());
        Ok(reply)
    }

    /// The path that a drill took, as JSON.
    fn path(&self, answered: &Answered) -> String {
        let last = self.plan.targets.get(answered.target);
        let last = last.map(AttemptReport::answered);
        let path: Vec<_> = answered.before.iter().chain(&last).collect();
        serde_json::to_string(&path).unwrap_or_default()
    }

    pub(super) fn refusal(&self, failed: Failed, record: Record) -> Refusal {
        record.end(Ending::Failed);
        let now = self.worker.shared.clock.wall();
        Refusal::failed(failed, &self.agent, self.limits.as_ref(), now)
    }
}

/// Says how the agent stands.
pub(super) fn announce(headers: &mut HeaderMap, gate: &Gate, limits: Option<&RateLimits>) {
    if let Some(limits) = limits {
        rate_headers::announce(headers, limits);
    }
    if gate.is_limited() {
        budget_headers::announce(headers, gate.standing());
    }
}

pub(crate) fn find_plan(
    worker: &Worker,
    compiled: &Compiled,
    ask: &Ask,
) -> Result<Arc<Plan>, Refusal> {
    worker
        .plans
        .get(ask.model().as_str(), compiled, &worker.shared)
        .map_err(|error: NoPlan| Refusal::unknown_model(&error.to_string()))
}

/// Whether the agent may use the asked model; its fallbacks are looked at when their turn comes.
pub(crate) fn may_use(compiled: &Compiled, plan: &Plan, agent: &AgentName) -> Result<(), Refusal> {
    let entry = compiled.policy.agents.get(agent);
    if entry.is_some_and(|entry| !entry.allows(&plan.asked)) {
        plan.metrics.refused.inc();
        return Err(Refusal::model_not_allowed(agent, plan.asked.as_str()));
    }
    let has_budget = compiled.policy.budgets.contains_key(agent);
    if plan
        .targets
        .first()
        .is_some_and(|target| !target.quote.allows(has_budget))
    {
        plan.metrics.refused.inc();
        return Err(Refusal::model_unpriced(agent, plan.asked.as_str()));
    }
    Ok(())
}

/// How long the caller waits for an answer, if its library says.
pub(super) fn caller_patience(headers: &HeaderMap) -> Option<Duration> {
    let seconds = CALLER_TIMEOUTS
        .iter()
        .find_map(|name| headers.get(name))?
        .to_str()
        .ok()?;
    let seconds: f64 = seconds.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|patience| !patience.is_zero())
}

/// The targets that a drill says have failed: for the request that asks for it, and nobody else.
fn drilled(headers: &HeaderMap) -> Vec<String> {
    let named = headers.get(DRILL).and_then(|names| names.to_str().ok());
    let names = named.into_iter().flat_map(|names| names.split(','));
    let names = names.map(|name| name.trim().to_owned());
    names.take(CHAIN_TARGETS + 1).collect()
}

/// The headers that a provider of the caller's own dialect gets from the caller.
fn forwarded(headers: &HeaderMap, caller: Caller) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    if caller == Caller::Messages {
        for name in FORWARDED {
            for value in headers.get_all(&name) {
                forwarded.append(&name, value.clone());
            }
        }
    }
    forwarded
}

fn reply(
    (worker, compiled, voice): (&Arc<Worker>, &Compiled, &Voice),
    plan: &Arc<Plan>,
    answered: Answered,
    mut record: Record,
    (input_bytes, deadline): (u64, Mono),
) -> Reply {
    let Answered {
        target: place,
        gain,
        dropped,
        before: _,
    } = answered;
    let mut headers = HeaderMap::with_capacity(16);
    headers.insert(ATTEMPTS, HeaderValue::from(record.attempts));
    if let Some(target) = plan.targets.get(place) {
        insert_text(&mut headers, MODEL, target.model.as_str());
        insert_text(&mut headers, PROVIDER, target.provider.name.as_str());
    }
    if !dropped.is_empty() {
        insert_text(&mut headers, DROPPED, &dropped.join(","));
    }
    let content = match gain {
        Gain::Whole(answer) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            if let Some(target) = plan.targets.get(place) {
                let bill = Bill::of(target, answer.billed(input_bytes));
                stamp(&mut headers, &bill);
                record.bill(place, bill);
            }
            record.watch(|trail| {
                trail.answer(answer.model.as_deref(), answer.finish);
                trail.says(&answer.body);
            });
            record.end(Ending::Answered);
            Content::Whole(answer.body)
        }
        Gain::Stream(opening) => {
            stream_headers(&mut headers);
            let settings = RelaySettings {
                worker: Arc::clone(worker),
                plan: Arc::clone(plan),
                voice: voice.clone(),
                target: place,
                input_bytes,
                idle: compiled.policy.failover.timeouts.idle,
                min_throughput: compiled.policy.failover.min_throughput,
                total: worker.shared.clock.instant(deadline),
                breaker: compiled.policy.failover.breaker,
            };
            Content::Relay(Box::new(RelayBody::new(*opening, record, settings)))
        }
        Gain::Held(held) => {
            stream_headers(&mut headers);
            let mut body = Bytes::new();
            if let Some(target) = plan.targets.get(place) {
                let (bytes, bill) = held.settled((place, target), record);
                stamp(&mut headers, &bill);
                body = bytes;
            }
            Content::Whole(body)
        }
    };
    if plan.targets.get(place).is_some_and(is_simulated) {
        headers.insert(SIMULATED, HeaderValue::from_static("true"));
    }
    Reply {
        status: StatusCode::OK,
        headers,
        content,
    }
}

/// The headers of every stream.
pub(super) fn stream_headers(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
}

fn is_simulated(target: &crate::plan::Target) -> bool {
    target.provider.api == agix_core::policy::Api::Simulated
}

fn stamp(headers: &mut HeaderMap, bill: &Bill) {
    match bill.cost {
        Cost::Known(amount, _) => insert_text(headers, COST, &amount.to_string()),
        Cost::Unknown => insert_text(headers, COST, "unknown"),
    }
    headers.insert(INPUT_TOKENS, tokens_value(bill.usage.total_input()));
    headers.insert(OUTPUT_TOKENS, tokens_value(bill.usage.total_output()));
    if bill.source == UsageSource::Estimated {
        headers.insert(USAGE, HeaderValue::from_static("estimated"));
    }
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
