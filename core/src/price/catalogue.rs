//! The built-in catalogue of list prices.
//!
//! The data comes from the `genai-prices` crate, which answers only "what does this call cost" and
//! in floating point. So a price is found by asking for calls of one kind of token; the answer is
//! written out in decimal and read back exactly. Whatever the data prices by other measures than
//! tokens (requests, characters, hours of audio) has no tariff here, rather than a wrong one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use genai_prices::{Calculator, PriceRequest, UsageKey};

use crate::limits::USAGE_TOKENS;
use crate::policy::Price;
use crate::price::Tariff;
use crate::time::Wall;
use crate::units::{Decimal, PicoUsdPerToken, Tokens};

/// Shortest input asked for: no tariff changes below it.
const SHORT_INPUT: u64 = 1_000;
/// Output tokens asked for.
const OUTPUT: u64 = 1_000_000;
/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;

/// List prices of known models.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue {
    calculator: &'static Calculator,
}

/// A model as the data knows it, at one moment.
#[derive(Clone, Copy)]
struct Listed<'a> {
    calculator: &'a Calculator,
    provider: Option<&'a str>,
    model: &'a str,
    at: SystemTime,
}

impl Catalogue {
    /// The catalogue built into agix. Takes tens of milliseconds; made once.
    pub fn bundled() -> Self {
        Self {
            calculator: Calculator::bundled(),
        }
    }

    /// The tariff of `model` at `provider` in the minute of `at`, so that it may be kept for that
    /// minute. `provider` is a name of the policy; one the catalogue does not know is told by the
    /// model's name. Takes tens of microseconds, some hundred where long inputs cost more.
    pub fn tariff(&self, provider: &str, model: &str, at: Wall) -> Option<Tariff> {
        let at = start_of_minute(at)?;
        let known = self.calculator.find_provider(Some(provider), None).ok()?;
        let listed = |model| Listed {
            calculator: self.calculator,
            provider: known.map(|_| provider),
            model,
            at,
        };
        if let Some(tariff) = listed(model).tariff() {
            return Some(tariff);
        }
        other_spellings(model)
            .iter()
            .find_map(|spelling| listed(spelling).tariff())
    }
}

/// The names under which `model` may be listed: Azure writes `gpt-35` for `gpt-3.5`, and a dated
/// name the data does not have yet costs what the undated one costs.
fn other_spellings(model: &str) -> Vec<String> {
    let mut names = Vec::new();
    let plain = model.strip_prefix("gpt-35-").map_or_else(
        || model.to_owned(),
        |rest| {
            let name = format!("gpt-3.5-{rest}");
            names.push(name.clone());
            name
        },
    );
    names.extend(undated(&plain).map(ToOwned::to_owned));
    names
}

