//! One attempt at one target.

use std::borrow::Cow;
use std::time::Duration;

use agix_core::failover::Failure;
use agix_core::limits::{UPSTREAM_ANSWER_BYTES, UPSTREAM_ERROR_BYTES};
use agix_core::policy::Api;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};

use super::{Ask, Exchange, Fault, Gain};
use crate::dialect::{self, AnswerIds, BadAnswer, Dialect, Encoded, Ineligible, SimulatedReply};
use crate::plan::Target;
use crate::relay::Opening;
use crate::snapshot::Endpoint;
use crate::upstream::{self, Head, Headers, Simulated, UpstreamBody};

/// No answer from this target.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It cannot serve the request at all.
    Ineligible(Cow<'static, str>),
    /// It failed.
    Fault(Fault),
}

impl From<Fault> for Unanswered {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Ineligible> for Unanswered {
    fn from(ineligible: Ineligible) -> Self {
        Self::Ineligible(Cow::Borrowed(ineligible.0))
    }
}

/// The time bounds of one attempt.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    first: Instant,
    idle: Duration,
    total: Instant,
}

impl Exchange<'_> {
    /// Calls the target and reads its answer as far as the caller's status depends on it.
    pub(super) async fn once(
        &self,
        target: &Target,
        traceparent: Option<HeaderValue>,
    ) -> Result<(Gain, Vec<&'static str>), Unanswered> {
        let clock = &self.worker.shared.clock;
        let timeouts = &self.compiled.policy.failover.timeouts;
        let total = clock.instant(self.deadline);
        let now = clock.mono();
        let bounds = Bounds {
            first: clock.instant(now.after(timeouts.first_token)).min(total),
            idle: timeouts.idle,
            total,
        };
        if let Ask::Tokens(request) = self.ask
            && target.provider.api != Api::Anthropic
        {
            return Ok((Gain::Whole(dialect::counted(request)), Vec::new()));
        }
        let (head, dropped) = match target.provider.api {
            Api::Simulated => (self.simulated(target, bounds).await?, Vec::new()),
            Api::OpenAi | Api::Azure | Api::Anthropic | Api::Gemini => {
                self.called(target, traceparent, bounds).await?
            }
        };
        // Not every server of this kind completes texts, and that says nothing of its health.
        if self.dialect(target) == Dialect::Completions && matches!(head.status.as_u16(), 404 | 405)
        {
            return Err(Ineligible("its provider does not complete texts with this model").into());
        }
        let gain = self.read(target, head, bounds).await?;
        Ok((gain, dropped))
    }

    async fn called(
        &self,
        target: &Target,
        traceparent: Option<HeaderValue>,
        bounds: Bounds,
    ) -> Result<(Head, Vec<&'static str>), Unanswered> {
        let (endpoint, encoded) = self.encode(target)?;
        let lost: Vec<_> = encoded.lost().collect();
        if !lost.is_empty() && !self.compiled.policy.failover.drop_unsupported {
            let lost = lost.join("`, `");
            let reason = format!("it has no `{lost}`, and `failover.drop_unsupported` is not set");
            return Err(Unanswered::Ineligible(reason.into()));
        }
        let stream = self.ask.is_stream();
        let url = target
            .provider
            .url(endpoint, &target.upstream_model, stream);
        let Some(url) = url else {
            return Err(Ineligible("its provider has no such endpoint").into());
        };
        let connect = self.compiled.policy.failover.timeouts.connect;
        let client = self.worker.clients.get(connect).map_err(|error| {
            tracing::error!(%error, "no HTTP client");
            Fault::new(Failure::Connect, "this proxy cannot make HTTP connections")
        })?;
        let Encoded {
            headers,
            body,
            dropped,
            ..
        } = encoded;
        let own = self.ask.caller().native() == Some(self.dialect(target));
        let headers = Headers {
            fixed: &target.provider.headers,
            dialect: headers,
            forwarded: own.then_some(self.forwarded),
            traceparent,
        };
        let call = upstream::call(&client, &url, headers, body);
        match timeout_at(bounds.first, call).await {
            Ok(Ok(head)) => Ok((head, dropped)),
            Ok(Err(error)) => {
                let (failure, message) = error.failure();
                Err(Fault::new(failure, message).into())
            }
            Err(_elapsed) => Err(Fault::new(
                Failure::FirstTokenTimeout,
                "the provider did not answer in time",
            )
            .into()),
        }
    }

    /// The dialect that is spoken with the target.
    fn dialect(&self, target: &Target) -> Dialect {
        let caller = self.ask.caller();
        Dialect::towards(caller, target.provider.api, &target.upstream_model)
    }

    fn encode(&self, target: &Target) -> Result<(Endpoint, Encoded), Ineligible> {
        let to = dialect::Target {
            dialect: self.dialect(target),
            model: &target.upstream_model,
            max_output_tokens: target.max_output_tokens,
        };
        match self.ask {
            Ask::Chat(chat) => {
                let endpoint = match to.dialect {
                    Dialect::Completions => Endpoint::Completions,
                    Dialect::OpenAi | Dialect::Anthropic | Dialect::Gemini => Endpoint::Chat,
                };
                Ok((endpoint, dialect::encode(chat, &to)?))
            }
            Ask::Embeddings(ask) => {
                Ok((Endpoint::Embeddings, dialect::encode_embeddings(ask, &to)?))
            }
            Ask::Tokens(ask) => Ok((Endpoint::CountTokens, dialect::encode(ask, &to)?)),
        }
    }

    async fn simulated(&self, target: &Target, bounds: Bounds) -> Result<Head, Unanswered> {
        let simulation = &target.script.simulation;
        let outcome = target.script.next();
        let model = target.upstream_model.as_str();
        let reply = match self.ask {
            Ask::Chat(chat) => {
                dialect::simulate(chat, simulation, outcome, model, &self.answer_ids())
            }
            Ask::Embeddings(ask) => dialect::simulate_embeddings(ask, simulation, outcome, model),
            Ask::Tokens(_) => return Err(Ineligible("it counts no tokens").into()),
        };
        let head = |status: u16, body| Head {
            status: http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::BAD_GATEWAY),
            headers: HeaderMap::new(),
            body,
        };
        let late = || {
            Fault::new(
                Failure::FirstTokenTimeout,
                "the provider did not answer in time",
            )
        };
        let wait = async |after: Duration| {
            let slept = timeout_at(bounds.first, tokio::time::sleep(after)).await;
            slept.map_err(|_elapsed| late())
        };
        match reply {
            SimulatedReply::Answer {
                after,
                status,
                body,
            } => {
                wait(after).await?;
                Ok(head(status, UpstreamBody::Whole(Some(body))))
            }
            SimulatedReply::Truncated { after, body: _ } => {
                wait(after).await?;
                Err(Fault::new(Failure::Truncated, "the provider's answer broke off").into())
            }
            SimulatedReply::Stream(stream) => Ok(head(
                200,
                UpstreamBody::Simulated(Box::new(Simulated::new(stream))),
            )),
            SimulatedReply::Reset => {
                Err(Fault::new(Failure::Reset, "the provider broke the connection").into())
            }
            SimulatedReply::Stall => {
                tokio::time::sleep_until(bounds.first).await;
                Err(late().into())
            }
        }
    }

    async fn read(&self, target: &Target, head: Head, bounds: Bounds) -> Result<Gain, Fault> {
        let dialect = self.dialect(target);
        if !head.status.is_success() {
            return Err(self.refused(dialect, head, bounds).await);
        }
        match self.ask {
            Ask::Chat(chat) if chat.stream() => {
                let decoder = dialect::StreamDecoder::new(dialect, chat, self.answer_ids());
                let opening =
                    Opening::read(head.body, decoder, bounds.first, self.ask.bytes()).await?;
                Ok(Gain::Stream(Box::new(opening)))
            }
            Ask::Chat(chat) => {
                let body = self.answer(head.body, bounds).await?;
                let bytes = body.len();
                dialect::decode_answer(dialect, chat, &self.answer_ids(), body)
                    .map(Gain::Whole)
                    .map_err(|bad| self.bad_answer(bad, bytes))
            }
            Ask::Embeddings(_) => {
                let body = self.answer(head.body, bounds).await?;
                dialect::decode_embeddings(dialect, body)
                    .map(Gain::Whole)
                    .map_err(|bad| self.bad_answer(bad, 0))
            }
            Ask::Tokens(_) => {
                let body = self.answer(head.body, bounds).await?;
                dialect::decode_count(body)
                    .map(Gain::Whole)
                    .map_err(|bad| Fault::new(Failure::Malformed, bad.to_string()))
            }
        }
    }

    /// The body of a success. One that breaks off is billed for what arrived.
    async fn answer(&self, body: UpstreamBody, bounds: Bounds) -> Result<Bytes, Fault> {
        let read = whole(body, UPSTREAM_ANSWER_BYTES, bounds).await;
        read.map_err(|Unread { fault, bytes }| {
            if bytes == 0 {
                return *fault;
            }
            fault.billed(dialect::estimated(self.ask.bytes(), bytes))
        })
    }

    /// An answer that says something, but not in the provider's protocol, is billed.
    fn bad_answer(&self, bad: BadAnswer, bytes: usize) -> Fault {
        match bad {
            BadAnswer::Refused(refused) => Fault::refused(refused),
            BadAnswer::Malformed(_) => Fault::new(Failure::Malformed, bad.to_string())
                .billed(dialect::estimated(self.ask.bytes(), bytes)),
        }
    }

    /// A status other than success, with what the body says of it.
    async fn refused(&self, dialect: Dialect, head: Head, bounds: Bounds) -> Fault {
        if head.status.is_redirection() {
            return Fault::new(Failure::Malformed, "the provider answered with a redirect");
        }
        let now = self.worker.shared.clock.wall();
        let body = whole(head.body, UPSTREAM_ERROR_BYTES, bounds)
            .await
            .unwrap_or_default();
        let status = head.status.as_u16();
        let refused = dialect::decode_error(status, &head.headers, &body, now);
        let fault = Fault::refused(refused);
        let passes = self.ask.caller().reads_errors(dialect) && is_json_object(&body);
        Fault {
            original: passes.then_some(body),
            ..fault
        }
    }

    fn answer_ids(&self) -> AnswerIds {
        let seconds = self
            .worker
            .shared
            .clock
            .wall()
            .as_millis()
            .div_euclid(1_000);
        let id = self.ids.request();
        let id = id.strip_prefix("req_").unwrap_or(id);
        AnswerIds {
            id: format!("{}{id}", self.ask.caller().id_prefix()),
            created: seconds,
        }
    }
}

fn is_json_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// A body that was not read to its end.
#[derive(Debug)]
struct Unread {
    fault: Box<Fault>,
    /// Bytes of it that arrived.
    bytes: usize,
}

/// The whole body, at most `limit` bytes.
async fn whole(mut body: UpstreamBody, limit: usize, bounds: Bounds) -> Result<Bytes, Unread> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let until = bounds.total.min(crate::clock::runtime_now() + bounds.idle);
        let bytes = first.len().saturating_add(rest.len());
        let unread = |failure, message| {
            let fault = Box::new(Fault::new(failure, message));
            Err(Unread { fault, bytes })
        };
        let part = match timeout_at(until, body.data()).await {
            Err(_elapsed) => {
                return unread(Failure::IdleTimeout, "the provider's answer stalled");
            }
            Ok(None) => break,
            Ok(Some(Err(_broken))) => {
                return unread(Failure::Truncated, "the provider's answer broke off");
            }
            Ok(Some(Ok(part))) => part,
        };
        if bytes.saturating_add(part.len()) > limit {
            return unread(Failure::TooLarge, "the provider's answer is too large");
        }
        if first.is_empty() && rest.is_empty() {
            first = part;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&part);
        }
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}
