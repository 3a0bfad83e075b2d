//! The mock provider: answers chat completions as fast as a socket allows.
//!
//! The answer is made once, when the provider starts. A request whose body says `"stream":true`
//! gets `"max_tokens"` events, each a chunk and a write of its own, as a model sends them.

use std::io;
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use crate::http1::{self, Frame};

/// Bytes of text in the plain answer.
const TEXT_BYTES: usize = 700;
/// Words of the stream's events, one after the other.
const WORDS: [&str; 4] = ["The", " quick", " brown", " fox"];

/// A running provider.
#[derive(Debug)]
pub(crate) struct Provider {
    /// Where it listens.
    pub address: SocketAddr,
}

/// What the provider says, ready to send.
#[derive(Debug)]
struct Answers {
    plain: Vec<u8>,
    stream_head: Vec<u8>,
    events: Vec<Vec<u8>>,
    stream_end: Vec<u8>,
}

impl Provider {
    /// Starts a provider on a free port of the loopback interface.
    ///
    /// # Errors
    /// When no port can be had.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let answers: &'static Answers = Box::leak(Box::new(Answers::new()));
        let tasks = TaskTracker::new();
        let connections = tasks.clone();
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A caller that goes away is no concern of the provider's.
                connections.spawn(async move { serve(stream, answers).await.ok() });
            }
        });
        Ok(Self { address })
    }
}

impl Answers {
    fn new() -> Self {
        let text: String = WORDS
            .iter()
            .cycle()
            .flat_map(|word| word.chars())
            .take(TEXT_BYTES)
            .collect();
        let body = serde_json::json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_770_000_000,
            "model": "gpt-4o-2024-08-06",
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": text, "refusal": null },
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": usage(), "service_tier": "default", "system_fingerprint": "fp_bench",
        });
        let body = body.to_string();
        let head = format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            body.len()
        );
        let stream_head = "content-type: text/event-stream; charset=utf-8\r\n\
            cache-control: no-cache\r\nx-accel-buffering: no\r\ntransfer-encoding: chunked\r\n";
        let last = [
            event(&serde_json::json!({}), Some("stop")),
            data(&serde_json::json!({
                "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_770_000_000,
                "model": "gpt-4o-2024-08-06", "choices": [], "usage": usage(),
            }).to_string()),
            data("[DONE]"),
            b"0\r\n\r\n".to_vec(),
        ];
        Self {
            plain: [response_head(&head), body.into_bytes()].concat(),
            stream_head: response_head(stream_head),
            events: WORDS
                .map(|word| event(&serde_json::json!({ "content": word }), None))
                .to_vec(),
            stream_end: last.concat(),
        }
    }
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(16 * 1024);
    loop {
        let (head, total) = match http1::request(&bytes).map_err(io::Error::other)? {
            Frame::Sized { head, total } if bytes.len() >= total => (head, total),
            Frame::Chunked { head }
                if http1::is_last_chunk(bytes.get(head..).unwrap_or_default()) =>
            {
                (head, bytes.len())
            }
            Frame::Partial | Frame::Sized { .. } | Frame::Chunked { .. } => {
                if stream.read_buf(&mut bytes).await? == 0 {
                    return Ok(());
                }
                continue;
            }
        };
        let body = bytes.get(head..total).unwrap_or_default();
        if memmem::find(body, b"\"stream\":true").is_some() {
            send_stream(&mut stream, answers, requested_events(body)).await?;
        } else {
            stream.write_all(&answers.plain).await?;
        }
        bytes.drain(..total);
    }
}

async fn send_stream(stream: &mut TcpStream, answers: &Answers, events: usize) -> io::Result<()> {
    let mut words = answers.events.iter().cycle();
    // The head leaves with the first event, as providers send it.
    let first: Vec<u8> = answers
        .stream_head
        .iter()
        .chain(words.next().into_iter().flatten())
        .copied()
        .collect();
    stream.write_all(&first).await?;
    for word in words.take(events.saturating_sub(1)) {
        tokio::task::yield_now().await;
        stream.write_all(word).await?;
    }
    stream.write_all(&answers.stream_end).await
}

/// The number after `"max_tokens":`, or 1.
fn requested_events(body: &[u8]) -> usize {
    const KEY: &[u8] = b"\"max_tokens\":";
    let after = memmem::find(body, KEY).and_then(|at| body.get(at + KEY.len()..));
    let digits: Vec<u8> = after
        .unwrap_or_default()
        .iter()
        .copied()
        .take_while(u8::is_ascii_digit)
        .collect();
    std::str::from_utf8(&digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

fn response_head(framing: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\n{framing}date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         x-request-id: req_bench\r\nopenai-organization: bench\r\nopenai-processing-ms: 1\r\n\
         openai-version: 2020-10-01\r\n\r\n"
    )
    .into_bytes()
}

fn event(delta: &serde_json::Value, finish: Option<&str>) -> Vec<u8> {
    let chunk = serde_json::json!({
        "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_770_000_000,
        "model": "gpt-4o-2024-08-06", "service_tier": "default", "system_fingerprint": "fp_bench",
        "choices": [{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish }],
        "usage": null,
    });
    data(&chunk.to_string())
}

/// One server-sent event as one chunk.
fn data(payload: &str) -> Vec<u8> {
    let event = format!("data: {payload}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

fn usage() -> serde_json::Value {
    serde_json::json!({
        "prompt_tokens": 180, "completion_tokens": 120, "total_tokens": 300,
        "prompt_tokens_details": { "cached_tokens": 0, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": 0, "audio_tokens": 0 },
    })
}
