//! The requests: about a kilobyte, as an SDK sends them.

/// Bytes of the question.
const QUESTION_BYTES: usize = 780;

/// Asks for a plain answer.
pub(crate) fn plain() -> Vec<u8> {
    request(&serde_json::json!({ "model": "gpt-4o", "messages": messages() }))
}

/// Asks for a stream of `events` events.
pub(crate) fn stream(events: usize) -> Vec<u8> {
    request(&serde_json::json!({
        "model": "gpt-4o", "messages": messages(), "stream": true, "max_tokens": events,
        "stream_options": { "include_usage": true },
    }))
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

fn request(body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer unused\r\n\
         content-type: application/json\r\naccept: application/json\r\n\
         user-agent: OpenAI/Python 2.0.0\r\nx-agent-name: bench\r\nx-stainless-lang: python\r\n\
         x-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\ncontent-length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}
