//! What each generation of Claude takes. Models of other makers behind the same protocol take
//! everything, as far as agix knows.

use agix_core::limits::ASSUMED_OUTPUT_TOKENS;

/// Which of `temperature` and `top_p` a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sampling {
    Both,
    /// Either, not both.
    One,
    Neither,
}

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) sampling: Sampling,
    /// Whether it goes on with a turn of the assistant's that was begun for it.
    pub(super) prefill: bool,
    /// Whether it keeps to a JSON schema, of an answer or of a tool's arguments.
    pub(super) schemas: bool,
    /// Most output tokens of one answer, if known.
    pub(super) max_output: Option<u64>,
}

impl Abilities {
    /// Of the model of that name.
    pub(super) fn of(model: &str) -> Self {
        let Some(generation) = generation(model) else {
            return Self {
                sampling: Sampling::Both,
                prefill: true,
                schemas: false,
                max_output: None,
            };
        };
        let is_opus = model.contains("opus");
        Self {
            sampling: match generation {
                (..=3, _) => Sampling::Both,
                (4, ..=6) => Sampling::One,
                _ => Sampling::Neither,
            },
            prefill: generation < (4, 6),
            schemas: generation >= (4, 5),
            max_output: Some(match generation {
                (..=2, _) | (3, ..=4) => 4_096,
                (3, 5 | 6) => 8_192,
                (4, ..=1) if is_opus => 32_000,
                _ => 64_000,
            }),
        }
    }

    /// The bound to ask for, out of the caller's and the policy's.
    pub(super) fn output_bound(self, asked: Option<u64>, policy: Option<u64>) -> u64 {
        let most = policy.or(self.max_output).unwrap_or(u64::MAX);
        asked.or(policy).unwrap_or(ASSUMED_OUTPUT_TOKENS).min(most)
    }
}

/// Major and minor version in the name of a Claude model: `claude-opus-4-6`, `claude-3-5-sonnet`,
/// `anthropic.claude-sonnet-4-20250514-v1:0`.
fn generation(model: &str) -> Option<(u8, u8)> {
    let (_, name) = model.split_once("claude")?;
    let mut words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .skip_while(|word| version(word).is_none());
    let major = words.next().and_then(version)?;
    Some((major, words.next().and_then(version).unwrap_or(0)))
}

/// A part of a version: one or two digits, unlike a date.
fn version(word: &str) -> Option<u8> {
    (word.len() <= 2).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_is_read_from_every_spelling() {
        for (name, expected) in [
            ("claude-opus-4-6", Some((4, 6))),
            ("claude-opus-4-6-20260205", Some((4, 6))),
            ("claude-sonnet-4-5-20250929", Some((4, 5))),
            ("claude-sonnet-4-20250514", Some((4, 0))),
            ("claude-3-5-sonnet-20241022", Some((3, 5))),
            ("claude-3-haiku-20240307", Some((3, 0))),
            ("claude-opus-4.6", Some((4, 6))),
            ("claude-4-6-opus", Some((4, 6))),
            ("claude-2.1", Some((2, 1))),
            ("claude-fable-5", Some((5, 0))),
            ("anthropic/claude-haiku-4-5", Some((4, 5))),
            ("us.anthropic.claude-opus-4-6-v1:0", Some((4, 6))),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Some((4, 0))),
            ("claude-next", None),
            ("kimi-k2", None),
        ] {
            assert_eq!(generation(name), expected, "{name}");
        }
    }

    #[test]
    fn newer_generations_take_less() {
        let of = |name| Abilities::of(name);
        assert_eq!(of("claude-3-5-sonnet-20241022").sampling, Sampling::Both);
        assert_eq!(of("claude-opus-4-6").sampling, Sampling::One);
        assert_eq!(of("claude-opus-4-7").sampling, Sampling::Neither);
        assert_eq!(of("claude-fable-5").sampling, Sampling::Neither);
        assert_eq!(of("kimi-k2").sampling, Sampling::Both);
        assert!(of("claude-sonnet-4-5").prefill && !of("claude-opus-4-6").prefill);
    }

    #[test]
    fn a_bound_never_passes_what_the_model_can_write() {
        let haiku = Abilities::of("claude-3-haiku-20240307");
        assert_eq!(haiku.output_bound(None, None), 4_096);
        assert_eq!(haiku.output_bound(Some(100), None), 100);
        assert_eq!(haiku.output_bound(Some(100_000), None), 4_096);
        assert_eq!(haiku.output_bound(Some(100_000), Some(50_000)), 50_000);
        let opus = Abilities::of("claude-opus-4-6");
        assert_eq!(opus.output_bound(None, None), ASSUMED_OUTPUT_TOKENS);
        assert_eq!(opus.output_bound(None, Some(1_000)), 1_000);
        assert_eq!(
            Abilities::of("kimi-k2").output_bound(Some(99_999), None),
            99_999
        );
    }
}
