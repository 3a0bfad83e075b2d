//! `audit` and `tracing`.

use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field};
use crate::policy::{Audit, Tracing, code};
use crate::units::{InvalidDecimal, SampleRate};

pub(super) fn audit(parts: &[Field<'_, '_>], reader: &mut Reader<'_>) -> Audit {
    let [enabled, content_log] = field::record(parts, reader, ["enabled", "content_log"]);
    Audit {
        enabled: enabled
            .and_then(|field| field.flag(reader))
            .unwrap_or_default(),
        content_log: content_log
            .and_then(|field| field.flag(reader))
            .unwrap_or_default(),
    }
}

pub(super) fn tracing(parts: &[Field<'_, '_>], reader: &mut Reader<'_>) -> Tracing {
    let keys = ["enabled", "sample_rate", "propagate"];
    let [enabled, sample_rate, propagate] = field::record(parts, reader, keys);
    let default = Tracing::default();
    Tracing {
        enabled: enabled
            .and_then(|field| field.flag(reader))
            .unwrap_or(default.enabled),
        sample_rate: sample_rate
            .and_then(|field| rate(&field, reader))
            .unwrap_or(default.sample_rate),
        propagate: propagate
            .and_then(|field| field.flag(reader))
            .unwrap_or(default.propagate),
    }
}

fn rate(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<SampleRate> {
    let share = field.decimal(reader)?;
    match SampleRate::from_decimal(share) {
        Err(InvalidDecimal::TooLarge | InvalidDecimal::Negative) => {
            let message = format!("`{}` must lie between 0 and 1", field.path.name());
            let help = "0.1 traces one request of ten";
            field.error_with(reader, code::BAD_NUMBER, message, help);
            None
        }
        outcome => field.number(reader, outcome),
    }
}
