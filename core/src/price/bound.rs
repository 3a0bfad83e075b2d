//! The most a call can cost, known before it is made.

use crate::policy::Price;
use crate::price::Tariff;
use crate::price::cost::{PICOS_PER_NANO, TooDear};
use crate::units::{NanoUsd, PicoUsdPerToken, Tokens};

/// The most tokens a call can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Input tokens, however they are billed.
    pub input: Tokens,
    /// Whether input may be written to the provider's cache, which can be dearer than plain input.
    pub cache_writes: bool,
    /// Output tokens, reasoning included.
    pub output: Tokens,
}

/// The most a call within these bounds can cost: every input token at the dearest price for input,
/// every output token at the dearest for output, at the step of the tariff that makes most of it.
pub fn worst_case(tariff: &Tariff, bounds: &Bounds) -> Result<NanoUsd, TooDear> {
    let steps = tariff
        .above
        .iter()
        .filter(|(more_than, _)| bounds.input > *more_than)
        .map(|(_, price)| price);
    let picos = std::iter::once(&tariff.base)
        .chain(steps)
        .map(|price| at(price, bounds).ok_or(TooDear))
        .try_fold(0_u128, |most, picos| Ok(most.max(picos?)))?;
    u64::try_from(picos.div_ceil(PICOS_PER_NANO))
        .map(NanoUsd::from_nanos)
        .map_err(|_overflow| TooDear)
}

fn at(price: &Price, bounds: &Bounds) -> Option<u128> {
    let input = part(bounds.input, input_price(price, bounds.cache_writes))?;
    input.checked_add(part(bounds.output, output_price(price))?)
}

fn part(tokens: Tokens, price: PicoUsdPerToken) -> Option<u128> {
    u128::from(tokens.get()).checked_mul(u128::from(price.as_picos()))
}

fn input_price(price: &Price, cache_writes: bool) -> PicoUsdPerToken {
    let read = price.input.max(price.cached_input.unwrap_or(price.input));
    if !cache_writes {
        return read;
    }
    let written = [price.cache_write, price.cache_write_1h];
    written.into_iter().flatten().fold(read, Ord::max)
}

fn output_price(price: &Price) -> PicoUsdPerToken {
    price.output.max(price.reasoning.unwrap_or(price.output))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::price::cost;
    use crate::usage::Usage;

    const fn picos(picos: u64) -> PicoUsdPerToken {
        PicoUsdPerToken::from_picos(picos)
    }

    /// Claude Opus 4.6.
    const OPUS: Price = Price {
        input: picos(5_000_000),
        cached_input: Some(picos(500_000)),
        cache_write: Some(picos(6_250_000)),
        cache_write_1h: Some(picos(10_000_000)),
        output: picos(25_000_000),
        reasoning: None,
    };

    fn bounds(input: u64, output: u64) -> Bounds {
        Bounds {
            input: Tokens::new(input),
            cache_writes: false,
            output: Tokens::new(output),
        }
    }

    fn nanos(tariff: &Tariff, bounds: &Bounds) -> u64 {
        worst_case(tariff, bounds).unwrap().as_nanos()
    }

    #[test]
    fn input_is_taken_at_the_dearest_price_that_can_apply() {
        let tariff = Tariff::flat(OPUS);
        assert_eq!(nanos(&tariff, &bounds(1_000, 100)), 5_000_000 + 2_500_000);
        let written = Bounds {
            cache_writes: true,
            ..bounds(1_000, 100)
        };
        assert_eq!(nanos(&tariff, &written), 10_000_000 + 2_500_000);
        assert_eq!(nanos(&tariff, &bounds(0, 0)), 0);
    }

    #[test]
    fn reasoning_may_be_the_dearer_output() {
        let tariff = Tariff::flat(Price {
            reasoning: Some(picos(30_000_000)),
            ..OPUS
        });
        assert_eq!(nanos(&tariff, &bounds(0, 100)), 3_000_000);
    }

    #[test]
    fn only_the_steps_the_input_can_reach_count() {
        let long = Price {
            input: picos(10_000_000),
            output: picos(37_500_000),
            ..OPUS
        };
        let tariff = Tariff {
            base: OPUS,
            above: vec![(Tokens::new(200_000), long)],
        };
        assert_eq!(
            nanos(&tariff, &bounds(200_000, 10)),
            1_000_000_000 + 250_000
        );
        assert_eq!(
            nanos(&tariff, &bounds(200_001, 10)),
            2_000_010_000 + 375_000
        );
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        let dear = Tariff::flat(Price {
            input: picos(u64::MAX),
            ..OPUS
        });
        assert_eq!(worst_case(&dear, &bounds(u64::MAX, 0)), Err(TooDear));
        assert_eq!(worst_case(&dear, &bounds(u64::MAX, u64::MAX)), Err(TooDear));
    }

    fn price() -> impl Strategy<Value = Price> {
        let one = 0_u64..=1_000_000_000;
        let maybe = proptest::option::of(one.clone().prop_map(picos));
        (
            one.clone(),
            maybe.clone(),
            maybe.clone(),
            maybe.clone(),
            one,
            maybe,
        )
            .prop_map(
                |(input, cached_input, cache_write, cache_write_1h, output, reasoning)| Price {
                    input: picos(input),
                    cached_input,
                    cache_write,
                    cache_write_1h,
                    output: picos(output),
                    reasoning,
                },
            )
    }

    proptest! {
        #[test]
        fn no_call_within_the_bounds_costs_more(
            base in price(),
            steps in proptest::collection::btree_map(0_u64..100_000, price(), 0..3),
            parts in prop::array::uniform6(0_u64..50_000),
            spare in prop::array::uniform2(0_u64..50_000),
            cache_writes in any::<bool>(),
        ) {
            let above = steps.into_iter().map(|(more_than, price)| (Tokens::new(more_than), price));
            let tariff = Tariff { base, above: above.collect() };
            let written = |tokens| Tokens::new(if cache_writes { tokens } else { 0 });
            let usage = Usage {
                input: Tokens::new(parts[0]),
                cached_input: Tokens::new(parts[1]),
                cache_write_5m: written(parts[2]),
                cache_write_1h: written(parts[3]),
                output: Tokens::new(parts[4]),
                reasoning: Tokens::new(parts[5]),
            };
            let bounds = Bounds {
                input: usage.total_input().saturating_add(Tokens::new(spare[0])),
                cache_writes,
                output: usage.total_output().saturating_add(Tokens::new(spare[1])),
            };
            prop_assert!(cost(&tariff, &usage).unwrap() <= worst_case(&tariff, &bounds).unwrap());
        }

        #[test]
        fn a_wider_bound_never_costs_less(
            price in price(),
            input in 0_u64..50_000,
            output in 0_u64..50_000,
            more in prop::array::uniform2(0_u64..10),
        ) {
            let tariff = Tariff::flat(price);
            let wider = bounds(input + more[0], output + more[1]);
            prop_assert!(nanos(&tariff, &wider) >= nanos(&tariff, &bounds(input, output)));
        }
    }
}
