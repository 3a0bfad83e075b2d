//! Payloads, results, outcomes.

use std::time::Duration;

use agix_core::ledger::AlertPeriod;
use agix_core::limits::{
    ATTEMPTS, HEADERS, WEBHOOK_ERROR_TEXT, WEBHOOK_HEADER_BYTES, WEBHOOK_OUTPUT_BYTES,
    WEBHOOK_PAYLOAD_BYTES, WEBHOOK_PROMPT_BYTES, WEBHOOK_TRY_TEXT,
};
use agix_core::quota::Day;
use agix_core::units::{AlertPercent, NanoUsd, Tokens};
use agix_core::webhook::outcome::{
    Answer, BudgetAlert, CallbackOutcome, CallbackResult, Failure, ModelCall, Payload, RunResult,
};

use crate::convert::error::{At, InvalidField, InvalidMessage};
use crate::convert::field::{bounded, entries, list, name, required, to_millis};
use crate::v1;
use crate::v1::callback_outcome::Outcome as Posted;
use crate::v1::webhook_result::Outcome as Ran;

impl From<&Payload> for v1::WebhookPayload {
    fn from(payload: &Payload) -> Self {
        let Payload {
            body,
            headers,
            alert,
        } = payload;
        let headers = headers.iter().map(|(name, value)| v1::WebhookHeader {
            name: name.clone(),
            value: value.clone(),
        });
        Self {
            body: body.to_vec(),
            headers: headers.collect(),
            alert: alert.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::WebhookPayload> for Payload {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookPayload) -> Result<Self, InvalidMessage> {
        let v1::WebhookPayload {
            body,
            headers,
            alert,
        } = wire;
        if body.len() > WEBHOOK_PAYLOAD_BYTES {
            return Err(InvalidField::TooLong(WEBHOOK_PAYLOAD_BYTES)).at("body");
        }
        entries(&headers, 0, HEADERS, "headers")?;
        let headers = headers.into_iter().enumerate().map(|(index, header)| {
            let v1::WebhookHeader { name, value } = header;
            let name = bounded(name, WEBHOOK_HEADER_BYTES, "name");
            let value = bounded(value, WEBHOOK_HEADER_BYTES, "value");
            name.and_then(|name| Ok((name, value?)))
                .at_entry("headers", index)
        });
        Ok(Self {
            body: body.into(),
            headers: headers.collect::<Result<_, _>>()?,
            alert: alert.map(BudgetAlert::try_from).transpose().at("alert")?,
        })
    }
}

impl From<&BudgetAlert> for v1::BudgetAlert {
    fn from(alert: &BudgetAlert) -> Self {
        let BudgetAlert {
            agent,
            period,
            percent,
            limit,
            spent,
        } = alert;
        Self {
            agent: agent.to_string(),
            period: match period {
                AlertPeriod::Day(day) => day.number(),
                AlertPeriod::Month(month) => month.first_day().number().saturating_sub(1),
            },
            percent: u32::from(percent.get()),
            limit_nano_usd: limit.as_nanos(),
            spent_nano_usd: spent.as_nanos(),
        }
    }
}

impl TryFrom<v1::BudgetAlert> for BudgetAlert {
    type Error = InvalidMessage;

    fn try_from(wire: v1::BudgetAlert) -> Result<Self, InvalidMessage> {
        let v1::BudgetAlert {
            agent,
            period,
            percent,
            limit_nano_usd,
            spent_nano_usd,
        } = wire;
        let first_of_month = period.saturating_add(1);
        let read = match period.checked_rem(100) {
            Some(0) => Day::from_number(first_of_month).map(|day| AlertPeriod::Month(day.month())),
            _ => Day::from_number(period).map(AlertPeriod::Day),
        };
        let is_percent = || InvalidField::Range("1 to 100");
        Ok(Self {
            agent: name(&agent, "agent")?,
            period: read
                .map_err(|_invalid| InvalidField::Range("a day or a month"))
                .at("period")?,
            percent: AlertPercent::new(u64::from(percent))
                .ok_or_else(is_percent)
                .at("percent")?,
            limit: NanoUsd::from_nanos(limit_nano_usd),
            spent: NanoUsd::from_nanos(spent_nano_usd),
        })
    }
}

impl From<&RunResult> for v1::WebhookResult {
    fn from(result: &RunResult) -> Self {
        let RunResult {
            outcome,
            latency,
            prompt,
            calls,
        } = result;
        let outcome = match outcome {
            Ok(answer) => Ran::Answer(answer.into()),
            Err(failure) => Ran::Failure(failure.into()),
        };
        let calls = calls.iter().map(|call| {
            let ModelCall {
                model,
                provider,
                outcome,
            } = call;
            v1::ModelCall {
                model: model.to_string(),
                provider: provider.to_string(),
                outcome: outcome.clone(),
            }
        });
        Self {
            outcome: Some(outcome),
            latency_ms: to_millis(*latency),
            prompt: prompt.clone(),
            calls: calls.collect(),
        }
    }
}

impl TryFrom<v1::WebhookResult> for RunResult {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookResult) -> Result<Self, InvalidMessage> {
        let v1::WebhookResult {
            outcome,
            latency_ms,
            prompt,
            calls,
        } = wire;
        let outcome = match required(outcome).at("outcome")? {
            Ran::Answer(answer) => Ok(Answer::try_from(answer).at("answer")?),
            Ran::Failure(failure) => Err(Failure::try_from(failure).at("failure")?),
        };
        let prompt = prompt.map(|prompt| bounded(prompt, WEBHOOK_PROMPT_BYTES, "prompt"));
        Ok(Self {
            outcome,
            latency: Duration::from_millis(latency_ms),
            prompt: prompt.transpose()?,
            calls: list(calls, ATTEMPTS, "calls")?,
        })
    }
}

impl TryFrom<v1::ModelCall> for ModelCall {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ModelCall) -> Result<Self, InvalidMessage> {
        let v1::ModelCall {
            model,
            provider,
            outcome,
        } = wire;
        Ok(Self {
            model: name(&model, "model")?,
            provider: name(&provider, "provider")?,
            outcome: bounded(outcome, WEBHOOK_TRY_TEXT, "outcome")?,
        })
    }
}

