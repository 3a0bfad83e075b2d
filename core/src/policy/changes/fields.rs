//! The fields of each kind of resource, as they are written in a document. Every type is taken
//! apart by name, so that a new field cannot be forgotten.

use std::fmt::Display;

use crate::id::WebhookName;
use crate::policy::duration::written;
use crate::policy::{
    Agent, Api, Audit, BreakerSettings, Budget, Chain, Enforcement, FailoverSettings, Identity,
    MinThroughput, Model, ModelPattern, OnOutage, Price, Pricing, Provider, RateLimits, Resource,
    SimulatedOutcome, Simulation, StreamRescue, TimeZoneName, Timeouts, Tracing, UnknownModel,
    WebhookDefinition, WebhookSettings,
};
use crate::units::{AlertPercent, MoneyLimit, RequestLimit, TokenLimit};

/// One field and its value.
pub(super) struct Line {
    pub(super) field: String,
    pub(super) value: String,
    /// Whether leaving the field out would mean the same.
    pub(super) is_default: bool,
}

impl Line {
    pub(super) fn new(field: &str, value: impl Display) -> Self {
        Self {
            field: field.to_owned(),
            value: value.to_string(),
            is_default: false,
        }
    }
}

/// Lines of one resource.
#[derive(Default)]
struct Lines(Vec<Line>);

impl Lines {
    fn set(&mut self, field: &str, value: impl Display) {
        self.0.push(Line::new(field, value));
    }

    fn set_if(&mut self, field: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.set(field, value);
        }
    }

    /// A field that has a default.
    fn set_or<T: PartialEq>(
        &mut self,
        field: &str,
        value: &T,
        default: &T,
        shown: impl Fn(&T) -> String,
    ) {
        self.0.push(Line {
            is_default: value == default,
            ..Line::new(field, shown(value))
        });
    }

    /// Lines of a mapping within the resource.
    fn within(&mut self, field: &str, lines: Self) {
        let lines = lines.0.into_iter();
        self.0.extend(lines.map(|line| Line {
            field: format!("{field}.{}", line.field),
            ..line
        }));
    }
}

/// The fields of `resource`.
pub(super) fn of(resource: &Resource) -> Vec<Line> {
    let lines = match resource {
        Resource::Provider(_, provider) => of_provider(provider),
        Resource::Model(_, model) => of_model(model),
        Resource::Pricing(pricing) => of_pricing(*pricing),
        Resource::Failover(settings) => of_failover(settings),
        Resource::Chain(_, chain) => of_chain(chain),
        Resource::RateLimits(_, limits) => of_rate_limits(limits),
        Resource::Budget(_, budget) => of_budget(budget),
        Resource::Agent(_, agent) => of_agent(agent),
        Resource::Identity(identity) => of_identity(identity),
        Resource::WebhookSettings(settings) => of_webhook_settings(*settings),
        Resource::Webhook(_, webhook) => of_webhook(webhook),
        Resource::Audit(audit) => of_audit(*audit),
        Resource::Tracing(tracing) => of_tracing(*tracing),
    };
    lines.0
}

fn of_provider(provider: &Provider) -> Lines {
    let Provider {
        api,
        base_url,
        api_key,
        headers,
        simulate,
    } = provider;
    let mut lines = Lines::default();
    let api = match api {
        Api::OpenAi => "openai",
        Api::Anthropic => "anthropic",
        Api::Gemini => "gemini",
        Api::Azure => "azure",
        Api::Simulated => "simulated",
    };
    lines.set("api", api);
    lines.set_if("base_url", base_url.as_ref());
    lines.set_if("api_key", api_key.as_ref());
    for (name, value) in headers {
        lines.set(&format!("headers.{name}"), value);
    }
    if let Some(script) = simulate {
        lines.within("simulate", of_simulation(script));
    }
    lines
}

fn of_model(model: &Model) -> Lines {
    let Model {
        provider,
        upstream_model,
        price,
        context_window,
        max_output_tokens,
        simulate,
    } = model;
    let mut lines = Lines::default();
    lines.set("provider", provider);
    lines.set_if("upstream_model", upstream_model.as_ref());
    if let Some(price) = price {
        lines.within("price", of_price(*price));
    }
    lines.set_if("context_window", context_window.as_ref());
    lines.set_if("max_output_tokens", max_output_tokens.as_ref());
    if let Some(script) = simulate {
        lines.within("simulate", of_simulation(script));
    }
    lines
}

fn of_price(price: Price) -> Lines {
    let Price {
        input,
        cached_input,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
    } = price;
    let mut lines = Lines::default();
    lines.set("input", input);
    lines.set_if("cached_input", cached_input);
    lines.set_if("cache_write", cache_write);
    lines.set_if("cache_write_1h", cache_write_1h);
    lines.set("output", output);
    lines.set_if("reasoning", reasoning);
    lines
}

