//! The rules of agix, with no IO.
//!
//! Nothing in this crate opens a file or a socket, spawns, blocks, reads a clock or draws a random
//! number: time and randomness arrive as arguments, effects leave as values. That is what lets one
//! simulation run the whole protocol from a seed.
//!
//! | module | what it decides |
//! | --- | --- |
//! | [`limits`] | every bound of the product, by name |
//! | [`units`] | money, tokens, ratios: numbers with a unit |
//! | [`id`] | checked names of agents, models, providers, proxies |
//! | [`time`] | instants handed in by the drivers |
//! | [`backoff`] | pauses between tries |
//! | [`causes`] | an error with its causes, as text |
//! | [`policy`] | the policy document: model, parsing, checks, differences |
//! | [`price`] | what a model costs, and the cost of one call |
//! | [`usage`] | tokens of a call and the record of a finished request |
//! | [`failover`] | what to try next, when, and why |
//! | [`quota`] | what a proxy and the ledger say to each other about rights |
//! | [`budget`] | days and months of a time zone |
//! | [`rate`] | exact sliding windows |
//! | [`ledger`] | the books of all rights: a state machine over its log |
//! | [`lease`] | the proxy's side: rights held, requests waiting, what is reported |
//! | [`webhook`] | what becomes of a webhook, from its receipt to its delivery |
//! | [`sync`] | the policy stream between control plane and proxy |
#![cfg_attr(
    not(test),
    warn(
        clippy::float_arithmetic,
        clippy::as_conversions,
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing
    )
)]

pub mod audit;
pub mod backoff;
pub mod budget;
pub mod causes;
pub mod exposition;
pub mod failover;
pub mod id;
pub mod lease;
pub mod ledger;
pub mod limits;
#[doc(hidden)]
pub mod planted;
pub mod policy;
pub mod price;
pub mod quota;
pub mod rate;
pub mod sync;
pub mod time;
pub mod units;
pub mod usage;
pub mod webhook;
