//! Warnings: what is legal, but probably not meant.

use super::locate;
use super::report::{Finding, Report};
use super::section::Sections;
use crate::id::ModelName;
use crate::policy::check::place;
use crate::policy::{Api, Policy, RateLimits, ResourceKey, StreamRescue, code};
use crate::units::MoneyLimit;

/// Settings that this version keeps, shows and sends to the proxies, but does not carry out.
const NOT_IN_FORCE: [NotInForce; 1] = [NotInForce {
    section: "failover",
    field: "stream_rescue",
    is_set: |policy| {
        let chains = policy
            .chains
            .values()
            .filter_map(|chain| chain.stream_rescue);
        chains
            .chain([policy.failover.stream_rescue])
            .any(|rescue| rescue == StreamRescue::Continue)
    },
    instead: "a stream that breaks off ends with an error event, as with `off`",
}];

/// Models that their provider no longer serves.
const RETIRED: [Retired; 2] = [
    Retired {
        provider: "deepseek",
        model: "deepseek-chat",
        date: "2026-07-24",
        successor: "deepseek-v4-flash",
    },
    Retired {
        provider: "deepseek",
        model: "deepseek-reasoner",
        date: "2026-07-24",
        successor: "deepseek-v4-flash",
    },
];

/// Minutes of an hour.
const MINUTES: u64 = 60;
/// Most days of a month.
const DAYS: u64 = 31;

struct NotInForce {
    section: &'static str,
    field: &'static str,
    is_set: fn(&Policy) -> bool,
    instead: &'static str,
}

struct Retired {
    provider: &'static str,
    model: &'static str,
    date: &'static str,
    successor: &'static str,
}

/// Takes down everything that `policy` probably does not mean.
pub(super) fn give(policy: &Policy, sections: &Sections<'_, '_>, report: &mut Report<'_>) {
    let mut advice = Advice { sections, report };
    if sections.is_empty() && !advice.report.has_errors() {
        let message = "the document says nothing: no limits, no chains, built-in providers only";
        let finding = Finding::warning_everywhere(code::NO_EFFECT, message);
        advice.report.push(finding);
    }
    advice.not_in_force(policy);
    advice.rate_limits(policy);
    advice.budgets(policy);
    advice.alerts(policy);
    advice.retired_models(policy);
    advice.identity(policy);
}

struct Advice<'x, 'r, 'a, 't> {
    sections: &'x Sections<'a, 't>,
    report: &'x mut Report<'r>,
}

impl Advice<'_, '_, '_, '_> {
    fn warn(
        &mut self,
        resource: &ResourceKey,
        field: &str,
        code: &'static str,
        message: String,
        help: String,
    ) {
        // Finding a place is a search: beyond the bound warnings are only counted.
        let span = if self.report.has_room_for_warnings() {
            locate::span(self.sections, resource, field)
        } else {
            None
        };
        let finding = match span {
            Some(span) => Finding::warning(code, span, message),
            None => Finding::warning_everywhere(code, message),
        };
        self.report
            .push(finding.at(&place(resource, field)).help(help));
    }

    fn not_in_force(&mut self, policy: &Policy) {
        for setting in NOT_IN_FORCE.iter().filter(|one| (one.is_set)(policy)) {
            let path = match setting.field {
                "" => setting.section.to_owned(),
                field => format!("{}.{field}", setting.section),
            };
            let Some(span) = locate::span_in_section(self.sections, setting.section, setting.field)
            else {
                continue;
            };
            let message = format!("`{path}` is not in force in this version");
            let finding = Finding::warning(code::NOT_IN_FORCE, span, message);
            let help = format!("it is kept, but {}", setting.instead);
            self.report.push(finding.at(&path).help(help));
        }
    }

