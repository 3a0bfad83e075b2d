//! The most tokens a call can use, known before it is made.
//!
//! A token stands for one byte at least in the tokenizers in use, which is too far from the truth to
//! reserve money by. Of ASCII, two bytes a token is more than any text, code or base64 comes to, and
//! the markup of a request is more than what a provider puts around its texts; of other text each
//! byte counts. A caller who builds a body of nothing but rare pairs of signs can pass this bound:
//! what a call costs beyond its reservation is debt of its agent, and is counted.

use agix_core::limits::{ASSUMED_OUTPUT_TOKENS, LINKED_PART_TOKENS};
use agix_core::price::Bounds;
use agix_core::units::Tokens;

use crate::dialect::{Caller, ChatRequest, Dialect, EmbeddingsRequest, Target, anthropic};

/// Parts that stand in a chat request by reference: a picture's address, a file's name.
const LINKS: &[&[u8]] = &[b"\"image_url\":", b"\"file_id\":"];
/// The same of a request for a response.
const RESPONSE_LINKS: &[&[u8]] = &[b"\"image_url\":", b"\"file_url\":"];
/// The same of a request for a message.
const MESSAGE_LINKS: &[&[u8]] = &[b"\"url\":", b"\"file_id\":"];

/// Beginnings of the names of models that think without sending it: their streams show less than
/// is billed.
const THINKS_UNSEEN: [&str; 6] = ["o1", "o3", "o4", "gpt-5", "gemini-", "grok-4"];

impl ChatRequest {
    /// The most input tokens this request can come to at any target.
    pub fn input_bound(&self) -> Tokens {
        let links = match self.caller() {
            Caller::Chat | Caller::Completions => LINKS,
            Caller::Responses => RESPONSE_LINKS,
            Caller::Messages => MESSAGE_LINKS,
        };
        input_bound(self.body(), links)
    }

    /// The most tokens this request can use at `target`, if its input is at most `input`.
    pub fn bounds(&self, input: Tokens, target: &Target<'_>) -> Bounds {
        let most = target.max_output_tokens.map(Tokens::get);
        let own = self.caller().native() == Some(target.dialect);
        let each = match target.dialect {
            // Its own bytes pass: nobody bounds them but the caller.
            Dialect::Anthropic if own => self.output_bound().unwrap_or(ASSUMED_OUTPUT_TOKENS),
            Dialect::OpenAi | Dialect::Gemini | Dialect::Completions => {
                let asked = self.output_bound().or(most);
                asked
                    .unwrap_or(ASSUMED_OUTPUT_TOKENS)
                    .min(most.unwrap_or(u64::MAX))
            }
            Dialect::Anthropic => {
                anthropic::output_bound(target.model, self.max_output_tokens(), most)
            }
        };
        Bounds {
            input,
            // What agix translates marks nothing for the cache.
            cache_writes: own || target.dialect == Dialect::OpenAi,
            output: Tokens::new(each.saturating_mul(u64::from(self.choices()))),
        }
    }
}

impl EmbeddingsRequest {
    /// The most input tokens this request can come to at any target.
    pub fn input_bound(&self) -> Tokens {
        input_bound(self.body(), LINKS)
    }
}

/// Whether a stream of this model may be billed for more output than passes.
pub fn thinks_unseen(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    THINKS_UNSEEN.iter().any(|head| name.starts_with(head))
}

fn input_bound(body: &[u8], links: &[&[u8]]) -> Tokens {
    let whole = count(body.len());
    let wide = count(body.iter().filter(|byte| !byte.is_ascii()).count());
    let links = links
        .iter()
        .map(|key| count(memchr::memmem::find_iter(body, *key).count()))
        .fold(0, u64::saturating_add);
    Tokens::new(
        whole
            .saturating_sub(wide)
            .div_ceil(2)
            .saturating_add(wide)
            .saturating_add(links.saturating_mul(LINKED_PART_TOKENS)),
    )
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::estimate::tokens_of;

    fn chat(body: &str) -> ChatRequest {
        ChatRequest::read(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn output(body: &str, dialect: Dialect, model: &str, most: Option<u64>) -> u64 {
        let target = Target {
            dialect,
            model,
            max_output_tokens: most.map(Tokens::new),
        };
        chat(body).bounds(Tokens::ZERO, &target).output.get()
    }

    #[test]
    fn input_is_bounded_by_its_bytes() {
        assert_eq!(input_bound(b"0123456789a", LINKS).get(), 6);
        assert_eq!(input_bound("0123\u{4e2d}".as_bytes(), LINKS).get(), 5);
        assert_eq!(input_bound(b"", LINKS).get(), 0);
    }

    #[test]
    fn what_stands_elsewhere_counts_for_more_than_its_address() {
        let body = br#"{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}"#;
        assert_eq!(
            input_bound(body, LINKS).get(),
            count(body.len()).div_ceil(2) + LINKED_PART_TOKENS
        );
    }

    #[test]
    fn output_is_bounded_by_what_the_target_is_asked_for() {
        const OPEN: &str = r#"{"model":"m","messages":[]}"#;
        const TWO: &str = r#"{"model":"m","messages":[],"n":2,"max_tokens":100}"#;
        const BOTH: &str = r#"{"model":"m","max_tokens":100,"max_completion_tokens":200}"#;
        for (body, most, expected) in [
            (OPEN, None, ASSUMED_OUTPUT_TOKENS),
            (OPEN, Some(500), 500),
            (TWO, None, 200),
            (TWO, Some(50), 100),
            (BOTH, None, 200),
        ] {
            assert_eq!(
                output(body, Dialect::OpenAi, "gpt-4o", most),
                expected,
                "{body}"
            );
        }
        let claude = |body, most| output(body, Dialect::Anthropic, "claude-3-haiku", most);
        assert_eq!(claude(OPEN, None), 4_096);
        assert_eq!(claude(OPEN, Some(500)), 500);
        assert_eq!(claude(BOTH, None), 200);
    }

    #[test]
    fn models_that_think_unseen_are_known_by_name() {
        for model in ["o3-mini", "gpt-5-nano", "openai/o1", "gemini-2.5-pro"] {
            assert!(thinks_unseen(model), "{model}");
        }
        for model in [
            "gpt-4o",
            "claude-opus-4-6",
            "deepseek-chat",
            "ollama/llama3",
        ] {
            assert!(!thinks_unseen(model), "{model}");
        }
    }

    proptest! {
        #[test]
        fn an_estimate_is_never_above_the_bound(text in any::<String>()) {
            prop_assert!(tokens_of(text.len()) <= input_bound(text.as_bytes(), LINKS));
        }
    }
}