fn of_simulation(script: &Simulation) -> Lines {
    let Simulation {
        first_token,
        per_token,
        output_tokens,
        outcomes,
    } = script;
    let default = Simulation::default();
    let mut lines = Lines::default();
    lines.set_or("first_token", first_token, &default.first_token, written);
    lines.set_or("per_token", per_token, &default.per_token, written);
    let count = &default.output_tokens;
    lines.set_or("output_tokens", output_tokens, count, u32::to_string);
    lines.set_or("outcomes", outcomes, &default.outcomes, |outcomes| {
        list(outcomes.iter().copied().map(outcome))
    });
    lines
}

fn outcome(outcome: SimulatedOutcome) -> String {
    match outcome {
        SimulatedOutcome::Answer => String::from("ok"),
        SimulatedOutcome::Status(status) => status.to_string(),
        SimulatedOutcome::Reset => String::from("reset"),
        SimulatedOutcome::Stall => String::from("stall"),
        SimulatedOutcome::Truncate => String::from("truncate"),
    }
}

fn of_pricing(pricing: Pricing) -> Lines {
    let Pricing { unknown_model } = pricing;
    let mut lines = Lines::default();
    match unknown_model {
        UnknownModel::DenyIfBudgeted => lines.set("unknown_model", "deny_if_budgeted"),
        UnknownModel::Deny => lines.set("unknown_model", "deny"),
        UnknownModel::Price(price) => lines.within("unknown_model", of_price(price)),
    }
    lines
}

fn of_failover(settings: &FailoverSettings) -> Lines {
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
    let Timeouts {
        connect,
        first_token,
        idle,
        total,
    } = timeouts;
    let BreakerSettings {
        consecutive_failures,
        error_percent,
        min_requests,
        window,
        open,
        max_open,
    } = breaker;
    let mut lines = Lines::default();
    lines.set_if("max_retries", max_retries.as_ref());
    lines.set("same_model_retries", same_model_retries);
    lines.set_if("max_cost_ratio", max_cost_ratio.as_ref());
    for (field, time) in [
        ("timeouts.connect", connect),
        ("timeouts.first_token", first_token),
        ("timeouts.idle", idle),
        ("timeouts.total", total),
    ] {
        lines.set(field, written(time));
    }
    lines.set("stream_rescue", rescue(*stream_rescue));
    if let Some(MinThroughput {
        tokens_per_second,
        window,
    }) = min_throughput
    {
        lines.set("min_throughput.tokens_per_second", tokens_per_second);
        lines.set("min_throughput.window", written(window));
    }
    lines.set("retry_budget.percent", retry_budget.percent);
    lines.set("retry_budget.at_least", retry_budget.at_least);
    lines.set("drop_unsupported", drop_unsupported);
    lines.set("breaker.consecutive_failures", consecutive_failures);
    lines.set("breaker.error_percent", error_percent);
    lines.set("breaker.min_requests", min_requests);
    lines.set("breaker.window", written(window));
    lines.set("breaker.open", written(open));
    lines.set("breaker.max_open", written(max_open));
    lines
}

fn of_chain(chain: &Chain) -> Lines {
    let Chain {
        targets,
        stream_rescue,
    } = chain;
    let mut lines = Lines::default();
    lines.set("", list(targets));
    if let Some(stream_rescue) = stream_rescue {
        lines.set("stream_rescue", rescue(*stream_rescue));
    }
    lines
}

const fn rescue(rescue: StreamRescue) -> &'static str {
    match rescue {
        StreamRescue::Off => "off",
        StreamRescue::Buffer => "buffer",
        StreamRescue::Continue => "continue",
    }
}

fn of_rate_limits(limits: &RateLimits) -> Lines {
    let RateLimits {
        requests_per_minute,
        requests_per_hour,
        tokens_per_minute,
        max_concurrent,
        on_outage,
    } = limits;
    let mut lines = Lines::default();
    for (field, limit) in [
        ("requests_per_minute", requests_per_minute),
        ("requests_per_hour", requests_per_hour),
        ("max_concurrent", max_concurrent),
    ] {
        lines.set_if(field, limit.map(RequestLimit::get));
    }
    let tokens = tokens_per_minute.map(TokenLimit::get);
    lines.set_if("tokens_per_minute", tokens);
    let default = OnOutage::default();
    lines.set_or("on_outage", on_outage, &default, |rule| outage(*rule));
    lines
}

