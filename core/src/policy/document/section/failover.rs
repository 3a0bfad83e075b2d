//! `failover`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::named;
use crate::id::ModelName;
use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field, Whole};
use crate::policy::{
    BreakerSettings, Chain, FailoverSettings, MinThroughput, RetryBudgetSettings, StreamRescue,
    Timeouts,
};
use crate::units::CostRatio;

const STREAM_RESCUE: [(&str, StreamRescue); 3] = [
    ("off", StreamRescue::Off),
    ("buffer", StreamRescue::Buffer),
    ("continue", StreamRescue::Continue),
];
/// Time over which the least of a stream is counted, unless the document says otherwise.
const THROUGHPUT_WINDOW: Duration = Duration::from_secs(20);
const COUNT: Whole = Whole {
    least: 0,
    most: 0xFFFF_FFFF,
};

pub(super) fn read(
    parts: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> (FailoverSettings, BTreeMap<ModelName, Chain>) {
    let keys = [
        "max_retries",
        "chains",
        "same_model_retries",
        "max_cost_ratio",
        "timeouts",
        "stream_rescue",
        "min_throughput",
        "breaker",
        "retry_budget",
        "drop_unsupported",
    ];
    let [
        max_retries,
        chains,
        same_model_retries,
        ratio,
        timeouts,
        rescue,
        throughput,
        breaker,
        retry_budget,
        drop_unsupported,
    ] = field::record(parts, reader, keys);
    let default = FailoverSettings::default();
    let settings = FailoverSettings {
        max_retries: max_retries.and_then(|field| field.whole_u32(reader, COUNT)),
        same_model_retries: same_model_retries
            .and_then(|field| field.whole_u32(reader, COUNT))
            .unwrap_or(default.same_model_retries),
        max_cost_ratio: ratio.and_then(|field| {
            let ratio = field.decimal(reader)?;
            field.number(reader, CostRatio::from_decimal(ratio))
        }),
        timeouts: timeouts
            .and_then(|field| read_timeouts(&field, reader))
            .unwrap_or_default(),
        stream_rescue: rescue
            .and_then(|field| field.choice(reader, &STREAM_RESCUE))
            .unwrap_or_default(),
        min_throughput: throughput.and_then(|field| read_throughput(&field, reader)),
        breaker: breaker
            .and_then(|field| read_breaker(&field, reader))
            .unwrap_or_default(),
        retry_budget: retry_budget
            .and_then(|field| read_retry_budget(&field, reader))
            .unwrap_or_default(),
        drop_unsupported: drop_unsupported
            .and_then(|field| field.flag(reader))
            .unwrap_or_default(),
    };
    let fields = chains.map_or_else(Vec::new, |chains| vec![chains]);
    let fields = field::entries(&fields, reader);
    (settings, named(&fields, reader, chain))
}

fn read_timeouts(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Timeouts> {
    let keys = ["connect", "first_token", "idle", "total"];
    let [connect, first_token, idle, total] = field.record(reader, keys)?;
    let default = Timeouts::default();
    let mut time = |field, default| time(field, default, reader);
    Some(Timeouts {
        connect: time(connect, default.connect),
        first_token: time(first_token, default.first_token),
        idle: time(idle, default.idle),
        total: time(total, default.total),
    })
}

fn read_throughput(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<MinThroughput> {
    let [tokens, window] = field.record(reader, ["tokens_per_second", "window"])?;
    let Some(tokens) = tokens else {
        let help = "say how many output tokens a second are the least";
        field.missing(reader, "tokens_per_second", help);
        return None;
    };
    let tokens_per_second = tokens.whole_u32(reader, Whole::LIMIT)?;
    Some(MinThroughput {
        tokens_per_second,
        window: time(window, THROUGHPUT_WINDOW, reader),
    })
}

fn read_breaker(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<BreakerSettings> {
    let keys = [
        "consecutive_failures",
        "error_percent",
        "min_requests",
        "window",
        "open",
        "max_open",
    ];
    let [failures, percent, requests, window, open, max_open] = field.record(reader, keys)?;
    let default = BreakerSettings::default();
    let mut count = |field: Option<Field<'_, '_>>, default| {
        field
            .and_then(|field| field.whole_u32(reader, Whole::LIMIT))
            .unwrap_or(default)
    };
    let consecutive_failures = count(failures, default.consecutive_failures);
    let min_requests = count(requests, default.min_requests);
    let percentage = Whole {
        least: 1,
        most: 100,
    };
    let error_percent = percent
        .and_then(|field| field.whole(reader, percentage))
        .and_then(|percent| u8::try_from(percent).ok())
        .unwrap_or(default.error_percent);
    let mut time = |field, default| time(field, default, reader);
    Some(BreakerSettings {
        consecutive_failures,
        error_percent,
        min_requests,
        window: time(window, default.window),
        open: time(open, default.open),
        max_open: time(max_open, default.max_open),
    })
}

fn read_retry_budget(
    field: &Field<'_, '_>,
    reader: &mut Reader<'_>,
) -> Option<RetryBudgetSettings> {
    let [percent, at_least] = field.record(reader, ["percent", "at_least"])?;
    let default = RetryBudgetSettings::default();
    let mut count = |field: Option<Field<'_, '_>>, default| {
        field
            .and_then(|field| field.whole_u32(reader, COUNT))
            .unwrap_or(default)
    };
    Some(RetryBudgetSettings {
        percent: count(percent, default.percent),
        at_least: count(at_least, default.at_least),
    })
}

fn time(field: Option<Field<'_, '_>>, default: Duration, reader: &mut Reader<'_>) -> Duration {
    field
        .and_then(|field| field.duration(reader, false))
        .unwrap_or(default)
}

/// Reads a chain: its targets, or these and what is set for it.
fn chain(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Chain> {
    if !field.is_map() {
        return targets(field, reader).map(|targets| Chain {
            targets,
            stream_rescue: None,
        });
    }
    let [listed, rescue] = field.record(reader, ["targets", "stream_rescue"])?;
    let stream_rescue = rescue.and_then(|field| field.choice(reader, &STREAM_RESCUE));
    let Some(listed) = listed else {
        field.missing(reader, "targets", "name the models to fall back to");
        return None;
    };
    Some(Chain {
        targets: targets(&listed, reader)?,
        stream_rescue,
    })
}

/// Reads the targets of a chain. A target that cannot be read gets a stand-in, so that the others keep their
/// places and are checked.
fn targets(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Vec<ModelName>> {
    let items = field.items(reader)?;
    let stand_in = |index: usize| ModelName::new(&format!("openai/target-{index}")).ok();
    let target =
        |(index, item): (usize, &Field<'_, '_>)| item.name(reader).or_else(|| stand_in(index));
    Some(items.iter().enumerate().filter_map(target).collect())
}
