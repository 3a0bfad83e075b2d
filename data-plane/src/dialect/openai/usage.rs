//! What an OpenAI-compatible provider reports as billed.
//!
//! A report is believed as a whole or not at all: a count that is negative, a fraction, a text,
//! larger than [`USAGE_TOKENS`], or a part larger than its whole makes it worthless.

use agix_core::limits::USAGE_TOKENS;
use agix_core::units::Tokens;
use agix_core::usage::Usage;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::value::RawValue;

/// A believable count of tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::dialect) struct Count(pub(in crate::dialect) u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let count = u64::deserialize(deserializer)?;
        if count > USAGE_TOKENS {
            return Err(D::Error::custom("not a believable count of tokens"));
        }
        Ok(Self(count))
    }
}

#[derive(Deserialize)]
struct Report {
    prompt_tokens: Count,
    completion_tokens: Option<Count>,
    total_tokens: Option<Count>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<Count>,
}

/// The report of a chat answer.
pub(super) fn of_chat(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    report.completion_tokens?;
    report.usage()
}

/// The report of an embeddings answer, which has no completion.
pub(super) fn of_embeddings(report: &RawValue) -> Option<Usage> {
    let report: Report = serde_json::from_str(report.get()).ok()?;
    report.usage()
}

fn count(part: Option<Count>) -> u64 {
    part.unwrap_or_default().0
}

impl Report {
    fn usage(&self) -> Option<Usage> {
        let prompt = self.prompt_tokens.0;
        let details = self.prompt_tokens_details.as_ref();
        let cached = details
            .and_then(|details| details.cached_tokens)
            .or(self.prompt_cache_hit_tokens);
        let cached = count(cached);
        let written = count(details.and_then(|details| details.cache_write_tokens));
        let plain = prompt.checked_sub(cached)?.checked_sub(written)?;

        let (output, reasoning) = self.output()?;
        let reported = prompt + output + reasoning > 0;
        reported.then_some(Usage {
            input: Tokens::new(plain),
            cached_input: Tokens::new(cached),
            cache_write_5m: Tokens::new(written),
            cache_write_1h: Tokens::ZERO,
            output: Tokens::new(output),
            reasoning: Tokens::new(reasoning),
        })
    }

    /// Visible output and reasoning. Reasoning is a part of the completion; some providers (xAI,
    /// Gemini) leave it out there and count it in the total alone, where it is billed all the same.
    fn output(&self) -> Option<(u64, u64)> {
        let completion = count(self.completion_tokens);
        let details = self.completion_tokens_details.as_ref();
        let reasoning = count(details.and_then(|details| details.reasoning_tokens));
        let outside = count(self.total_tokens).saturating_sub(self.prompt_tokens.0 + completion);
        if outside > 0 {
            return (reasoning <= outside).then_some((completion, outside));
        }
        Some((completion.checked_sub(reasoning)?, reasoning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn parts(text: &str) -> Option<[u64; 6]> {
        of_chat(&raw(text)).map(|usage| {
            [
                usage.input,
                usage.cached_input,
                usage.cache_write_5m,
                usage.cache_write_1h,
                usage.output,
                usage.reasoning,
            ]
            .map(Tokens::get)
        })
    }

    #[test]
    fn the_parts_of_a_report_do_not_overlap() {
        for (report, expected) in [
            (
                r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#,
                [10, 0, 0, 0, 5, 0],
            ),
            (
                r#"{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500,
                    "prompt_tokens_details":{"cached_tokens":600,"cache_write_tokens":100,"audio_tokens":0},
                    "completion_tokens_details":{"reasoning_tokens":320,"accepted_prediction_tokens":1}}"#,
                [300, 600, 100, 0, 180, 320],
            ),
            (
                r#"{"prompt_tokens":100,"completion_tokens":7,"total_tokens":107,
                    "prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
                [36, 64, 0, 0, 7, 0],
            ),
            (
                r#"{"prompt_tokens":100,"completion_tokens":7,"prompt_cache_hit_tokens":64,
                    "prompt_tokens_details":{"cached_tokens":64}}"#,
                [36, 64, 0, 0, 7, 0],
            ),
            (
                r#"{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":null,
                    "completion_tokens_details":{"reasoning_tokens":null}}"#,
                [9, 0, 0, 0, 3, 0],
            ),
        ] {
            assert_eq!(parts(report), Some(expected), "{report}");
        }
    }

    #[test]
    fn reasoning_that_only_the_total_counts_is_billed() {
        let xai = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115,
            "completion_tokens_details":{"reasoning_tokens":100}}"#;
        assert_eq!(parts(xai), Some([10, 0, 0, 0, 5, 100]));
        let gemini = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115}"#;
        assert_eq!(parts(gemini), Some([10, 0, 0, 0, 5, 100]));
        let low_total = r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":3}"#;
        assert_eq!(parts(low_total), Some([10, 0, 0, 0, 5, 0]));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        for report in [
            "null",
            "[]",
            "7",
            "{}",
            r#"{"prompt_tokens":10}"#,
            r#"{"completion_tokens":10}"#,
            r#"{"prompt_tokens":0,"completion_tokens":0}"#,
            r#"{"prompt_tokens":-1,"completion_tokens":5}"#,
            r#"{"prompt_tokens":10,"completion_tokens":-5}"#,
            r#"{"prompt_tokens":10.0,"completion_tokens":5}"#,
            r#"{"prompt_tokens":"10","completion_tokens":5}"#,
            r#"{"prompt_tokens":1e308,"completion_tokens":5}"#,
            r#"{"prompt_tokens":9223372036854775808,"completion_tokens":5}"#,
            r#"{"prompt_tokens":100000001,"completion_tokens":5}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":11}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,
                "prompt_tokens_details":{"cached_tokens":6,"cache_write_tokens":5}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"prompt_cache_hit_tokens":11}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":6}}"#,
            r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":20,
                "completion_tokens_details":{"reasoning_tokens":6}}"#,
            r#"{"prompt_tokens":10,"prompt_tokens":1,"completion_tokens":5}"#,
        ] {
            assert_eq!(parts(report), None, "{report}");
        }
    }

    #[test]
    fn embeddings_have_no_completion() {
        let usage = of_embeddings(&raw(r#"{"prompt_tokens":8,"total_tokens":8}"#)).unwrap();
        assert_eq!(usage.input, Tokens::new(8));
        assert_eq!(usage.total_output(), Tokens::ZERO);
    }
}
