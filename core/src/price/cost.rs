//! The cost of one call.

use crate::policy::Price;
use crate::price::Tariff;
use crate::units::{NanoUsd, PicoUsdPerToken, Tokens};
use crate::usage::Usage;

/// Pico-dollars of one nano-dollar.
pub(super) const PICOS_PER_NANO: u128 = 1_000;

/// A cost that cannot be counted in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cost of the call is more than agix can count")]
pub struct TooDear;

/// What a call with this usage costs: the exact sum, rounded up to the next nano-dollar.
pub fn cost(tariff: &Tariff, usage: &Usage) -> Result<NanoUsd, TooDear> {
    let picos = parts(tariff.at(usage.total_input()), usage)
        .into_iter()
        .try_fold(0_u128, |sum, (tokens, price)| {
            let part = u128::from(tokens.get()).checked_mul(u128::from(price.as_picos()))?;
            sum.checked_add(part)
        })
        .ok_or(TooDear)?;
    u64::try_from(picos.div_ceil(PICOS_PER_NANO))
        .map(NanoUsd::from_nanos)
        .map_err(|_overflow| TooDear)
}

/// Each part of the usage with the price it is billed at.
fn parts(price: &Price, usage: &Usage) -> [(Tokens, PicoUsdPerToken); 6] {
    let cache_write = price.cache_write.unwrap_or(price.input);
    [
        (usage.input, price.input),
        (
            usage.cached_input,
            price.cached_input.unwrap_or(price.input),
        ),
        (usage.cache_write_5m, cache_write),
        (
            usage.cache_write_1h,
            price.cache_write_1h.unwrap_or(cache_write),
        ),
        (usage.output, price.output),
        (usage.reasoning, price.reasoning.unwrap_or(price.output)),
    ]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn picos(picos: u64) -> PicoUsdPerToken {
        PicoUsdPerToken::from_picos(picos)
    }

    /// Claude Opus 4.6: 5 in, 0.5 cached, 6.25 and 10 written, 25 out, in dollars per million.
    const OPUS: Price = Price {
        input: picos(5_000_000),
        cached_input: Some(picos(500_000)),
        cache_write: Some(picos(6_250_000)),
        cache_write_1h: Some(picos(10_000_000)),
        output: picos(25_000_000),
        reasoning: None,
    };

    const PLAIN: Price = Price {
        input: picos(2_500_000),
        cached_input: None,
        cache_write: None,
        cache_write_1h: None,
        output: picos(10_000_000),
        reasoning: None,
    };

    fn usage(parts: [u64; 6]) -> Usage {
        let [
            input,
            cached_input,
            cache_write_5m,
            cache_write_1h,
            output,
            reasoning,
        ] = parts.map(Tokens::new);
        Usage {
            input,
            cached_input,
            cache_write_5m,
            cache_write_1h,
            output,
            reasoning,
        }
    }

    fn nanos(price: Price, parts: [u64; 6]) -> u64 {
        cost(&Tariff::flat(price), &usage(parts))
            .unwrap()
            .as_nanos()
    }

    #[test]
    fn each_part_is_billed_at_its_own_price() {
        // 1,000 x 5 + 2,000 x 0.5 + 300 x 6.25 + 40 x 10 + 500 x 25 + 60 x 25, millionths of a
        // dollar: 5,000 + 1,000 + 1,875 + 400 + 12,500 + 1,500 = 22,275.
        assert_eq!(nanos(OPUS, [1_000, 2_000, 300, 40, 500, 60]), 22_275_000);
        // gpt-4o: 5,000 in and 300 out: 0.0125 + 0.003 dollars.
        assert_eq!(nanos(PLAIN, [5_000, 0, 0, 0, 300, 0]), 15_500_000);
    }

    #[test]
    fn a_part_without_a_price_is_billed_as_the_whole_it_belongs_to() {
        assert_eq!(nanos(PLAIN, [0, 1_000, 0, 0, 0, 0]), 2_500_000);
        assert_eq!(nanos(PLAIN, [0, 0, 1_000, 0, 0, 0]), 2_500_000);
        assert_eq!(nanos(PLAIN, [0, 0, 0, 1_000, 0, 0]), 2_500_000);
        assert_eq!(nanos(PLAIN, [0, 0, 0, 0, 0, 1_000]), 10_000_000);
        let price = Price {
            cache_write: Some(picos(3_000_000)),
            ..PLAIN
        };
        assert_eq!(nanos(price, [0, 0, 0, 1_000, 0, 0]), 3_000_000);
    }

    #[test]
    fn the_sum_is_rounded_up_once() {
        let price = Price {
            input: picos(1),
            cached_input: Some(picos(1)),
            output: picos(1),
            ..PLAIN
        };
        // Three parts of one pico-dollar are one nano-dollar, not three.
        assert_eq!(nanos(price, [1, 1, 0, 0, 1, 0]), 1);
        assert_eq!(nanos(price, [1_000, 0, 0, 0, 0, 0]), 1);
        assert_eq!(nanos(price, [1_000, 1, 0, 0, 0, 0]), 2);
        assert_eq!(nanos(price, [0; 6]), 0);
    }

    #[test]
    fn the_length_of_the_input_chooses_the_price_of_every_token() {
        let long = Price {
            input: picos(10_000_000),
            output: picos(37_500_000),
            cached_input: Some(picos(1_000_000)),
            ..PLAIN
        };
        let tariff = Tariff {
            base: OPUS,
            above: vec![(Tokens::new(200_000), long)],
        };
        let at = |parts| cost(&tariff, &usage(parts)).unwrap().as_nanos();
        assert_eq!(at([200_000, 0, 0, 0, 10, 0]), 1_000_000_000 + 250_000);
        assert_eq!(at([200_001, 0, 0, 0, 10, 0]), 2_000_010_000 + 375_000);
        // Cached input counts towards the length.
        assert_eq!(at([1, 200_000, 0, 0, 0, 0]), 10_000 + 200_000_000);
    }

    #[test]
    fn what_cannot_be_counted_is_an_error() {
        let dear = Price {
            input: picos(u64::MAX),
            ..PLAIN
        };
        let tariff = Tariff::flat(dear);
        assert_eq!(
            cost(&tariff, &usage([u64::MAX, 0, 0, 0, 0, 0])),
            Err(TooDear)
        );
        assert_eq!(
            cost(&tariff, &usage([u64::MAX, u64::MAX, u64::MAX, 0, 0, 0])),
            Err(TooDear)
        );
    }

    /// Schoolbook numbers of decimal digits, least first: as slow as it is plain.
    mod digits {
        pub(super) fn of(mut number: u64) -> Vec<u8> {
            let mut digits = Vec::new();
            while number > 0 {
                digits.push(u8::try_from(number % 10).unwrap());
                number /= 10;
            }
            digits
        }

        pub(super) fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
            let mut sum = Vec::new();
            let mut carry = 0;
            for place in 0..a.len().max(b.len()) {
                let digit = a.get(place).unwrap_or(&0) + b.get(place).unwrap_or(&0) + carry;
                sum.push(digit % 10);
                carry = digit / 10;
            }
            sum.extend((carry > 0).then_some(carry));
            sum
        }

        pub(super) fn multiply(a: &[u8], b: &[u8]) -> Vec<u8> {
            let mut product = Vec::new();
            for (place, digit) in b.iter().enumerate() {
                for _ in 0..*digit {
                    let shifted: Vec<u8> = std::iter::repeat_n(0, place)
                        .chain(a.iter().copied())
                        .collect();
                    product = add(&product, &shifted);
                }
            }
            product
        }

        /// A thousandth, rounded up.
        pub(super) fn thousandth(number: &[u8]) -> Vec<u8> {
            let rest = number.iter().take(3).any(|digit| *digit > 0);
            let whole = number.get(3..).unwrap_or(&[]);
            if rest {
                add(whole, &[1])
            } else {
                whole.to_vec()
            }
        }
    }

    proptest! {
        #[test]
        fn a_cost_is_the_exact_sum_rounded_up(
            tokens in prop::array::uniform6(0..=crate::limits::USAGE_TOKENS),
            prices in prop::array::uniform6(0_u64..=1_000_000_000_000),
        ) {
            let price = Price {
                input: picos(prices[0]),
                cached_input: Some(picos(prices[1])),
                cache_write: Some(picos(prices[2])),
                cache_write_1h: Some(picos(prices[3])),
                output: picos(prices[4]),
                reasoning: Some(picos(prices[5])),
            };
            let sum = tokens.iter().zip(prices).fold(Vec::new(), |sum, (tokens, price)| {
                digits::add(&sum, &digits::multiply(&digits::of(*tokens), &digits::of(price)))
            });
            let oracle: String = digits::thousandth(&sum)
                .iter()
                .rev()
                .map(|digit| char::from(b'0' + digit))
                .collect();
            let oracle = oracle.trim_start_matches('0').parse().unwrap_or(0_u64);
            prop_assert_eq!(nanos(price, tokens), oracle);
        }

        #[test]
        fn more_tokens_never_cost_less(
            tokens in prop::array::uniform6(0..=crate::limits::USAGE_TOKENS),
            more in 0_usize..6,
        ) {
            let mut larger = tokens;
            larger[more] += 1;
            prop_assert!(nanos(OPUS, larger) >= nanos(OPUS, tokens));
        }
    }
}
