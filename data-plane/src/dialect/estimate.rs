//! What a call is billed for: what the provider says, and where it says nothing, an estimate by the
//! bytes that passed.
//!
//! A token of English, and of the code and JSON around it, is 3.3 bytes or more, and the markup of a
//! request counts with its text. So one token for each 3.3 bytes is rather too many than too few,
//! which is the side to err on where money is concerned.

use agix_core::units::Tokens;
use agix_core::usage::{Usage, UsageSource};

use crate::dialect::{Answer, StreamDecoder};

impl Answer {
    /// What the answer to a request of so many bytes is billed for, and how well that is known.
    pub fn billed(&self, input_bytes: u64) -> (Usage, UsageSource) {
        match self.usage {
            Some(usage) => (usage, UsageSource::Reported),
            None => (
                estimate(input_bytes, self.output_bytes),
                UsageSource::Estimated,
            ),
        }
    }
}

impl StreamDecoder {
    /// What the stream that answers a request of so many bytes is billed for, and how well that is
    /// known. Of a stream that broke off, what was reported up to then is believed, except that no
    /// less output is billed than was seen.
    pub fn billed(&self, input_bytes: u64) -> (Usage, UsageSource) {
        let estimate = Usage {
            output: self.output_seen(),
            ..estimate(input_bytes, 0)
        };
        match self.usage() {
            Some(usage) if self.is_done() => (usage, UsageSource::Reported),
            Some(usage) => (with_output(usage, estimate.output), UsageSource::Estimated),
            None => (estimate, UsageSource::Estimated),
        }
    }

    /// Output tokens that passed, estimated by their bytes; a piece is one at least.
    pub fn output_seen(&self) -> Tokens {
        tokens(self.output_bytes()).max(Tokens::new(self.pieces()))
    }
}

/// What a call is billed for of which only so many bytes are known.
pub fn estimated(input_bytes: u64, output_bytes: usize) -> (Usage, UsageSource) {
    let output_bytes = u64::try_from(output_bytes).unwrap_or(u64::MAX);
    (estimate(input_bytes, output_bytes), UsageSource::Estimated)
}

/// The usage of a call by the bytes of its request and of the text of its answer.
fn estimate(input_bytes: u64, output_bytes: u64) -> Usage {
    Usage {
        input: tokens(input_bytes),
        output: tokens(output_bytes),
        ..Usage::default()
    }
}

/// Tokens of a text of so many bytes.
pub(super) fn tokens_of(bytes: usize) -> Tokens {
    tokens(u64::try_from(bytes).unwrap_or(u64::MAX))
}

fn tokens(bytes: u64) -> Tokens {
    Tokens::new(bytes.saturating_mul(10).div_ceil(33))
}

fn with_output(usage: Usage, seen: Tokens) -> Usage {
    Usage {
        output: usage.output.max(seen.saturating_sub(usage.reasoning)),
        ..usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_rounds_up() {
        let usage = estimate(33, 34);
        assert_eq!(usage.input, Tokens::new(10));
        assert_eq!(usage.output, Tokens::new(11));
        assert_eq!(estimate(0, 0), Usage::default());
        assert_eq!(estimate(1, 1).total_output(), Tokens::new(1));
        estimate(u64::MAX, u64::MAX);
    }

    #[test]
    fn no_less_output_is_billed_than_was_seen() {
        let reported = Usage {
            input: Tokens::new(100),
            output: Tokens::new(1),
            reasoning: Tokens::new(4),
            ..Usage::default()
        };
        assert_eq!(
            with_output(reported, Tokens::new(10)).total_output(),
            Tokens::new(10)
        );
        assert_eq!(with_output(reported, Tokens::new(2)), reported);
    }
}
