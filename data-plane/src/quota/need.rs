//! The most an attempt can take of its agent's rights.

use agix_core::limits::STREAM_FIRST_TOKENS;
use agix_core::price::{Bounds, Tariff, worst_case};
use agix_core::units::{NanoUsd, Tokens};

use crate::attempt::Ask;
use crate::dialect::{self, Dialect, thinks_unseen};
use crate::plan::Target;

/// What is reserved for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// The most it can use.
    pub(crate) bounds: Bounds,
    /// What the money set aside covers.
    pub(crate) first: Bounds,
}

impl Reservation {
    /// Of an agent that nothing limits.
    pub(crate) const NONE: Self = Self {
        bounds: NOTHING,
        first: NOTHING,
    };
}

const NOTHING: Bounds = Bounds {
    input: Tokens::ZERO,
    cache_writes: false,
    output: Tokens::ZERO,
};

/// The most tokens that `target` can bill for a request whose input is at most `input`.
pub(crate) fn most(ask: &Ask, input: Tokens, target: &Target) -> Bounds {
    let window = target.context_window.unwrap_or(Tokens::new(u64::MAX));
    let bounds = match ask {
        Ask::Embeddings(_) => Bounds {
            input,
            cache_writes: false,
            output: Tokens::ZERO,
        },
        Ask::Tokens(_) => NOTHING,
        Ask::Chat(chat) => chat.bounds(
            input,
            &dialect::Target {
                dialect: Dialect::towards(
                    chat.caller(),
                    target.provider.api,
                    &target.upstream_model,
                ),
                model: &target.upstream_model,
                max_output_tokens: target.max_output_tokens,
            },
        ),
    };
    Bounds {
        input: bounds.input.min(window),
        ..bounds
    }
}

/// What is reserved before the attempt begins: everything, or of a stream that can be watched its
/// first step.
pub(crate) fn first_step(ask: &Ask, bounds: Bounds, target: &Target) -> Bounds {
    let watched =
        matches!(ask, Ask::Chat(chat) if chat.stream()) && !thinks_unseen(&target.upstream_model);
    if !watched {
        return bounds;
    }
    Bounds {
        output: bounds.output.min(Tokens::new(STREAM_FIRST_TOKENS)),
        ..bounds
    }
}

/// What a call within these bounds costs at most; more than any budget if that cannot be counted.
pub(crate) fn price(tariff: Option<&Tariff>, bounds: &Bounds) -> NanoUsd {
    tariff.map_or(NanoUsd::ZERO, |tariff| {
        worst_case(tariff, bounds).unwrap_or(NanoUsd::from_nanos(u64::MAX))
    })
}
