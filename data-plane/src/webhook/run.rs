//! One run: the template rendered and the model asked, by the same path as a caller's request.

use std::sync::Arc;
use std::time::Duration;

use agix_core::causes::with_causes;
use agix_core::id::{AgentName, ModelName};
use agix_core::limits::{
    WEBHOOK_ERROR_TEXT, WEBHOOK_OUTPUT_BYTES, WEBHOOK_PROMPT_BYTES, WEBHOOK_TRY_TEXT,
};
use agix_core::usage::Cost;
use agix_core::webhook::outcome::{Answer, Failure, ModelCall, Payload, RunResult};
use agix_core::webhook::template::{Subject, Template, Values};
use agix_core::webhook::work::Step;
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::message;
use crate::attempt::{Answered, Ask, AttemptReport, Exchange, Gain};
use crate::dialect::{Caller, ChatRequest};
use crate::front::chat;
use crate::front::refusal::{Refusal, Voice};
use crate::front::reply::Ids;
use crate::quota::Listed;
use crate::record::{Bill, Ending, Record, Request};
use crate::shared::Shared;
use crate::snapshot::{Compiled, Hook};
use crate::trail::{Origin, Parent, Trail};
use crate::worker::Worker;

/// Why nothing can be done for a webhook.
pub(super) const UNDEFINED: &str = "the webhook is not defined in the policy of this proxy";

/// What came of asking a model.
#[derive(Default)]
struct Asked {
    calls: Vec<ModelCall>,
    outcome: Option<Result<Answer, Failure>>,
}

/// Carries out a run.
pub(super) async fn run(worker: &Arc<Worker>, step: &Step, payload: &Arc<Payload>) -> RunResult {
    let clock = worker.shared.clock;
    let began = clock.mono();
    let compiled = worker.shared.compiled.load_full();
    let mut prompt = None;
    let asked = match compiled.hook(step.webhook.as_str()) {
        // It may be defined by a revision that this proxy does not have yet.
        None => Asked {
            outcome: Some(Err(failure("policy", UNDEFINED, true))),
            ..Asked::default()
        },
        Some(hook) => match render(hook, step, payload).await {
            Ok((model, text)) => {
                let keeps = hook.definition.keep_prompt;
                prompt = keeps.then(|| cut(&text, WEBHOOK_PROMPT_BYTES));
                let agent = charged(hook, step, payload);
                let asked = (&model, &agent, &*text);
                ask(worker, &compiled, hook, (step, payload), asked).await
            }
            Err(failure) => Asked {
                outcome: Some(Err(failure)),
                ..Asked::default()
            },
        },
    };
    let lost = || Err(failure("lost", "there is no outcome", false));
    RunResult {
        outcome: asked.outcome.unwrap_or_else(lost),
        latency: clock.mono().since(began),
        prompt,
        calls: asked.calls,
    }
}

/// Who pays. What reports that an agent's budget is nearly spent is not paid from that budget.
fn charged(hook: &Hook, step: &Step, payload: &Payload) -> AgentName {
    let is_reported = |alert: &agix_core::webhook::outcome::BudgetAlert| alert.agent == hook.agent;
    if payload.alert.as_ref().is_some_and(is_reported)
        && let Ok(own) = AgentName::new(&format!("webhook:{}", step.webhook))
    {
        return own;
    }
    hook.agent.clone()
}

/// The model and the prompt.
async fn render(
    hook: &Arc<Hook>,
    step: &Step,
    payload: &Arc<Payload>,
) -> Result<(ModelName, String), Failure> {
    let definition = &hook.definition;
    let (Some(model), Some(text)) = (&definition.model, &definition.prompt_template) else {
        let message = "the webhook asks no model any more";
        return Err(failure("policy", message, false));
    };
    let (text, step, payload) = (text.clone(), step.clone(), Arc::clone(payload));
    let rendered = spawn_blocking(move || rendered(&text, &step, &payload)).await;
    let rendered = rendered.map_err(|error| failure("render", &with_causes(&error), true))?;
    rendered
        .map(|prompt| (model.clone(), prompt))
        .map_err(|message| failure("render", &message, false))
}

