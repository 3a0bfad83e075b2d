//! Chains and the settings of failover.

use std::collections::BTreeSet;

use agix_core::id::ModelName;
use agix_core::limits::CHAIN_TARGETS;
use agix_core::policy::{
    BreakerSettings, Chain, FailoverSettings, MinThroughput, RetryBudgetSettings, StreamRescue,
    Timeouts,
};
use agix_core::units::CostRatio;

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{
    Enumeration, checked, entries, enum_value, enumeration, name, positive, positive_millis,
    required, to_millis,
};
use crate::v1;

enumeration!(StreamRescue, v1::StreamRescue: Off = Off, Buffer = Buffer, Continue = Continue);

impl From<&FailoverSettings> for v1::FailoverSettings {
    fn from(settings: &FailoverSettings) -> Self {
        let FailoverSettings {
            max_retries,
            same_model_retries,
            max_cost_ratio,
            timeouts,
            stream_rescue,
            min_throughput,
            breaker,
            retry_budget,
            drop_unsupported,
        } = settings;
        Self {
            max_retries: *max_retries,
            same_model_retries: *same_model_retries,
            max_cost_ratio_thousandths: max_cost_ratio.map(CostRatio::as_thousandths),
            timeouts: Some((*timeouts).into()),
            stream_rescue: stream_rescue.number(),
            min_throughput: min_throughput.map(Into::into),
            breaker: Some((*breaker).into()),
            retry_budget: Some((*retry_budget).into()),
            drop_unsupported: *drop_unsupported,
        }
    }
}

impl TryFrom<v1::FailoverSettings> for FailoverSettings {
    type Error = InvalidMessage;

    fn try_from(wire: v1::FailoverSettings) -> Result<Self, InvalidMessage> {
        let v1::FailoverSettings {
            max_retries,
            same_model_retries,
            max_cost_ratio_thousandths,
            timeouts,
            stream_rescue,
            breaker,
            retry_budget,
            drop_unsupported,
            min_throughput,
        } = wire;
        Ok(Self {
            max_retries,
            same_model_retries,
            max_cost_ratio: checked(
                max_cost_ratio_thousandths,
                CostRatio::from_thousandths,
                "greater than zero",
                "max_cost_ratio_thousandths",
            )?,
            timeouts: required(timeouts)
                .map_err(InvalidMessage::from)
                .and_then(Timeouts::try_from)
                .at("timeouts")?,
            stream_rescue: enum_value(stream_rescue, "stream_rescue")?,
            min_throughput: min_throughput
                .map(MinThroughput::try_from)
                .transpose()
                .at("min_throughput")?,
            breaker: required(breaker)
                .map_err(InvalidMessage::from)
                .and_then(BreakerSettings::try_from)
                .at("breaker")?,
            retry_budget: retry_budget
                .map_or_else(RetryBudgetSettings::default, RetryBudgetSettings::from),
            drop_unsupported,
        })
    }
}

impl From<Timeouts> for v1::Timeouts {
    fn from(timeouts: Timeouts) -> Self {
        let Timeouts {
            connect,
            first_token,
            idle,
            total,
        } = timeouts;
        Self {
            connect_ms: to_millis(connect),
            first_token_ms: to_millis(first_token),
            idle_ms: to_millis(idle),
            total_ms: to_millis(total),
        }
    }
}

impl TryFrom<v1::Timeouts> for Timeouts {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Timeouts) -> Result<Self, InvalidMessage> {
        let v1::Timeouts {
            connect_ms,
            first_token_ms,
            idle_ms,
            total_ms,
        } = wire;
        Ok(Self {
            connect: positive_millis(connect_ms, "connect_ms")?,
            first_token: positive_millis(first_token_ms, "first_token_ms")?,
            idle: positive_millis(idle_ms, "idle_ms")?,
            total: positive_millis(total_ms, "total_ms")?,
        })
    }
}

