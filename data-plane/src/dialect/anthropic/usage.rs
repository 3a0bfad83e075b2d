//! What Anthropic reports as billed. Its input tokens leave cached ones out; its stream reports
//! twice, and the second report replaces the first, member by member: it is never added.

use agix_core::units::Tokens;
use agix_core::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::dialect::openai::Count;

/// A report, whole or in parts.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Report {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_read_input_tokens: Option<Count>,
    cache_creation: Option<Created>,
    output_tokens: Option<Count>,
    output_tokens_details: Option<OutputDetails>,
}

/// Tokens written to the cache, by how long they stay.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Created {
    ephemeral_5m_input_tokens: Option<Count>,
    ephemeral_1h_input_tokens: Option<Count>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct OutputDetails {
    thinking_tokens: Option<Count>,
}

fn count(part: Option<Count>) -> u64 {
    part.unwrap_or_default().0
}

impl Report {
    /// Reads a report; nothing if any part of it cannot be believed.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        serde_json::from_str(raw.get()).ok()
    }

    /// This report with the members of a newer one in place of its own.
    pub(super) fn replaced_by(self, newer: Self) -> Self {
        Self {
            input_tokens: newer.input_tokens.or(self.input_tokens),
            cache_creation_input_tokens: newer
                .cache_creation_input_tokens
                .or(self.cache_creation_input_tokens),
            cache_read_input_tokens: newer
                .cache_read_input_tokens
                .or(self.cache_read_input_tokens),
            cache_creation: newer.cache_creation.or(self.cache_creation),
            output_tokens: newer.output_tokens.or(self.output_tokens),
            output_tokens_details: newer.output_tokens_details.or(self.output_tokens_details),
        }
    }

    /// The usage it reports, if that is possible.
    pub(super) fn usage(self) -> Option<Usage> {
        let input = self.input_tokens?.0;
        let output = self.output_tokens?.0;
        let cached = count(self.cache_read_input_tokens);
        let (five_minutes, hour) = self.written();
        let thinking = count(
            self.output_tokens_details
                .and_then(|parts| parts.thinking_tokens),
        );
        let visible = output.checked_sub(thinking)?;
        let reported = input + cached + five_minutes + hour + output > 0;
        reported.then_some(Usage {
            input: Tokens::new(input),
            cached_input: Tokens::new(cached),
            cache_write_5m: Tokens::new(five_minutes),
            cache_write_1h: Tokens::new(hour),
            output: Tokens::new(visible),
            reasoning: Tokens::new(thinking),
        })
    }

    /// Tokens written for five minutes and for an hour. The total is what counts; the split only
    /// says which part of it is dearer.
    fn written(self) -> (u64, u64) {
        let split = |part: fn(&Created) -> Option<Count>| {
            count(self.cache_creation.as_ref().and_then(part))
        };
        let hour = split(|created| created.ephemeral_1h_input_tokens);
        match self.cache_creation_input_tokens {
            Some(Count(total)) => (total - hour.min(total), hour.min(total)),
            None => (split(|created| created.ephemeral_5m_input_tokens), hour),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Report> {
        Report::read(&RawValue::from_string(text.to_owned()).unwrap())
    }

    fn parts(report: Report) -> Option<[u64; 6]> {
        report.usage().map(|usage| {
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
    fn cached_input_stands_beside_input() {
        for (report, expected) in [
            (
                r#"{"input_tokens":25,"output_tokens":150}"#,
                [25, 0, 0, 0, 150, 0],
            ),
            (
                r#"{"input_tokens":25,"cache_creation_input_tokens":1000,"cache_read_input_tokens":4000,
                    "cache_creation":{"ephemeral_5m_input_tokens":700,"ephemeral_1h_input_tokens":300},
                    "output_tokens":150,"output_tokens_details":{"thinking_tokens":50},
                    "service_tier":"standard"}"#,
                [25, 4000, 700, 300, 100, 50],
            ),
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":100,"output_tokens":2}"#,
                [1, 0, 100, 0, 2, 0],
            ),
            (
                r#"{"input_tokens":1,"cache_creation_input_tokens":100,"output_tokens":2,
                    "cache_creation":{"ephemeral_1h_input_tokens":900}}"#,
                [1, 0, 0, 100, 2, 0],
            ),
            (
                r#"{"input_tokens":0,"cache_read_input_tokens":90,"output_tokens":2,"cache_creation":null}"#,
                [0, 90, 0, 0, 2, 0],
            ),
        ] {
            assert_eq!(parts(read(report).unwrap()), Some(expected), "{report}");
        }
    }

    #[test]
    fn a_newer_report_replaces_and_is_never_added() {
        let start = r#"{"input_tokens":5000,"cache_creation_input_tokens":100,
            "cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":100},
            "cache_read_input_tokens":4000,"output_tokens":1}"#;
        let both = |newer| parts(read(start).unwrap().replaced_by(read(newer).unwrap()));
        assert_eq!(
            both(r#"{"output_tokens":150}"#),
            Some([5000, 4000, 0, 100, 150, 0])
        );
        assert_eq!(
            both(
                r#"{"input_tokens":900,"cache_creation_input_tokens":100,
                    "cache_read_input_tokens":4000,"output_tokens":150}"#
            ),
            Some([900, 4000, 0, 100, 150, 0]),
            "a first report that counts cached input twice is corrected by the second"
        );
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        for report in [
            "7",
            r#"{"input_tokens":-1,"output_tokens":1}"#,
            r#"{"input_tokens":1.5,"output_tokens":1}"#,
            r#"{"input_tokens":"1","output_tokens":1}"#,
            r#"{"input_tokens":1,"output_tokens":100000001}"#,
        ] {
            assert!(read(report).is_none(), "{report}");
        }
        for report in [
            "{}",
            r#"{"input_tokens":1}"#,
            r#"{"output_tokens":1}"#,
            r#"{"input_tokens":0,"output_tokens":0}"#,
            r#"{"input_tokens":1,"output_tokens":1,"output_tokens_details":{"thinking_tokens":2}}"#,
        ] {
            assert!(parts(read(report).unwrap()).is_none(), "{report}");
        }
    }
}
