use proptest::prelude::*;

use super::*;

/// 23 November 2026, 12:00:00 UTC.
const NOON: Wall = Wall::from_millis(1_795_435_200_000);
const HOUR: i64 = 3_600_000;

fn later(millis: i64) -> Wall {
    Wall::from_millis(NOON.as_millis() + millis)
}

fn tariff(provider: &str, model: &str) -> Option<Tariff> {
    Catalogue::bundled().tariff(provider, model, NOON)
}

/// A price in dollars per million tokens; an empty part is absent.
fn price(parts: [&str; 6]) -> Price {
    let part = |text: &str| {
        (!text.is_empty())
            .then(|| PicoUsdPerToken::from_usd_per_million(Decimal::parse(text).unwrap()).unwrap())
    };
    let [input, cached, write, write_1h, output, reasoning] = parts;
    Price {
        input: part(input).unwrap(),
        cached_input: part(cached),
        cache_write: part(write),
        cache_write_1h: part(write_1h),
        output: part(output).unwrap(),
        reasoning: part(reasoning),
    }
}

#[test]
fn list_prices_are_exact() {
    for (provider, model, parts) in [
        ("openai", "gpt-4o", ["2.5", "1.25", "", "", "10", ""]),
        (
            "openai",
            "gpt-4o-mini",
            ["0.15", "0.075", "", "", "0.6", ""],
        ),
        ("openai", "gpt-35-turbo", ["0.5", "", "", "", "1.5", ""]),
        (
            "openai",
            "text-embedding-3-small",
            ["0.02", "", "", "", "0", ""],
        ),
        (
            "anthropic",
            "claude-opus-4-6",
            ["5", "0.5", "6.25", "10", "25", ""],
        ),
        (
            "anthropic",
            "claude-haiku-4-5-20251001",
            ["1", "0.1", "1.25", "2", "5", ""],
        ),
        (
            "deepseek",
            "deepseek-chat",
            ["0.27", "0.07", "", "", "1.1", ""],
        ),
    ] {
        assert_eq!(
            tariff(provider, model),
            Some(Tariff::flat(price(parts))),
            "{provider} {model}"
        );
    }
}

#[test]
fn every_model_the_specification_names_has_a_price() {
    for (provider, model) in [
        ("openai", "gpt-4o"),
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-35-turbo"),
        ("anthropic", "claude-opus-4-6"),
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("anthropic", "claude-haiku-4-5-20251001"),
        ("deepseek", "deepseek-chat"),
    ] {
        assert!(tariff(provider, model).is_some(), "{model}");
    }
}

#[test]
fn a_long_input_has_its_own_price() {
    let gemini = tariff("gemini", "gemini-2.5-pro").unwrap();
    assert_eq!(gemini.base, price(["1.25", "0.125", "", "", "10", ""]));
    assert_eq!(
        gemini.above,
        [(
            Tokens::new(200_000),
            price(["2.5", "0.25", "", "", "15", ""])
        )]
    );
    let sonnet = tariff("anthropic", "claude-sonnet-4-5").unwrap();
    assert_eq!(sonnet.base, price(["3", "0.3", "3.75", "6", "15", ""]));
    assert_eq!(
        sonnet.above,
        [(
            Tokens::new(200_000),
            price(["6", "0.6", "7.5", "12", "22.5", ""])
        )]
    );
}

#[test]
fn a_price_by_the_hour_changes_with_the_hour_and_never_within_a_minute() {
    let catalogue = Catalogue::bundled();
    let at = |wall| catalogue.tariff("deepseek", "deepseek-chat", wall).unwrap();
    let day = price(["0.27", "0.07", "", "", "1.1", ""]);
    let night = price(["0.135", "0.035", "", "", "0.55", ""]);
    let change = 4 * HOUR + HOUR / 2;
    assert_eq!(at(NOON), Tariff::flat(day));
    assert_eq!(at(later(change - 1)), Tariff::flat(day));
    assert_eq!(at(later(change)), Tariff::flat(night));
    assert_eq!(at(later(change + 59_999)), at(later(change)));
}

#[test]
fn a_price_is_the_one_of_its_day() {
    let catalogue = Catalogue::bundled();
    let early = Wall::from_millis(1_772_366_400_000); // 1 March 2026
    let tariff = catalogue
        .tariff("anthropic", "claude-opus-4-6", early)
        .unwrap();
    assert_eq!(
        tariff.above.len(),
        1,
        "long inputs cost more until 13 March"
    );
}