fn rendered(text: &str, step: &Step, payload: &Payload) -> Result<String, String> {
    // Fields of alerts are empty in what was received: whether they belong there was decided when
    // the policy was applied.
    let template = Template::parse(text, Subject::Alert).map_err(|faults| {
        let first = faults.into_iter().next();
        first.map_or_else(String::new, |fault| fault.message)
    })?;
    let body = match &payload.alert {
        Some(alert) => {
            message::alert(step.execution, step.webhook.as_str(), step.received, alert).to_vec()
        }
        None => payload.body.to_vec(),
    };
    template
        .render(&Values {
            webhook: &step.webhook,
            received: step.received,
            payload: &String::from_utf8_lossy(&body),
            headers: &payload.headers,
            alert: payload.alert.as_ref(),
        })
        .map_err(|error| error.to_string())
}

/// Asks the model, once and with its fallbacks.
async fn ask(
    worker: &Arc<Worker>,
    compiled: &Arc<Compiled>,
    hook: &Hook,
    (step, payload): (&Step, &Payload),
    (model, agent, prompt): (&ModelName, &AgentName, &str),
) -> Asked {
    let shared = &worker.shared;
    let accepted = shared.clock.mono();
    let Listed { gate, limits } = compiled
        .listed(agent)
        .unwrap_or_else(|| shared.quota.unlisted(agent));
    let body = serde_json::json!({
        "model": model.as_str(),
        "messages": [{ "role": "user", "content": prompt }],
    });
    let request = ChatRequest::read(Bytes::from(body.to_string()));
    let (ids, trail) = begin(shared, step, payload);
    if let Some(trail) = &trail {
        trail.identified(agent, compiled.revision);
    }
    let planned = request
        .map(Ask::Chat)
        .map_err(|error| Refusal::bad_request(&error))
        .and_then(|ask| {
            let plan = chat::find_plan(worker, compiled, &ask)?;
            if let Some(trail) = &trail {
                trail.asks(&ask, &plan);
            }
            chat::may_use(compiled, &plan, agent)?;
            Ok((ask, plan))
        });
    let (ask, plan) = match planned {
        Ok(planned) => planned,
        Err(refusal) => return Asked::refused(refusal, &ids, Vec::new()),
    };
    let total = compiled.policy.failover.timeouts.total;
    let patience = hook.definition.timeout.map_or(total, |own| own.min(total));
    let deadline = accepted.after(patience);
    let mut record = Record::begin(
        shared,
        compiled,
        &plan,
        agent.clone(),
        Request::of(&ask, ids.request(), trail.as_ref()),
        accepted,
    );
    let exchange = Exchange {
        worker,
        compiled,
        plan: &plan,
        agent,
        gate: &gate,
        ask: &ask,
        ids: &ids,
        forwarded: &HeaderMap::new(),
        drill: &[],
        deadline,
    };
    match exchange.run(&mut record).await {
        Ok(answered) => Asked::answered(answered, &plan, record, ask.bytes()),
        Err(failed) => {
            record.end(Ending::Failed);
            let calls = failed.attempts.iter().filter_map(AttemptReport::call);
            let calls = calls.collect();
            let now = shared.clock.wall();
            let refusal = Refusal::failed(failed, agent, limits.as_ref(), now);
            Asked::refused(refusal, &ids, calls)
        }
    }
}

/// Names the run, in its sender's trace if the delivery was in one; else in the execution's own, which
/// its callbacks are in as well.
fn begin(shared: &Arc<Shared>, step: &Step, payload: &Payload) -> (Ids, Option<Arc<Trail>>) {
    let mut headers = payload.headers.iter();
    let parent = headers
        .find(|(name, _)| name == "traceparent")
        .and_then(|(_, value)| Parent::parse(value));
    let trace = parent.map_or_else(|| step.execution.to_bits(), |parent| parent.trace);
    let ids = Ids::draw(Some(trace));
    let trail = Trail::begin(shared, &ids, parent, || Origin::Webhook {
        name: step.webhook.to_string(),
        execution: step.execution,
    });
    (ids, trail)
}