/// `name` without `-2025-08-07` or `-20250807` at its end.
fn undated(name: &str) -> Option<&str> {
    let is_date = |text: &str, dashes: [usize; 2]| {
        text.bytes().enumerate().all(|(place, byte)| {
            if dashes.contains(&place) {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
    };
    [(10, [4, 7]), (8, [8, 8])]
        .into_iter()
        .find_map(|(length, dashes)| {
            let (head, date) = name.split_at_checked(name.len().checked_sub(length)?)?;
            let head = head.strip_suffix('-').filter(|head| !head.is_empty())?;
            is_date(date, dashes).then_some(head)
        })
}

fn start_of_minute(at: Wall) -> Option<SystemTime> {
    let millis = at
        .as_millis()
        .checked_sub(at.as_millis().checked_rem_euclid(MINUTE)?)?;
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(millis).ok()?))
}

impl Listed<'_> {
    fn tariff(self) -> Option<Tariff> {
        if self.has_fee_per_call()? {
            return None;
        }
        let base = self.price(SHORT_INPUT)?;
        let highest = self.price(USAGE_TOKENS)?;
        let mut above = Vec::new();
        self.changes((SHORT_INPUT, &base), (USAGE_TOKENS, &highest), &mut above)?;
        let free = [&base, &highest]
            .into_iter()
            .all(|price| price.input.as_picos() == 0 && price.output.as_picos() == 0);
        (!free).then_some(Tariff { base, above })
    }

    /// Whether a call of no tokens costs something.
    fn has_fee_per_call(self) -> Option<bool> {
        let nothing = [(UsageKey::INPUT_TOKENS, 0), (UsageKey::OUTPUT_TOKENS, 0)];
        Some(self.ask(&nothing)?.total_price > 0.0)
    }

    /// Finds by halving every input length between two at which the price changes. Prices that
    /// change and change back in between would be missed; lists have no such.
    fn changes(
        self,
        low: (u64, &Price),
        high: (u64, &Price),
        found: &mut Vec<(Tokens, Price)>,
    ) -> Option<()> {
        if low.1 == high.1 {
            return Some(());
        }
        let middle = low.0.midpoint(high.0);
        if middle == low.0 {
            found.push((Tokens::new(low.0), *high.1));
            return Some(());
        }
        let price = self.price(middle)?;
        self.changes(low, (middle, &price), found)?;
        self.changes((middle, &price), high, found)
    }

    /// The price of calls with so many input tokens.
    fn price(self, input: u64) -> Option<Price> {
        use UsageKey as Key;
        let input_part = |parts: &[Key]| {
            let mut tokens = vec![(Key::INPUT_TOKENS, input)];
            tokens.extend(parts.iter().map(|part| (part.clone(), input)));
            per_token(self.ask(&tokens)?.input_price, input)
        };
        let output_part = |parts: &[Key]| {
            let mut tokens = vec![(Key::INPUT_TOKENS, input), (Key::OUTPUT_TOKENS, OUTPUT)];
            tokens.extend(parts.iter().map(|part| (part.clone(), OUTPUT)));
            per_token(self.ask(&tokens)?.output_price, OUTPUT)
        };
        let unless = |usual: PicoUsdPerToken, price| (price != usual).then_some(price);
        let plain = input_part(&[])?;
        let output = output_part(&[])?;
        let cached = input_part(&[Key::CACHE_READ_TOKENS])?;
        let written = input_part(&[Key::CACHE_WRITE_TOKENS, Key::CACHE_WRITE_5M_TOKENS])?;
        let written_1h = input_part(&[Key::CACHE_WRITE_TOKENS, Key::CACHE_WRITE_1H_TOKENS])?;
        let reasoning = output_part(&[Key::OUTPUT_REASONING_TOKENS])?;
        Some(Price {
            input: plain,
            cached_input: unless(plain, cached),
            cache_write: unless(plain, written),
            cache_write_1h: unless(written, written_1h),
            output,
            reasoning: unless(output, reasoning),
        })
    }

    fn ask(self, tokens: &[(UsageKey, u64)]) -> Option<genai_prices::PriceCalculation> {
        let usage = tokens
            .iter()
            .map(|(key, count)| Some((key.clone(), f64::from(u32::try_from(*count).ok()?))))
            .collect::<Option<genai_prices::Usage>>()?;
        let mut request = PriceRequest::new(self.model, &usage).with_timestamp(self.at);
        if let Some(provider) = self.provider {
            request = request.with_provider_id(provider);
        }
        self.calculator.calculate(&request).ok()
    }
}

/// The exact price of one token when `tokens` of them cost so many dollars, give or take the error
/// of a float, which is far below half a pico-dollar.
fn per_token(dollars: f64, tokens: u64) -> Option<PicoUsdPerToken> {
    let picos = Decimal::parse(&format!("{dollars:.12}"))
        .and_then(|amount| amount.to_units(12))
        .ok()?;
    let tokens = i128::from(tokens);
    let nearest = picos
        .checked_mul(2)?
        .checked_add(tokens)?
        .checked_div_euclid(tokens.checked_mul(2)?)?;
    u64::try_from(nearest).ok().map(PicoUsdPerToken::from_picos)
}

#[cfg(test)]
mod tests;
