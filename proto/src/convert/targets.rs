//! What proxies and a control plane tell each other of targets.

use std::time::Duration;

use agix_core::failover::{PastError, Report, Reports, TargetId, TargetStatus, Word, Words};
use agix_core::limits::{TARGET_REASON_BYTES, TARGETS_OF_REPORT};

use super::error::{At, InvalidMessage};
use super::field::{bounded, entries, name, to_millis};
use crate::v1;

impl From<&Reports> for v1::TargetsRequest {
    fn from(reports: &Reports) -> Self {
        let Reports { proxy, targets } = reports;
        Self {
            proxy_id: proxy.as_str().to_owned(),
            targets: targets.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::TargetsRequest> for Reports {
    type Error = InvalidMessage;

    fn try_from(wire: v1::TargetsRequest) -> Result<Self, InvalidMessage> {
        let v1::TargetsRequest { proxy_id, targets } = wire;
        entries(&targets, 0, TARGETS_OF_REPORT, "targets")?;
        let targets = targets.into_iter().enumerate();
        Ok(Self {
            proxy: name(&proxy_id, "proxy_id")?,
            targets: targets
                .map(|(index, report)| Report::try_from(report).at_entry("targets", index))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Report> for v1::TargetReport {
    fn from(report: &Report) -> Self {
        let Report {
            target,
            epoch,
            open,
            alone_for,
            recovered,
            passed_over,
            attempts,
            failures,
            error,
        } = report;
        Self {
            provider: target.provider.as_str().to_owned(),
            model: target.model.as_str().to_owned(),
            epoch: *epoch,
            open: *open,
            alone_for_ms: to_millis(*alone_for),
            recovered: *recovered,
            passed_over: *passed_over,
            attempts: *attempts,
            failures: *failures,
            error: error.as_ref().map(|(reason, age)| v1::TargetError {
                reason: reason.clone(),
                age_ms: to_millis(*age),
            }),
        }
    }
}

impl TryFrom<v1::TargetReport> for Report {
    type Error = InvalidMessage;

    fn try_from(wire: v1::TargetReport) -> Result<Self, InvalidMessage> {
        let v1::TargetReport {
            provider,
            model,
            epoch,
            open,
            recovered,
            passed_over,
            attempts,
            failures,
            error,
            alone_for_ms,
        } = wire;
        let error = error.map(|v1::TargetError { reason, age_ms }| {
            let reason = bounded(reason, TARGET_REASON_BYTES, "error.reason")?;
            Ok::<_, InvalidMessage>((reason, Duration::from_millis(age_ms)))
        });
        Ok(Self {
            target: TargetId {
                provider: name(&provider, "provider")?,
                model: name(&model, "model")?,
            },
            epoch,
            open,
            alone_for: Duration::from_millis(alone_for_ms),
            recovered,
            passed_over,
            attempts,
            failures,
            error: error.transpose()?,
        })
    }
}

impl From<&Words> for v1::TargetsResponse {
    fn from(Words(words): &Words) -> Self {
        Self {
            targets: words.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::TargetsResponse> for Words {
    type Error = InvalidMessage;

    fn try_from(wire: v1::TargetsResponse) -> Result<Self, InvalidMessage> {
        let v1::TargetsResponse { targets } = wire;
        let words = targets.into_iter().enumerate();
        words
            .map(|(index, word)| Word::try_from(word).at_entry("targets", index))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl From<&Word> for v1::TargetWord {
    fn from(word: &Word) -> Self {
        let Word {
            target,
            epoch,
            open,
            trial,
        } = word;
        Self {
            provider: target.provider.as_str().to_owned(),
            model: target.model.as_str().to_owned(),
            epoch: *epoch,
            open: *open,
            trial: *trial,
        }
    }
}

impl TryFrom<v1::TargetWord> for Word {
    type Error = InvalidMessage;

    fn try_from(wire: v1::TargetWord) -> Result<Self, InvalidMessage> {
        let v1::TargetWord {
            provider,
            model,
            epoch,
            open,
            trial,
        } = wire;
        Ok(Self {
            target: TargetId {
                provider: name(&provider, "provider")?,
                model: name(&model, "model")?,
            },
            epoch,
            open,
            trial,
        })
    }
}

impl From<(&TargetId, &TargetStatus)> for v1::TargetStatus {
    fn from((target, status): (&TargetId, &TargetStatus)) -> Self {
        let TargetStatus {
            open,
            open_at,
            attempts,
            failures,
            passed_over,
            errors,
        } = status;
        Self {
            model: target.model.as_str().to_owned(),
            provider: target.provider.as_str().to_owned(),
            open: *open,
            open_at: u32::try_from(*open_at).unwrap_or(u32::MAX),
            attempts: *attempts,
            failures: *failures,
            passed_over: *passed_over,
            errors: errors.iter().map(Into::into).collect(),
        }
    }
}

impl From<&PastError> for v1::PastError {
    fn from(error: &PastError) -> Self {
        let PastError { proxy, reason, at } = error;
        Self {
            proxy_id: proxy.as_str().to_owned(),
            reason: reason.clone(),
            at_unix_ms: at.as_millis(),
        }
    }
}
