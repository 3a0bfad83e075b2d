//! The names of what spans say: OpenTelemetry's conventions for HTTP and for calls of models, and our
//! own. The conventions' crate marks its names as not stable, so those in use stand here.

pub(super) const AGENT: &str = "agix.agent.name";
pub(super) const ATTEMPT: &str = "agix.attempt.number";
pub(super) const ATTEMPTS: &str = "agix.attempts";
pub(super) const COST: &str = "agix.cost.usd";
pub(super) const COST_KNOWN: &str = "agix.cost.known";
pub(super) const EXECUTION: &str = "agix.webhook.execution_id";
pub(super) const FAILOVER: &str = "agix.failover";
pub(super) const FAILOVER_REASON: &str = "agix.failover.reason";
pub(super) const MODEL: &str = "agix.model";
pub(super) const OUTCOME: &str = "agix.outcome";
pub(super) const PROVIDER: &str = "agix.provider";
pub(super) const REASON: &str = "agix.reason";
pub(super) const REQUEST_ID: &str = "agix.request.id";
pub(super) const REVISION: &str = "agix.policy.revision";
pub(super) const USAGE_ESTIMATED: &str = "agix.usage.estimated";
pub(super) const WEBHOOK: &str = "agix.webhook.name";

pub(super) const ERROR_TYPE: &str = "error.type";
pub(super) const HTTP_METHOD: &str = "http.request.method";
pub(super) const HTTP_ROUTE: &str = "http.route";
pub(super) const HTTP_STATUS: &str = "http.response.status_code";
pub(super) const SERVER_ADDRESS: &str = "server.address";
pub(super) const SERVER_PORT: &str = "server.port";
pub(super) const URL_SCHEME: &str = "url.scheme";

pub(super) const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(super) const OPERATION: &str = "gen_ai.operation.name";
pub(super) const PROVIDER_NAME: &str = "gen_ai.provider.name";
pub(super) const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(super) const REQUEST_MODEL: &str = "gen_ai.request.model";
pub(super) const REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(super) const RESPONSE_MODEL: &str = "gen_ai.response.model";
pub(super) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(super) const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
pub(super) const USAGE_CACHE_WRITE: &str = "gen_ai.usage.cache_creation.input_tokens";
pub(super) const USAGE_INPUT: &str = "gen_ai.usage.input_tokens";
pub(super) const USAGE_OUTPUT: &str = "gen_ai.usage.output_tokens";
pub(super) const USAGE_REASONING: &str = "gen_ai.usage.reasoning.output_tokens";
