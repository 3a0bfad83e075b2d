//! The prices, and the costs worked out by hand from them.

use agix_tests::mock_provider::Usage;

use super::call::Endpoint;

/// What is special about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    /// Nothing.
    Reported,
    /// A part of the input comes from the cache.
    Cached,
    /// Another is written to it.
    CacheWrite,
    /// Most of the output is reasoning.
    Reasoning,
    /// The caller leaves: a stream after ten words, a plain answer before it begins.
    Left,
    /// The provider reports no tokens.
    Missing,
    /// Another model failed before.
    FailedOver,
}

/// A hand-made cost in billionths of a dollar, or why there is no such call.
type Cost = Result<u64, &'static str>;

/// A model with its prices.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) name: &'static str,
    pub(super) model: &'static str,
    /// In dollars per million tokens, which are micro-dollars per token.
    pub(super) price: &'static str,
    /// The same in pico-dollars per token: input, cached, written, output, reasoning.
    picos: [u64; 5],
    reported: Cost,
    cached: Cost,
    cache_write: Cost,
    reasoning: Cost,
    /// A stream that the caller left.
    left: Cost,
    /// What is set aside for a plain call: in its own protocol, and translated.
    set_aside: [u64; 2],
    missing: Cost,
}

/// The models, one of each protocol and DeepSeek, whose usage is shaped in its own way.
///
/// Requests of which tokens have to be estimated are 330 bytes long: 100 tokens of 3.3 bytes. The
/// answer to them is 33 bytes in ten pieces: ten tokens. At most they are 165 tokens of two bytes, of
/// input, and the twenty of output that they ask for.
pub(super) static PROVIDERS: [Provider; 5] = [
    Provider {
        name: "openai",
        model: "gpt-5",
        price: "{ input: 1.25, cached_input: 0.125, cache_write: 1.5, output: 10, reasoning: 11 }",
        picos: [1_250_000, 125_000, 1_500_000, 10_000_000, 11_000_000],
        // 1,000 x 1.25 + 100 x 10 micro-dollars.
        reported: Ok(2_250_000),
        // 600 x 1.25 + 400 x 0.125 + 50 x 10: 750 + 50 + 500.
        cached: Ok(1_300_000),
        // 500 x 1.25 + 200 x 0.125 + 300 x 1.5 + 50 x 10: 625 + 25 + 450 + 500.
        cache_write: Ok(1_600_000),
        // 100 x 1.25 + 50 x 10 + 250 x 11: 125 + 500 + 2,750.
        reasoning: Ok(3_375_000),
        // 100 x 1.25 + 10 x 10.
        left: Ok(225_000),
        // 165 x 1.5 + 20 x 11: 247.5 + 220. OpenAI caches unasked, whoever calls.
        set_aside: [467_500, 467_500],
        // 100 x 1.25 + 10 x 10.
        missing: Ok(225_000),
    },
    Provider {
        name: "anthropic",
        model: "claude-haiku-4-5-20251001",
        price: "{ input: 1, cached_input: 0.1, cache_write: 1.25, output: 5, reasoning: 6 }",
        picos: [1_000_000, 100_000, 1_250_000, 5_000_000, 6_000_000],
        // 1,000 x 1 + 100 x 5.
        reported: Ok(1_500_000),
        // 600 x 1 + 400 x 0.1 + 50 x 5: 600 + 40 + 250.
        cached: Ok(890_000),
        // 500 x 1 + 200 x 0.1 + 300 x 1.25 + 50 x 5: 500 + 20 + 375 + 250.
        cache_write: Ok(1_145_000),
        // 100 x 1 + 50 x 5 + 250 x 6: 100 + 250 + 1,500.
        reasoning: Ok(1_850_000),
        // 100 x 1 + 10 x 5.
        left: Ok(150_000),
        // 165 x 1.25 + 20 x 6: 206.25 + 120; translated, nothing is written to the cache: 165 + 120.
        set_aside: [326_250, 285_000],
        // 100 x 1 + 10 x 5.
        missing: Ok(150_000),
    },
    Provider {
        name: "gemini",
        model: "gemini-2.5-pro",
        price: "{ input: 1.3, cached_input: 0.31, output: 9, reasoning: 12 }",
        picos: [1_300_000, 310_000, 1_300_000, 9_000_000, 12_000_000],
        // 1,000 x 1.3 + 100 x 9.
        reported: Ok(2_200_000),
        // 600 x 1.3 + 400 x 0.31 + 50 x 9: 780 + 124 + 450.
        cached: Ok(1_354_000),
        cache_write: Err("Google bills no writes"),
        // 100 x 1.3 + 50 x 9 + 250 x 12: 130 + 450 + 3,000.
        reasoning: Ok(3_580_000),
        // 100 x 1.3 + 10 x 9.
        left: Ok(220_000),
        // 165 x 1.3 + 20 x 12: 214.5 + 240.
        set_aside: [454_500, 454_500],
        // 100 x 1.3 + 10 x 9.
        missing: Ok(220_000),
    },
    Provider {
        name: "deepseek",
        model: "deepseek-chat",
        price: "{ input: 0.27, cached_input: 0.07, output: 1.1, reasoning: 1.3 }",
        picos: [270_000, 70_000, 270_000, 1_100_000, 1_300_000],
        // 1,000 x 0.27 + 100 x 1.1.
        reported: Ok(380_000),
        // 600 x 0.27 + 400 x 0.07 + 50 x 1.1: 162 + 28 + 55.
        cached: Ok(245_000),
        cache_write: Err("DeepSeek bills no writes"),
        // 100 x 0.27 + 50 x 1.1 + 250 x 1.3: 27 + 55 + 325.
        reasoning: Ok(407_000),
        // 100 x 0.27 + 10 x 1.1.
        left: Ok(38_000),
        // 165 x 0.27 + 20 x 1.3: 44.55 + 26.
        set_aside: [70_550, 70_550],
        // 100 x 0.27 + 10 x 1.1.
        missing: Ok(38_000),
    },
    Provider {
        name: "openai",
        model: "text-embedding-3-small",
        price: "{ input: 0.02, output: 0 }",
        picos: [20_000, 20_000, 20_000, 0, 0],
        // 1,000 x 0.02.
        reported: Ok(20_000),
        cached: Err("embeddings have no cache"),
        cache_write: Err("embeddings have no cache"),
        reasoning: Err("embeddings are not reasoned about"),
        left: Err("embeddings are not streamed"),
        // 165 x 0.02.
        set_aside: [3_300, 3_300],
        // 100 x 0.02.
        missing: Ok(2_000),
    },
];