    fn rate_limits(&mut self, policy: &Policy) {
        for (agent, limits) in &policy.rate_limits {
            let key = || ResourceKey::RateLimits(agent.clone());
            let RateLimits {
                requests_per_minute,
                requests_per_hour,
                tokens_per_minute,
                max_concurrent,
                on_outage: _,
            } = limits;
            if let (Some(minute), Some(hour)) = (requests_per_minute, requests_per_hour) {
                let most = u64::from(minute.get()).saturating_mul(MINUTES);
                if most < u64::from(hour.get()) {
                    let message = format!(
                        "{} requests an hour are never reached with {} a minute",
                        hour.get(),
                        minute.get()
                    );
                    let help = format!("write {most} or less, or leave it out");
                    let field = "requests_per_hour";
                    self.warn(&key(), field, code::NEVER_BINDS, message, help);
                }
            }
            if requests_per_minute.is_none()
                && requests_per_hour.is_none()
                && tokens_per_minute.is_none()
                && max_concurrent.is_none()
            {
                let message = format!("the entry of `{agent}` limits nothing");
                let help = "an agent without limits needs no entry".to_owned();
                self.warn(&key(), "", code::NO_EFFECT, message, help);
            }
        }
    }

    fn budgets(&mut self, policy: &Policy) {
        for (agent, budget) in &policy.budgets {
            let (Some(daily), Some(monthly)) = (budget.daily, budget.monthly) else {
                continue;
            };
            let nanos = |limit: MoneyLimit| limit.amount().as_nanos();
            let (message, help) = if monthly < daily {
                let message = format!(
                    "the month's limit of ${} is below the day's of ${}",
                    monthly.amount(),
                    daily.amount()
                );
                (
                    message,
                    "the day's limit is never reached: check both".to_owned(),
                )
            } else if nanos(daily).saturating_mul(DAYS) < nanos(monthly) {
                let message = format!(
                    "${} a month are never reached with ${} a day",
                    monthly.amount(),
                    daily.amount()
                );
                (message, "leave it out, or check both".to_owned())
            } else {
                continue;
            };
            let code = if monthly < daily {
                code::MONTH_BELOW_DAY
            } else {
                code::NEVER_BINDS
            };
            let key = ResourceKey::Budget(agent.clone());
            self.warn(&key, "monthly_limit_usd", code, message, help);
        }
    }

    fn alerts(&mut self, policy: &Policy) {
        for (agent, budget) in &policy.budgets {
            let webhook = &budget.alert_webhook;
            if !budget.alert_at_percent.is_empty() && !policy.webhooks.contains_key(webhook) {
                let message = format!("alerts go to the webhook `{webhook}`, which is not defined");
                let help = "they are noted in the ledger only: define it under \
                            `webhooks.definitions`";
                let key = ResourceKey::Budget(agent.clone());
                let field = "alert_at_percent";
                self.warn(&key, field, code::ALERT_TO_NOBODY, message, help.to_owned());
            }
        }
    }

    fn retired_models(&mut self, policy: &Policy) {
        for name in policy.models.keys() {
            self.retired(policy, name, &ResourceKey::Model(name.clone()), "");
        }
        for (head, chain) in &policy.chains {
            let key = ResourceKey::Chain(head.clone());
            self.retired(policy, head, &key, "");
            for (index, target) in chain.targets.iter().enumerate() {
                self.retired(policy, target, &key, &format!("[{index}]"));
            }
        }
        for (name, webhook) in &policy.webhooks {
            if let Some(model) = &webhook.model {
                let key = ResourceKey::Webhook(name.clone());
                self.retired(policy, model, &key, "model");
            }
        }
    }

    fn retired(&mut self, policy: &Policy, model: &ModelName, key: &ResourceKey, field: &str) {
        let Ok(route) = policy.route(model) else {
            return;
        };
        let is_it = |one: &&Retired| {
            (one.provider, one.model) == (route.provider.as_str(), &*route.upstream_model)
        };
        let Some(retired) = RETIRED.iter().find(is_it) else {
            return;
        };
        let provider = policy.provider(&route.provider);
        if provider.is_some_and(|provider| provider.api == Api::Simulated) {
            return;
        }
        let message = format!(
            "`{}` was retired by its provider on {}",
            retired.model, retired.date
        );
        let help = format!("write `{}`", retired.successor);
        self.warn(key, field, code::RETIRED_MODEL, message, help);
    }

    fn identity(&mut self, policy: &Policy) {
        let has_key = || policy.agents.values().any(|agent| !agent.keys.is_empty());
        if policy.identity.require_key && !has_key() {
            let message = "a key is required, but no agent has one: nobody is let in".to_owned();
            let help = "write the hashes of keys under `agents`".to_owned();
            let key = ResourceKey::Identity;
            self.warn(&key, "require_key", code::NOBODY, message, help);
        }
    }
}