impl Asked {
    fn answered(
        answered: Answered,
        plan: &crate::plan::Plan,
        mut record: Record,
        input_bytes: u64,
    ) -> Self {
        let mut calls: Vec<_> = answered
            .before
            .iter()
            .filter_map(AttemptReport::call)
            .collect();
        let place = answered.target;
        let (Gain::Whole(answer), Some(target)) = (answered.gain, plan.targets.get(place)) else {
            record.end(Ending::Failed);
            let message = "the answer is not what was asked for";
            return Self {
                outcome: Some(Err(failure("upstream", message, false))),
                ..Self::default()
            };
        };
        let bill = Bill::of(target, answer.billed(input_bytes));
        record.bill(place, bill);
        record.watch(|trail| {
            trail.answer(answer.model.as_deref(), answer.finish);
            trail.says(&answer.body);
        });
        record.end(Ending::Answered);
        calls.push(ModelCall {
            model: target.model.clone(),
            provider: target.provider.name.clone(),
            outcome: "ok".to_owned(),
        });
        let outcome = match text_of(&answer.body) {
            Some(output) => Ok(Answer {
                model: target.model.clone(),
                output: cut(&output, WEBHOOK_OUTPUT_BYTES),
                input: bill.usage.total_input(),
                output_tokens: bill.usage.total_output(),
                cost: match bill.cost {
                    Cost::Known(amount, _) => Some(amount),
                    Cost::Unknown => None,
                },
            }),
            None => Err(failure("upstream", "the model's answer has no text", false)),
        };
        Self {
            calls,
            outcome: Some(outcome),
        }
    }

    fn refused(refusal: Refusal, ids: &Ids, calls: Vec<ModelCall>) -> Self {
        let (reason, message) = (refusal.reason, refusal.message().to_owned());
        let (status, headers, _) = refusal.into_parts(&Voice::new(Caller::Chat, ids.clone()));
        let kind = match reason {
            "budget_exceeded" => "budget",
            "rate_limit_exceeded" | "quota_unavailable" | "overloaded" => "limit",
            "deadline" => "timeout",
            "upstream_failed" | "refused_by_provider" if status == StatusCode::GATEWAY_TIMEOUT => {
                "timeout"
            }
            "upstream_failed" | "refused_by_provider" => "upstream",
            _ if status == StatusCode::TOO_MANY_REQUESTS => "limit",
            _ => "policy",
        };
        // A budget is spent until its period ends, which is longer than anybody waits.
        let is_passing = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
        let seconds = headers
            .get(RETRY_AFTER)
            .and_then(|it| it.to_str().ok()?.parse().ok());
        Self {
            calls,
            outcome: Some(Err(Failure {
                retry_after: seconds.map(Duration::from_secs),
                ..failure(kind, &message, is_passing && kind != "budget")
            })),
        }
    }
}

fn failure(kind: &str, message: &str, retryable: bool) -> Failure {
    Failure {
        kind: kind.to_owned(),
        message: cut(message, WEBHOOK_ERROR_TEXT.min(WEBHOOK_TRY_TEXT)),
        retryable,
        retry_after: None,
    }
}

/// The text of an answer in OpenAI's dialect.
fn text_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Whole {
        choices: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        message: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        content: Option<String>,
    }
    let whole: Whole = serde_json::from_slice(body).ok()?;
    whole.choices.into_iter().next()?.message.content
}

/// The beginning of `text`, at most `most` bytes of it.
fn cut(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_answer_is_its_first_choice() {
        let body = br#"{"choices":[{"message":{"role":"assistant","content":"a"}},{"message":{"content":"b"}}]}"#;
        assert_eq!(text_of(body).as_deref(), Some("a"));
        for body in [
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":null}}]}"#,
            "x",
        ] {
            assert_eq!(text_of(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("a\u{e9}b", 2), "a");
        assert_eq!(cut("a\u{e9}b", 3), "a\u{e9}");
        assert_eq!(cut("ab", 9), "ab");
    }
}
