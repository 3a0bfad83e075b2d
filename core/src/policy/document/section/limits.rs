//! `rate_limits` and `budgets`.

use std::collections::{BTreeMap, BTreeSet};

use super::{named, sound};
use crate::id::{AgentName, WebhookName};
use crate::limits::BUDGET_ALERTS;
use crate::policy::document::Reader;
use crate::policy::document::field::{self, Field, Whole};
use crate::policy::document::tree::{Node, Value};
use crate::policy::{Budget, Enforcement, OnOutage, RateLimits, TimeZoneName, code};
use crate::units::{AlertPercent, MoneyLimit, RequestLimit, TokenLimit};

/// The keys of an entry of `rate_limits`.
const RATE_LIMITS: [&str; 5] = [
    "requests_per_minute",
    "requests_per_hour",
    "tokens_per_minute",
    "max_concurrent",
    "on_outage",
];
const ON_OUTAGE: [(&str, OnOutage); 3] = [
    ("deny", OnOutage::Deny),
    ("held", OnOutage::Held),
    ("allow", OnOutage::Allow),
];
const ENFORCEMENT: [(&str, Enforcement); 2] =
    [("hard", Enforcement::Hard), ("soft", Enforcement::Soft)];
const PERCENT: Whole = Whole {
    least: 1,
    most: 100,
};
const TOKENS: Whole = Whole {
    least: 1,
    most: 1_000_000_000_000,
};

/// Whether `node` is a mapping of nothing but rate limits.
pub(super) fn are_rate_limits(node: &Node<'_>) -> bool {
    match node.value() {
        Value::Map(entries) => {
            let is_limit = |key: &str| RATE_LIMITS.contains(&key);
            !entries.is_empty() && entries.iter().all(|entry| is_limit(&entry.key))
        }
        _ => false,
    }
}

pub(super) fn rate_limits(
    parts: &[Field<'_, '_>],
    stray: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> BTreeMap<AgentName, RateLimits> {
    let mut fields = field::all_entries(parts, reader);
    fields.extend(stray);
    let fields = field::without_duplicates(fields, reader);
    named(&fields, reader, |field, reader| {
        sound(field, reader, rate_limit)
    })
}

fn rate_limit(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<RateLimits> {
    let [minute, hour, tokens, concurrent, on_outage] = field.record(reader, RATE_LIMITS)?;
    let mut limit = |field: Option<Field<'_, '_>>| {
        field
            .and_then(|field| field.whole_u32(reader, Whole::LIMIT))
            .and_then(RequestLimit::new)
    };
    Some(RateLimits {
        requests_per_minute: limit(minute),
        requests_per_hour: limit(hour),
        max_concurrent: limit(concurrent),
        tokens_per_minute: tokens
            .and_then(|field| field.whole(reader, TOKENS))
            .and_then(TokenLimit::new),
        on_outage: on_outage
            .and_then(|field| field.choice(reader, &ON_OUTAGE))
            .unwrap_or_default(),
    })
}

pub(super) fn budgets(
    parts: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
) -> BTreeMap<AgentName, Budget> {
    let fields = field::entries(parts, reader);
    named(&fields, reader, |field, reader| {
        sound(field, reader, budget)
    })
}

fn budget(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Budget> {
    let keys = [
        "daily_limit_usd",
        "monthly_limit_usd",
        "alert_at_percent",
        "alert_webhook",
        "timezone",
        "enforcement",
        "on_outage",
    ];
    let [
        daily,
        monthly,
        alert,
        webhook,
        timezone,
        enforcement,
        on_outage,
    ] = field.record(reader, keys)?;
    Some(Budget {
        daily: daily.and_then(|field| money(&field, reader)),
        monthly: monthly.and_then(|field| money(&field, reader)),
        alert_at_percent: alert
            .map(|field| alerts(&field, reader))
            .unwrap_or_default(),
        alert_webhook: webhook
            .and_then(|field| field.name(reader))
            .unwrap_or_else(WebhookName::budget_alert),
        timezone: match timezone {
            Some(field) => time_zone(&field, reader)?,
            None => reader.utc.clone(),
        },
        enforcement: enforcement
            .and_then(|field| field.choice(reader, &ENFORCEMENT))
            .unwrap_or_default(),
        on_outage: on_outage.and_then(|field| field.choice(reader, &ON_OUTAGE)),
    })
}

/// One threshold, or a list of them.
fn alerts(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> BTreeSet<AlertPercent> {
    let one = |field: &Field<'_, '_>, reader: &mut Reader<'_>| {
        let percent = field.whole(reader, PERCENT)?;
        AlertPercent::new(percent)
    };
    if !matches!(field.node.value(), Value::List(_)) {
        return one(field, reader).into_iter().collect();
    }
    let items = field.items(reader).unwrap_or_default();
    if items.len() > BUDGET_ALERTS {
        field.too_long(reader, &format!("{} entries", items.len()), BUDGET_ALERTS);
        return BTreeSet::new();
    }
    let mut found = BTreeSet::new();
    for item in &items {
        let Some(percent) = one(item, reader) else {
            continue;
        };
        if !found.insert(percent) {
            let message = format!("{} is there twice", item.path.label());
            item.error(reader, code::BAD_NUMBER, message);
        }
    }
    found
}

fn money(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<MoneyLimit> {
    let amount = field.decimal(reader)?;
    field.number(reader, MoneyLimit::from_usd(amount))
}

fn time_zone(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<TimeZoneName> {
    let name = field.text(reader)?;
    let zone = reader.zone(name);
    if zone.is_none() {
        let message = format!("{} names no known time zone", field.path.label());
        let help = "write a name of the IANA database, such as `UTC` or `Europe/Berlin`";
        field.error_with(reader, code::BAD_TIME_ZONE, message, help);
    }
    zone
}
