//! OpenAI's completions of a text, the older sibling of its chat completions: a dialect of callers,
//! and of the servers that still have them.
//!
//! A server of OpenAI's kind gets the caller's own bytes, unless its model is known for chatting only;
//! every other target is asked for the answer to a message that is the prompt.
//!
//! | module | direction |
//! | --- | --- |
//! | `conversation` | a caller's request, read for another dialect |
//! | `write` | another dialect's answer or stream, written for the caller |

mod conversation;
mod write;

pub(super) use self::conversation::{check, read as read_conversation};
pub(super) use self::write::{StreamWriter, whole as write_answer};

/// Beginnings of the names of models that only chat.
const CHATTERS: [&str; 8] = [
    "gpt-3.5-turbo",
    "gpt-4",
    "gpt-5",
    "chatgpt",
    "o1",
    "o3",
    "o4",
    "deepseek-",
];

/// Whether a model is known not to complete texts, whoever serves it.
pub(super) fn only_chats(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    CHATTERS.iter().any(|head| name.starts_with(head)) && !name.contains("instruct")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_only_chat_are_known_by_name() {
        for model in ["gpt-4o-mini", "openai/gpt-5", "o3", "deepseek-chat"] {
            assert!(only_chats(model), "{model}");
        }
        for model in [
            "gpt-3.5-turbo-instruct",
            "davinci-002",
            "meta-llama/Llama-3.1-8B",
            "qwen2.5-coder:7b",
        ] {
            assert!(!only_chats(model), "{model}");
        }
    }
}
