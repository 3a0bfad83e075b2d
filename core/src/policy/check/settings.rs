//! Checks of the failover settings, of budgets and of webhooks.

use std::collections::BTreeSet;

use super::address;
use super::{Place, Problems};
use crate::id::WebhookName;
use crate::limits::{
    BUDGET_ALERTS, LONGEST_SETTING, MAX_RETRIES, PROPOSED_NAMES, SAME_MODEL_RETRIES,
    TEMPLATE_BYTES, WEBHOOK_ATTEMPTS_MOST, WEBHOOK_RETRIES_MOST,
};
use crate::policy::document::suggest::nearest;
use crate::policy::duration::written;
use crate::policy::{Policy, ResourceKey, WebhookDefinition, code};
use crate::webhook::destination::Allowed;
use crate::webhook::template::{Subject, Template};

impl Policy {
    pub(super) fn check_failover(&self, problems: &mut Problems) {
        let settings = &self.failover;
        let mut check = |field: &str, legal: bool, code, rule: &str| {
            if !legal {
                let place = Place::new(&ResourceKey::Failover, field);
                let name = field.rsplit('.').next().unwrap_or(field);
                problems.add(&place, code, format!("`{name}` {rule}"));
            }
        };
        let most = settings.max_retries.unwrap_or(0);
        let rule = format!("must be at most {MAX_RETRIES}");
        check("max_retries", most <= MAX_RETRIES, code::BAD_NUMBER, &rule);
        let same = settings.same_model_retries;
        let rule = format!("must be at most {SAME_MODEL_RETRIES}");
        let legal = same <= SAME_MODEL_RETRIES;
        check("same_model_retries", legal, code::BAD_NUMBER, &rule);

        let legal = settings.retry_budget.percent <= 100;
        let rule = "must be at most 100";
        check("retry_budget.percent", legal, code::BAD_NUMBER, rule);

        let longest = written(&LONGEST_SETTING);
        let rule = format!("must be longer than nothing and at most {longest}");
        let throughput = settings.min_throughput;
        let (times, breaker) = (&settings.timeouts, &settings.breaker);
        for (field, time) in [
            ("timeouts.connect", times.connect),
            ("timeouts.first_token", times.first_token),
            ("timeouts.idle", times.idle),
            ("timeouts.total", times.total),
            (
                "min_throughput.window",
                throughput.map_or(breaker.window, |least| least.window),
            ),
            ("breaker.window", breaker.window),
            ("breaker.open", breaker.open),
            ("breaker.max_open", breaker.max_open),
        ] {
            let legal = !time.is_zero() && time <= LONGEST_SETTING;
            check(field, legal, code::BAD_DURATION, &rule);
        }
        for (field, count) in [
            ("breaker.consecutive_failures", breaker.consecutive_failures),
            ("breaker.min_requests", breaker.min_requests),
            (
                "min_throughput.tokens_per_second",
                throughput.map_or(1, |least| least.tokens_per_second),
            ),
        ] {
            check(
                field,
                count > 0,
                code::BAD_NUMBER,
                "must be greater than zero",
            );
        }
        let legal = (1..=100).contains(&breaker.error_percent);
        let rule = "must lie between 1 and 100";
        check("breaker.error_percent", legal, code::BAD_NUMBER, rule);
        let legal = breaker.open <= breaker.max_open;
        let rule = "must not be shorter than `open`";
        check("breaker.max_open", legal, code::BAD_DURATION, rule);
    }

    pub(super) fn check_budgets(&self, problems: &mut Problems) {
        for (agent, budget) in &self.budgets {
            if budget.daily.is_none() && budget.monthly.is_none() {
                let key = ResourceKey::Budget(agent.clone());
                let message = format!("the budget of `{agent}` sets no amount");
                let help = "write `daily_limit_usd`, `monthly_limit_usd` or both";
                problems.add_with(&Place::new(&key, ""), code::EMPTY_BUDGET, message, help);
            }
            // The default may be absent: then alerts are only noted.
            let webhook = &budget.alert_webhook;
            if *webhook != WebhookName::budget_alert() && !self.webhooks.contains_key(webhook) {
                let key = ResourceKey::Budget(agent.clone());
                let message = format!("there is no webhook `{webhook}`");
                let names = self.webhooks.keys().map(WebhookName::as_str);
                let near = nearest(webhook.as_str(), names.take(PROPOSED_NAMES));
                let help = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "define it under `webhooks.definitions`".to_owned(),
                };
                let place = Place::new(&key, "alert_webhook");
                problems.add_with(&place, code::UNKNOWN_WEBHOOK, message, help);
            }
            if budget.alert_at_percent.len() > BUDGET_ALERTS {
                let key = ResourceKey::Budget(agent.clone());
                let message = format!("`alert_at_percent` takes at most {BUDGET_ALERTS} entries");
                problems.add(
                    &Place::new(&key, "alert_at_percent"),
                    code::TOO_LONG,
                    message,
                );
            }
        }
    }

    /// The webhooks that alerts go to, defined or not.
    fn alert_webhooks(&self) -> BTreeSet<WebhookName> {
        let named = self.budgets.values().map(|budget| &budget.alert_webhook);
        let mut all: BTreeSet<WebhookName> = named.cloned().collect();
        all.insert(WebhookName::budget_alert());
        all
    }

    pub(super) fn check_webhooks(&self, problems: &mut Problems) {
        let alert_webhooks = self.alert_webhooks();
        for (name, webhook) in &self.webhooks {
            let key = ResourceKey::Webhook(name.clone());
            if let Some(template) = &webhook.prompt_template {
                let subject = if alert_webhooks.contains(name) {
                    Subject::Alert
                } else {
                    Subject::Received
                };
                check_template(template, subject, &key, problems);
            }
            if let Some(model) = &webhook.model {
                self.check_route(model, &Place::new(&key, "model"), problems);
            }
            if webhook.charged(name).is_err() {
                let message = "the webhook's name is too long for that of an agent";
                let help = "name the agent that is charged: `agent: NAME`";
                problems.add_with(&Place::new(&key, ""), code::BAD_WEBHOOK, message, help);
            }
            check_webhook(webhook, &key, problems);
            check_bounds(webhook, &key, problems);
        }
    }
}

