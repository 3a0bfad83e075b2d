//! The promises of agix, tested against its real programs. They must have been built:
//! `cargo build --bins`, which `scripts/test` does.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod access_tokens;
mod console;
mod cost_exact;
mod cost_matrix;
mod failover_amount;
mod failover_bounds;
mod failover_breaker;
mod failover_decisions;
mod failover_fleet;
mod failover_outage;
mod failover_rescue;
mod failover_slow;
mod failover_steady;
mod faults;
mod front_drain;
mod front_limits;
mod front_metrics;
mod harness_programs;
mod known_failures;
mod policy_history;
mod policy_mistakes;
mod policy_spec;
mod quota_abandoned;
mod quota_budget;
mod quota_outage;
mod quota_rates;
mod replicas;
mod sdk;
mod sdk_matrix;
mod seen_acts;
mod seen_audit;
mod seen_metrics;
mod seen_traces;
mod state_move;
mod store_secrets;
mod store_trouble;
mod sync_fleet;
mod tls_network;
mod upstream_bodies;
mod upstream_cuts;
mod upstream_faults;
mod upstream_usage;
mod webhook_kills;
mod webhook_path;