#[test]
fn a_date_the_catalogue_does_not_have_yet_is_left_out() {
    assert_eq!(
        tariff("openai", "gpt-4o-2027-01-31"),
        tariff("openai", "gpt-4o")
    );
    assert_eq!(
        tariff("openai", "gpt-4o-20270131"),
        tariff("openai", "gpt-4o")
    );
    assert_eq!(
        tariff("azure", "gpt-35-turbo-0125"),
        tariff("openai", "gpt-3.5-turbo-0125")
    );
    for (name, without) in [
        ("a-2027-01-31", Some("a")),
        ("a-20270131", Some("a")),
        ("a-2027", None),
        ("-20270131", None),
        ("20270131", None),
        ("a-2027x01-31", None),
        ("é-2027-01-3", None),
    ] {
        assert_eq!(undated(name), without, "{name}");
    }
}

#[test]
fn a_provider_of_any_name_is_told_by_the_model() {
    assert_eq!(tariff("eu-gateway", "gpt-4o"), tariff("openai", "gpt-4o"));
    assert_eq!(
        tariff("our-anthropic", "claude-opus-4-6"),
        tariff("anthropic", "claude-opus-4-6")
    );
    assert_eq!(
        tariff("azure", "gpt-4o"),
        tariff("openai", "gpt-4o"),
        "azure sells the models of others"
    );
}

#[test]
fn what_is_not_sold_by_the_token_has_no_tariff() {
    assert_eq!(tariff("openai", "no-such-model"), None);
    assert_eq!(tariff("ollama", "llama3"), None);
    assert_eq!(tariff("openai", "whisper-1"), None, "by the hour");
    assert_eq!(tariff("openai", ""), None);
    assert_eq!(tariff("", ""), None);
    let before_time = Wall::from_millis(-1);
    assert_eq!(
        Catalogue::bundled().tariff("openai", "gpt-4o", before_time),
        None
    );
}

#[test]
fn a_float_becomes_the_price_it_stands_for() {
    for (dollars, tokens, picos) in [
        (2.5, 1_000_000, 2_500_000),
        (0.180_000_000_000_000_02, 1_000_000, 180_000),
        (0.139_999_999_999_999_9, 1_000_000, 140_000),
        (15_000.000_000_000_002, 100_000_000, 150_000_000),
        (0.000_002_8, 1_000, 2_800),
        (0.0, 1_000, 0),
    ] {
        assert_eq!(
            per_token(dollars, tokens),
            Some(PicoUsdPerToken::from_picos(picos)),
            "{dollars} / {tokens}"
        );
    }
    assert_eq!(per_token(f64::NAN, 1), None);
    assert_eq!(per_token(f64::INFINITY, 1), None);
    assert_eq!(per_token(-1.0, 1), None);
    assert_eq!(per_token(1.0, 0), None);
}

proptest! {
    /// The tariff and the data agree on calls of every length, within the data's float error.
    #[test]
    fn a_tariff_costs_what_the_data_says(
        input in 1_u32..2_000_000,
        output in 0_u32..200_000,
        model in prop::sample::select(vec![
            ("openai", "gpt-4o"),
            ("openai", "gpt-5.4"),
            ("anthropic", "claude-sonnet-4-5"),
            ("google", "gemini-2.5-pro"),
            ("x-ai", "grok-4"),
        ]),
    ) {
        let (provider, model) = model;
        let tariff = tariff(provider, model).unwrap();
        let ours = crate::price::cost(&tariff, &crate::usage::Usage {
            input: Tokens::new(u64::from(input)),
            output: Tokens::new(u64::from(output)),
            ..crate::usage::Usage::default()
        }).unwrap();
        let usage = genai_prices::Usage::from([
            (UsageKey::INPUT_TOKENS, f64::from(input)),
            (UsageKey::OUTPUT_TOKENS, f64::from(output)),
        ]);
        let theirs = Calculator::bundled().calculate(
            &PriceRequest::new(model, &usage)
                .with_provider_id(provider)
                .with_timestamp(start_of_minute(NOON).unwrap()),
        ).unwrap();
        let theirs = Decimal::parse(&format!("{:.9}", theirs.total_price)).unwrap();
        let difference = i128::from(ours.as_nanos()) - theirs.to_units(9).unwrap();
        prop_assert!((0..=1).contains(&difference), "{difference} nano-dollars apart");
    }
}