impl Case {
    pub(super) const ALL: [Self; 7] = [
        Self::Reported,
        Self::Cached,
        Self::CacheWrite,
        Self::Reasoning,
        Self::Left,
        Self::Missing,
        Self::FailedOver,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Cached => "cached",
            Self::CacheWrite => "cache write",
            Self::Reasoning => "reasoning",
            Self::Left => "caller left",
            Self::Missing => "usage missing",
            Self::FailedOver => "failed over",
        }
    }

    /// Tokens the provider bills for the whole answer.
    pub(super) const fn usage(self) -> Usage {
        let [input, cached_input, cache_write, output, reasoning] = match self {
            Self::Reported | Self::FailedOver => [1_000, 0, 0, 100, 0],
            Self::Cached => [1_000, 400, 0, 50, 0],
            Self::CacheWrite => [1_000, 200, 300, 50, 0],
            Self::Reasoning => [100, 0, 0, 300, 250],
            Self::Left | Self::Missing => [100, 0, 0, 10, 0],
        };
        Usage {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
        }
    }
}

impl Provider {
    pub(super) fn serves(&self, endpoint: Endpoint) -> bool {
        self.model.starts_with("text-embedding") == (endpoint == Endpoint::Embeddings)
    }

    /// The cost by hand.
    pub(super) fn cost(&self, case: Case, endpoint: Endpoint, stream: bool) -> Cost {
        let embeds = endpoint == Endpoint::Embeddings;
        match case {
            Case::Cached => self.cached,
            Case::CacheWrite => self.cache_write,
            Case::Reasoning => self.reasoning,
            Case::Left if stream => self.left,
            Case::Left => {
                let [own, translated] = self.set_aside;
                Ok(if endpoint.is_own_of(self.name) {
                    own
                } else {
                    translated
                })
            }
            Case::Missing => self.missing,
            Case::FailedOver if embeds => Err("the numbers of another model mean something else"),
            Case::Reported | Case::FailedOver => self.reported,
        }
    }

    /// What the provider's book comes to.
    pub(super) fn of(&self, billed: &Usage) -> u64 {
        let [input, cached, written, output, reasoning] = self.picos;
        let fresh = billed.input - billed.cached_input - billed.cache_write;
        let picos = fresh * input
            + billed.cached_input * cached
            + billed.cache_write * written
            + (billed.output - billed.reasoning) * output
            + billed.reasoning * reasoning;
        picos.div_ceil(1_000)
    }
}
