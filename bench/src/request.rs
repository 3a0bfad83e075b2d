//! The requests: about a kilobyte, as an SDK sends them.

use std::ops::Range;

/// A name that stands for many.
const NO_NAME: &str = "n000000000";
/// Bytes of the question.
const QUESTION_BYTES: usize = 780;

/// Asks for a plain answer, in the name of `agent`.
pub(crate) fn plain(agent: &str) -> Vec<u8> {
    let body = serde_json::json!({ "model": "gpt-4o", "messages": messages() });
    request(agent, &body)
}

/// Asks for a stream of `events` events, in the name of `agent`.
pub(crate) fn stream(agent: &str, events: usize) -> Vec<u8> {
    let body = serde_json::json!({
        "model": "gpt-4o", "messages": messages(), "stream": true, "max_tokens": events,
        "stream_options": { "include_usage": true },
    });
    request(agent, &body)
}

/// Asks for plain answers, each in another name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    bytes: Vec<u8>,
    digits: Range<usize>,
}

impl Named {
    /// Requests whose names are still to be set.
    pub(crate) fn new() -> Self {
        let bytes = plain(NO_NAME);
        let at = memchr::memmem::find(&bytes, NO_NAME.as_bytes()).unwrap_or_default();
        Self {
            digits: at + 1..at + NO_NAME.len(),
            bytes,
        }
    }

    /// The request in the name of that number.
    pub(crate) fn name(&mut self, number: u32) -> &[u8] {
        let mut rest = number;
        for digit in self
            .bytes
            .get_mut(self.digits.clone())
            .into_iter()
            .flatten()
            .rev()
        {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        &self.bytes
    }
}

fn messages() -> serde_json::Value {
    let question: String = "Which of these is true? "
        .chars()
        .cycle()
        .take(QUESTION_BYTES)
        .collect();
    serde_json::json!([
        { "role": "system", "content": "You are a careful assistant." },
        { "role": "user", "content": question },
    ])
}

fn request(agent: &str, body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer unused\r\n\
         content-type: application/json\r\naccept: application/json\r\n\
         user-agent: OpenAI/Python 2.0.0\r\nx-agent-name: {agent}\r\nx-stainless-lang: python\r\n\
         x-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\ncontent-length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_bears_the_name_of_its_number() {
        let mut requests = Named::new();
        for (number, name) in [
            (7, "n000000007"),
            (1_234_567, "n001234567"),
            (0, "n000000000"),
        ] {
            let text = String::from_utf8(requests.name(number).to_vec()).unwrap();
            assert!(
                text.contains(&format!("\r\nx-agent-name: {name}\r\n")),
                "{text}"
            );
        }
    }
}