fn check_template(text: &str, subject: Subject, key: &ResourceKey, problems: &mut Problems) {
    let Err(faults) = Template::parse(text, subject) else {
        return;
    };
    for fault in faults {
        let before = text.get(..fault.at).unwrap_or_default();
        let line = before.split('\n').count();
        let in_line = before.rsplit('\n').next().unwrap_or_default();
        let column = in_line.chars().count().saturating_add(1);
        let place = Place::new(key, format_args!("prompt_template[{line}:{column}]"));
        match fault.help {
            Some(help) => problems.add_with(&place, code::BAD_TEMPLATE, fault.message, help),
            None => problems.add(&place, code::BAD_TEMPLATE, fault.message),
        }
    }
}

fn check_webhook(webhook: &WebhookDefinition, key: &ResourceKey, problems: &mut Problems) {
    let place = |field| Place::new(key, field);
    match (&webhook.model, &webhook.prompt_template) {
        (Some(_), None) => {
            let message = "`model` is there without `prompt_template`";
            let help = "write what the model is asked, or leave `model` out for a plain alert";
            problems.add_with(&place("model"), code::BAD_WEBHOOK, message, help);
        }
        (None, Some(_)) => {
            let message = "`prompt_template` is there without `model`";
            let help = "name the model that is asked";
            problems.add_with(&place("prompt_template"), code::BAD_WEBHOOK, message, help);
        }
        (None, None) if webhook.callback_url.is_none() => {
            let message = "the webhook asks no model and calls nobody";
            let help = "write `callback_url`, or `model` and `prompt_template`";
            problems.add_with(&place(""), code::BAD_WEBHOOK, message, help);
        }
        _ => {}
    }
    let template = webhook.prompt_template.as_deref();
    if template.is_some_and(|text| text.is_empty() || text.len() > TEMPLATE_BYTES) {
        let message = format!("`prompt_template` must have between 1 and {TEMPLATE_BYTES} bytes");
        problems.add(&place("prompt_template"), code::TOO_LONG, message);
    }
    let Some(callback) = &webhook.callback_url else {
        return;
    };
    let fault = match (address::fault(callback), address::whole(callback)) {
        (Some(fault), _) => Some(fault.to_owned()),
        (None, Some(url)) => Allowed::by(webhook)
            .target(url)
            .err()
            .map(|it| it.to_string()),
        // What it stands for is looked at by whoever calls it.
        (None, None) => None,
    };
    if let Some(fault) = fault {
        let message = format!("`callback_url` {fault}");
        problems.add(&place("callback_url"), code::BAD_ADDRESS, message);
    }
}

/// The numbers and times of a webhook.
fn check_bounds(webhook: &WebhookDefinition, key: &ResourceKey, problems: &mut Problems) {
    for (field, value, most) in [
        (
            "max_payload_bytes",
            webhook.max_payload_bytes,
            WebhookDefinition::most_payload(),
        ),
        ("max_attempts", webhook.max_attempts, WEBHOOK_ATTEMPTS_MOST),
    ] {
        if !(1..=most).contains(&value) {
            let message = format!("`{field}` must lie between 1 and {most}");
            problems.add(&Place::new(key, field), code::BAD_NUMBER, message);
        }
    }
    let retries = &webhook.callback_retries;
    if retries.len() > WEBHOOK_RETRIES_MOST {
        let message = format!("`callback_retries` takes at most {WEBHOOK_RETRIES_MOST} entries");
        problems.add(
            &Place::new(key, "callback_retries"),
            code::TOO_LONG,
            message,
        );
    }
    let times = [
        ("tolerance", Some(webhook.tolerance)),
        ("timeout", webhook.timeout),
    ];
    let pauses = retries.iter().map(|time| ("callback_retries", Some(*time)));
    for (field, time) in times.into_iter().chain(pauses) {
        if time.is_some_and(|time| time.is_zero() || time > LONGEST_SETTING) {
            let longest = written(&LONGEST_SETTING);
            let message = format!("`{field}` must be longer than nothing and at most {longest}");
            problems.add(&Place::new(key, field), code::BAD_DURATION, message);
        }
    }
}