impl From<&Answer> for v1::WebhookAnswer {
    fn from(answer: &Answer) -> Self {
        let Answer {
            model,
            output,
            input,
            output_tokens,
            cost,
        } = answer;
        Self {
            model: model.to_string(),
            output: output.clone(),
            input_tokens: input.get(),
            output_tokens: output_tokens.get(),
            cost_nano_usd: cost.map(NanoUsd::as_nanos),
        }
    }
}

impl TryFrom<v1::WebhookAnswer> for Answer {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookAnswer) -> Result<Self, InvalidMessage> {
        let v1::WebhookAnswer {
            model,
            output,
            input_tokens,
            output_tokens,
            cost_nano_usd,
        } = wire;
        Ok(Self {
            model: name(&model, "model")?,
            output: bounded(output, WEBHOOK_OUTPUT_BYTES, "output")?,
            input: Tokens::new(input_tokens),
            output_tokens: Tokens::new(output_tokens),
            cost: cost_nano_usd.map(NanoUsd::from_nanos),
        })
    }
}

impl From<&Failure> for v1::WebhookFailure {
    fn from(failure: &Failure) -> Self {
        let Failure {
            kind,
            message,
            retryable,
            retry_after,
        } = failure;
        Self {
            kind: kind.clone(),
            message: message.clone(),
            retryable: *retryable,
            retry_after_ms: retry_after.map(to_millis),
        }
    }
}

impl TryFrom<v1::WebhookFailure> for Failure {
    type Error = InvalidMessage;

    fn try_from(wire: v1::WebhookFailure) -> Result<Self, InvalidMessage> {
        let v1::WebhookFailure {
            kind,
            message,
            retryable,
            retry_after_ms,
        } = wire;
        Ok(Self {
            kind: bounded(kind, WEBHOOK_TRY_TEXT, "kind")?,
            message: bounded(message, WEBHOOK_ERROR_TEXT, "message")?,
            retryable,
            retry_after: retry_after_ms.map(Duration::from_millis),
        })
    }
}

impl From<&CallbackResult> for v1::CallbackOutcome {
    fn from(result: &CallbackResult) -> Self {
        let CallbackResult { outcome, latency } = result;
        let outcome = match outcome {
            CallbackOutcome::Answered {
                status,
                retry_after,
            } => Posted::Answer(v1::CallbackAnswer {
                status: u32::from(*status),
                retry_after_ms: retry_after.map(to_millis),
            }),
            CallbackOutcome::Failed(why) => Posted::Failure(why.clone()),
            CallbackOutcome::Refused(why) => Posted::Refused(why.clone()),
            CallbackOutcome::NoCallback => Posted::None(v1::CallbackNone {}),
        };
        Self {
            outcome: Some(outcome),
            latency_ms: to_millis(*latency),
        }
    }
}

impl TryFrom<v1::CallbackOutcome> for CallbackResult {
    type Error = InvalidMessage;

    fn try_from(wire: v1::CallbackOutcome) -> Result<Self, InvalidMessage> {
        let v1::CallbackOutcome {
            outcome,
            latency_ms,
        } = wire;
        let text = |text, field| bounded(text, WEBHOOK_ERROR_TEXT, field);
        let outcome = match required(outcome).at("outcome")? {
            Posted::Answer(v1::CallbackAnswer {
                status,
                retry_after_ms,
            }) => CallbackOutcome::Answered {
                status: u16::try_from(status)
                    .map_err(|_large| InvalidField::Range("a status of HTTP"))
                    .at("answer.status")?,
                retry_after: retry_after_ms.map(Duration::from_millis),
            },
            Posted::Failure(why) => CallbackOutcome::Failed(text(why, "failure")?),
            Posted::Refused(why) => CallbackOutcome::Refused(text(why, "refused")?),
            Posted::None(v1::CallbackNone {}) => CallbackOutcome::NoCallback,
        };
        Ok(Self {
            outcome,
            latency: Duration::from_millis(latency_ms),
        })
    }
}