impl From<BreakerSettings> for v1::Breaker {
    fn from(settings: BreakerSettings) -> Self {
        let BreakerSettings {
            consecutive_failures,
            error_percent,
            min_requests,
            window,
            open,
            max_open,
        } = settings;
        Self {
            consecutive_failures,
            error_percent: error_percent.into(),
            min_requests,
            window_ms: to_millis(window),
            open_ms: to_millis(open),
            max_open_ms: to_millis(max_open),
        }
    }
}

impl TryFrom<v1::Breaker> for BreakerSettings {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Breaker) -> Result<Self, InvalidMessage> {
        let v1::Breaker {
            consecutive_failures,
            error_percent,
            min_requests,
            window_ms,
            open_ms,
            max_open_ms,
        } = wire;
        let Ok(error_percent @ 1..=100) = u8::try_from(error_percent) else {
            return Err(InvalidField::Range("1 to 100")).at("error_percent");
        };
        Ok(Self {
            consecutive_failures: positive(consecutive_failures, "consecutive_failures")?,
            error_percent,
            min_requests: positive(min_requests, "min_requests")?,
            window: positive_millis(window_ms, "window_ms")?,
            open: positive_millis(open_ms, "open_ms")?,
            max_open: positive_millis(max_open_ms, "max_open_ms")?,
        })
    }
}

impl From<MinThroughput> for v1::MinThroughput {
    fn from(settings: MinThroughput) -> Self {
        let MinThroughput {
            tokens_per_second,
            window,
        } = settings;
        Self {
            tokens_per_second,
            window_ms: to_millis(window),
        }
    }
}

impl TryFrom<v1::MinThroughput> for MinThroughput {
    type Error = InvalidMessage;

    fn try_from(wire: v1::MinThroughput) -> Result<Self, InvalidMessage> {
        let v1::MinThroughput {
            tokens_per_second,
            window_ms,
        } = wire;
        Ok(Self {
            tokens_per_second: positive(tokens_per_second, "tokens_per_second")?,
            window: positive_millis(window_ms, "window_ms")?,
        })
    }
}

impl From<RetryBudgetSettings> for v1::RetryBudget {
    fn from(settings: RetryBudgetSettings) -> Self {
        let RetryBudgetSettings { percent, at_least } = settings;
        Self { percent, at_least }
    }
}

impl From<v1::RetryBudget> for RetryBudgetSettings {
    fn from(wire: v1::RetryBudget) -> Self {
        let v1::RetryBudget { percent, at_least } = wire;
        Self { percent, at_least }
    }
}

impl From<(&ModelName, &Chain)> for v1::ChainEntry {
    fn from((model, chain): (&ModelName, &Chain)) -> Self {
        let Chain {
            targets,
            stream_rescue,
        } = chain;
        Self {
            model: model.as_str().to_owned(),
            targets: targets
                .iter()
                .map(|target| target.as_str().to_owned())
                .collect(),
            stream_rescue: stream_rescue.map(Enumeration::number),
        }
    }
}

impl TryFrom<v1::ChainEntry> for (ModelName, Chain) {
    type Error = InvalidMessage;

    fn try_from(wire: v1::ChainEntry) -> Result<Self, InvalidMessage> {
        let v1::ChainEntry {
            model,
            targets,
            stream_rescue,
        } = wire;
        entries(&targets, 1, CHAIN_TARGETS, "targets")?;
        let model: ModelName = name(&model, "model")?;
        let mut seen = BTreeSet::from([model.clone()]);
        let targets = targets
            .iter()
            .enumerate()
            .map(|(index, text)| {
                let target: ModelName = text
                    .parse()
                    .map_err(InvalidField::Name)
                    .at_entry("targets", index)?;
                if !seen.insert(target.clone()) {
                    return Err(InvalidField::Range("a model not yet in the chain"))
                        .at_entry("targets", index);
                }
                Ok(target)
            })
            .collect::<Result<_, InvalidMessage>>()?;
        let stream_rescue = stream_rescue
            .map(|number| enum_value(number, "stream_rescue"))
            .transpose()?;
        let chain = Chain {
            targets,
            stream_rescue,
        };
        Ok((model, chain))
    }
}
