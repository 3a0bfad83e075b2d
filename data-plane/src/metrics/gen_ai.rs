//! Calls of models under the names that OpenTelemetry's conventions for generative AI give them, with
//! the dots of the names as `_`, for dashboards that know these.

use std::fmt;
use std::time::Duration;

use agix_core::usage::Usage;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

const SECONDS: [f64; 17] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84,
    327.68, 655.36,
];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(
    clippy::struct_field_names,
    reason = "the names of the fields are the names of the labels"
)]
struct CallLabel {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
#[expect(
    clippy::struct_field_names,
    reason = "the names of the fields are the names of the labels"
)]
struct TokenLabel {
    gen_ai_operation_name: &'static str,
    gen_ai_provider_name: String,
    gen_ai_request_model: String,
    gen_ai_token_type: &'static str,
}

/// All of them.
#[derive(Clone)]
pub(crate) struct GenAiMetrics {
    tokens: Histograms<TokenLabel>,
    calls: Histograms<CallLabel>,
    requests: Histograms<CallLabel>,
    first: Histograms<CallLabel>,
}

/// Those of one operation at one target.
#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    input: Histogram,
    output: Histogram,
    call: Histogram,
    request: Histogram,
    first: Histogram,
}

/// What is told of a request that was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered<'a> {
    pub(crate) usage: &'a Usage,
    /// The answering call alone.
    pub(crate) call: Duration,
    /// The whole request.
    pub(crate) request: Duration,
    /// Until the first content of a stream.
    pub(crate) first: Option<Duration>,
}

impl fmt::Debug for GenAiMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenAiMetrics").finish_non_exhaustive()
    }
}

impl GenAiMetrics {
    /// All at zero, registered.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let tokens: fn() -> Histogram = || Histogram::new(TOKENS);
        let metrics = Self {
            tokens: Family::new_with_constructor(tokens),
            calls: Family::new_with_constructor(seconds),
            requests: Family::new_with_constructor(seconds),
            first: Family::new_with_constructor(seconds),
        };
        registry.register(
            "gen_ai_client_token_usage",
            "Tokens of a call of a model",
            metrics.tokens.clone(),
        );
        for (name, help, family) in [
            (
                "gen_ai_client_operation_duration",
                "Time of the call of a model that answered",
                &metrics.calls,
            ),
            (
                "gen_ai_server_request_duration",
                "Time of a request that was answered, its other attempts included",
                &metrics.requests,
            ),
            (
                "gen_ai_server_time_to_first_token",
                "Time until the first content of a stream",
                &metrics.first,
            ),
        ] {
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
        }
        metrics
    }

    /// Those of an operation at a target.
    pub(crate) fn of(&self, operation: &'static str, provider: &str, model: &str) -> CallMetrics {
        let label = CallLabel {
            gen_ai_operation_name: operation,
            gen_ai_provider_name: provider.to_owned(),
            gen_ai_request_model: model.to_owned(),
        };
        let tokens = |kind| {
            let label = TokenLabel {
                gen_ai_operation_name: operation,
                gen_ai_provider_name: provider.to_owned(),
                gen_ai_request_model: model.to_owned(),
                gen_ai_token_type: kind,
            };
            self.tokens.get_or_create(&label).clone()
        };
        CallMetrics {
            input: tokens("input"),
            output: tokens("output"),
            call: self.calls.get_or_create(&label).clone(),
            request: self.requests.get_or_create(&label).clone(),
            first: self.first.get_or_create(&label).clone(),
        }
    }
}

impl CallMetrics {
    /// A request was answered.
    pub(crate) fn answered(&self, answered: &Answered<'_>) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a histogram for people, not the books"
        )]
        let tokens = |tokens: agix_core::units::Tokens| tokens.get() as f64;
        self.input.observe(tokens(answered.usage.total_input()));
        self.output.observe(tokens(answered.usage.total_output()));
        self.call.observe(answered.call.as_secs_f64());
        self.request.observe(answered.request.as_secs_f64());
        if let Some(first) = answered.first {
            self.first.observe(first.as_secs_f64());
        }
    }
}
