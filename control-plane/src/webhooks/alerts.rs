//! Alerts that the ledger has put down, and what is too old to be looked for.

use std::sync::Arc;

use agix_core::id::WebhookName;
use agix_core::limits::WEBHOOK_FORGET_STEP;
use agix_core::policy::Policy;
use agix_core::time::Wall;
use agix_core::webhook::execution::ExecutionId;
use agix_core::webhook::outcome::{BudgetAlert, Payload};
use agix_core::webhook::queue::Input;
use agix_proto::v1;
use prost::Message as _;
use tracing::{error, info};

use super::write::half_day;
use crate::ledger::SHARD;
use crate::store::keyspace::Key;
use crate::store::{RangeError, RangeRequest, Store, StoreKey};

/// Half days for which deliveries are looked for; together at least a day.
pub(super) const HALF_DAYS: u32 = 3;

/// What was put down.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Executions to begin, unless they were.
    pub(super) alerts: Vec<(ExecutionId, Input)>,
    /// What goes when they are stored.
    pub(super) gone: Vec<StoreKey>,
}

/// Reads what the ledger has put down.
pub(super) async fn find<S: Store>(store: &S, policy: &Policy) -> Result<Found, RangeError> {
    let request = RangeRequest::new(Key::shard_alerts(SHARD)).limit(WEBHOOK_FORGET_STEP);
    let page = store.range(request).await?;
    let mut found = Found::default();
    for entry in page.entries {
        let Ok(Key::ShardAlerts(_, batch)) = Key::decode(&entry.key) else {
            continue;
        };
        match v1::BudgetAlerts::decode(&*entry.value) {
            Ok(alerts) => found.alerts.extend(begin(alerts, batch, policy)),
            Err(error) => {
                error!(%error, key = %entry.key, "alerts cannot be decoded; they are dropped");
            }
        }
        found.gone.push(entry.key);
    }
    Ok(found)
}

/// Old deliveries, a part of them.
pub(super) async fn old_deliveries<S: Store>(
    store: &S,
    now: Wall,
) -> Result<Vec<StoreKey>, RangeError> {
    let oldest = half_day(now).saturating_sub(HALF_DAYS.saturating_sub(1));
    let request = RangeRequest::new(Key::webhook_deliveries_before(oldest))
        .limit(WEBHOOK_FORGET_STEP)
        .keys_only();
    let page = store.range(request).await?;
    Ok(page.entries.into_iter().map(|entry| entry.key).collect())
}

fn begin(
    alerts: v1::BudgetAlerts,
    batch: u64,
    policy: &Policy,
) -> impl Iterator<Item = (ExecutionId, Input)> {
    let at = Wall::from_millis(i64::try_from(alerts.at_ms).unwrap_or(i64::MAX));
    alerts
        .alerts
        .into_iter()
        .zip(0_u128..)
        .filter_map(move |(alert, place)| {
            let alert = match BudgetAlert::try_from(alert) {
                Ok(alert) => alert,
                Err(error) => {
                    error!(%error, batch, "an alert is not what was written; it is dropped");
                    return None;
                }
            };
            let webhook = receiver(&alert, policy)?;
            // The same whenever it is made of the same alert.
            let id = ExecutionId::new(at, u128::from(batch) << 16 | place);
            let payload = Payload {
                body: Arc::default(),
                headers: Vec::new(),
                alert: Some(alert),
            };
            Some((
                id,
                Input::Alert {
                    id,
                    webhook,
                    payload,
                },
            ))
        })
}

/// The definition that an alert goes to, if there is one.
fn receiver(alert: &BudgetAlert, policy: &Policy) -> Option<WebhookName> {
    let budget = policy.budgets.get(&alert.agent);
    let webhook = budget.map(|budget| budget.alert_webhook.clone())?;
    let definition = policy.webhooks.get(&webhook);
    let is_enabled = definition.is_some_and(|definition| definition.enabled);
    let (agent, percent) = (&alert.agent, alert.percent.get());
    if !policy.webhook_settings.enabled || !is_enabled {
        info!(%agent, percent, %webhook, "a budget alert has no webhook to go to");
        return None;
    }
    Some(webhook)
}