fn of_budget(budget: &Budget) -> Lines {
    let Budget {
        daily,
        monthly,
        alert_at_percent,
        alert_webhook,
        timezone,
        enforcement,
        on_outage,
    } = budget;
    let mut lines = Lines::default();
    lines.set_if("daily_limit_usd", daily.map(MoneyLimit::amount));
    lines.set_if("monthly_limit_usd", monthly.map(MoneyLimit::amount));
    let mut percents = alert_at_percent.iter().copied().map(AlertPercent::get);
    match (percents.next(), percents.len()) {
        (None, _) => {}
        (Some(percent), 0) => lines.set("alert_at_percent", percent),
        (Some(first), _) => {
            let all = std::iter::once(first).chain(percents);
            lines.set("alert_at_percent", list(all));
        }
    }
    let default = WebhookName::budget_alert();
    lines.set_or(
        "alert_webhook",
        alert_webhook,
        &default,
        ToString::to_string,
    );
    let utc = TimeZoneName::default();
    lines.set_or("timezone", timezone, &utc, ToString::to_string);
    let default = Enforcement::default();
    lines.set_or("enforcement", enforcement, &default, |rule| {
        String::from(match rule {
            Enforcement::Hard => "hard",
            Enforcement::Soft => "soft",
        })
    });
    lines.set_if("on_outage", on_outage.map(outage));
    lines
}

fn outage(rule: OnOutage) -> String {
    String::from(match rule {
        OnOutage::Deny => "deny",
        OnOutage::Held => "held",
        OnOutage::Allow => "allow",
    })
}

fn of_agent(agent: &Agent) -> Lines {
    let Agent {
        keys,
        models,
        group,
    } = agent;
    let mut lines = Lines::default();
    if !keys.is_empty() {
        lines.set("keys", list(keys));
    }
    if !models.is_empty() {
        let patterns = models.iter().map(ModelPattern::as_str);
        lines.set("models", list(patterns));
    }
    lines.set_if("group", group.as_ref());
    lines
}

fn of_identity(identity: &Identity) -> Lines {
    let Identity {
        require_key,
        default_agent,
    } = identity;
    let mut lines = Lines::default();
    lines.set("require_key", require_key);
    lines.set("default_agent", default_agent);
    lines
}

fn of_webhook_settings(settings: WebhookSettings) -> Lines {
    let WebhookSettings { enabled } = settings;
    let mut lines = Lines::default();
    lines.set("enabled", enabled);
    lines
}

fn of_webhook(webhook: &WebhookDefinition) -> Lines {
    let WebhookDefinition {
        enabled,
        secret,
        previous_secret,
        scheme,
        tolerance,
        max_payload_bytes,
        model,
        prompt_template,
        agent,
        max_attempts,
        timeout,
        keep_prompt,
        callback_url,
        callback_retries,
        allow_insecure,
        allow_private,
    } = webhook;
    let default = WebhookDefinition::new(secret.clone());
    let mut lines = Lines::default();
    lines.set("secret", secret);
    lines.set_if("previous_secret", previous_secret.as_ref());
    lines.set_or("scheme", scheme, &default.scheme, |it| {
        it.as_str().to_owned()
    });
    lines.set_or("tolerance", tolerance, &default.tolerance, written);
    let bytes = &default.max_payload_bytes;
    lines.set_or(
        "max_payload_bytes",
        max_payload_bytes,
        bytes,
        u32::to_string,
    );
    lines.set_if("model", model.as_ref());
    lines.set_if("prompt_template", prompt_template.as_ref());
    lines.set_if("agent", agent.as_ref());
    let attempts = &default.max_attempts;
    lines.set_or("max_attempts", max_attempts, attempts, u32::to_string);
    lines.set_if("timeout", timeout.as_ref().map(written));
    lines.set_if("callback_url", callback_url.as_ref());
    let retries = &default.callback_retries;
    lines.set_or("callback_retries", callback_retries, retries, |it| {
        list(it.iter().map(written))
    });
    for (field, value, default) in [
        ("enabled", enabled, &default.enabled),
        ("keep_prompt", keep_prompt, &default.keep_prompt),
        ("allow_insecure", allow_insecure, &default.allow_insecure),
        ("allow_private", allow_private, &default.allow_private),
    ] {
        lines.set_or(field, value, default, bool::to_string);
    }
    lines
}

fn of_audit(audit: Audit) -> Lines {
    let Audit {
        enabled,
        content_log,
    } = audit;
    let mut lines = Lines::default();
    lines.set("enabled", enabled);
    lines.set_or("content_log", &content_log, &false, bool::to_string);
    lines
}

fn of_tracing(tracing: Tracing) -> Lines {
    let Tracing {
        enabled,
        sample_rate,
        propagate,
    } = tracing;
    let mut lines = Lines::default();
    lines.set("enabled", enabled);
    lines.set("sample_rate", sample_rate);
    lines.set_or("propagate", &propagate, &false, bool::to_string);
    lines
}

/// `[a, b]`.
fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}
