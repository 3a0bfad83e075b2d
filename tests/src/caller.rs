//! A caller of HTTP that sees every byte: plain answers, streams event by event, and raw sockets.
//!
//! Each request has a connection of its own, and each wait a deadline: what hangs fails.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::transcript::Transcript;

/// The longest a test waits for anything a caller does.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Calls one address.
#[derive(Debug, Clone)]
pub struct Caller {
    address: SocketAddr,
    headers: HeaderMap,
    connections: TaskTracker,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// An answer under way. Dropped, it closes the connection.
#[derive(Debug)]
pub struct Stream {
    /// Status of the answer.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    body: Incoming,
    buffer: BytesMut,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Where to.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The connection broke, or what came was no HTTP.
    #[error("the connection broke")]
    Broken(#[from] hyper::Error),
    /// Nothing came for [`PATIENCE`].
    #[error("nothing came for {} s", PATIENCE.as_secs())]
    Hang(#[from] Elapsed),
}

impl Caller {
    /// Calls `address`, with a key as an SDK would send it.
    pub fn new(address: SocketAddr) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            "Bearer sk-caller"
                .parse()
                .unwrap_or_else(|_| unreachable!()),
        );
        Self {
            address,
            headers,
            connections: TaskTracker::new(),
        }
    }

    /// The same with a further header.
    ///
    /// # Panics
    /// The header is not legal.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers
            .insert(name, value.parse().expect("a legal header value"));
        self
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// # Errors
    /// No connection, a broken one, or silence.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Stream, CallError> {
        let stream =
            TcpStream::connect(self.address)
                .await
                .map_err(|source| CallError::Connect {
                    address: self.address,
                    source,
                })?;
        drop(stream.set_nodelay(true));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        self.connections.spawn(connection);
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a legal path");
        request.headers_mut().extend(self.headers.clone());
        let host = self.address.to_string();
        let headers = request.headers_mut();
        headers.insert("host", host.parse().expect("an address is a legal host"));
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        let answered = timeout(PATIENCE, sender.send_request(request)).await;
        let (head, body) = answered??.into_parts();
        Ok(Stream {
            status: head.status,
            headers: head.headers,
            body,
            buffer: BytesMut::new(),
        })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// No connection, a broken one, or silence.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, CallError> {
        self.open(method, path, body).await?.whole().await
    }

    /// `GET`s a path.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn get(&self, path: &str) -> Result<Answer, CallError> {
        self.call(Method::GET, path, Bytes::new()).await
    }

    /// Asks for a plain chat completion.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn chat(&self, body: &Value) -> Result<Answer, CallError> {
        self.post("/v1/chat/completions", body).await
    }

    /// Asks for a streamed chat completion.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn chat_stream(&self, body: &Value) -> Result<Stream, CallError> {
        self.open(Method::POST, "/v1/chat/completions", body.to_string())
            .await
    }

    /// `POST`s JSON.
    ///
    /// # Errors
    /// See [`Self::call`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, CallError> {
        self.call(Method::POST, path, body.to_string()).await
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("no JSON ({error}): {}", String::from_utf8_lossy(&self.body))
        })
    }

    /// A header as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }
}

impl Stream {
    /// A header as text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        text(&self.headers, name)
    }

    /// The next piece of the body as it arrives; `None` at its end.
    ///
    /// # Errors
    /// A broken connection, or silence.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, CallError> {
        loop {
            let frame = timeout(PATIENCE, self.body.frame()).await;
            match frame? {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// The next event of the stream, up to its blank line; `None` at the end.
    ///
    /// # Errors
    /// A broken connection, or silence.
    pub async fn event(&mut self) -> Result<Option<String>, CallError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event = self.buffer.split_to(end + 2);
                return Ok(Some(String::from_utf8_lossy(&event).trim_end().to_owned()));
            }
            match self.piece().await? {
                Some(data) => self.buffer.extend_from_slice(&data),
                None if self.buffer.is_empty() => return Ok(None),
                None => {
                    let rest = self.buffer.split();
                    return Ok(Some(String::from_utf8_lossy(&rest).into_owned()));
                }
            }
        }
    }

    /// The rest of the events.
    ///
    /// # Errors
    /// A broken connection, or silence.
    pub async fn events(&mut self) -> Result<Transcript, CallError> {
        let mut events = VecDeque::new();
        while let Some(event) = self.event().await? {
            events.push_back(event);
        }
        Ok(Transcript { events })
    }

    /// The rest of the body.
    ///
    /// # Errors
    /// A broken connection, or silence.
    pub async fn whole(mut self) -> Result<Answer, CallError> {
        let mut body = self.buffer.split();
        while let Some(data) = self.piece().await? {
            body.extend_from_slice(&data);
        }
        Ok(Answer {
            status: self.status,
            headers: self.headers,
            body: body.freeze(),
        })
    }
}

/// The JSON after `data: ` of an event; `None` where there is none, as in `[DONE]` or a comment.
pub fn data(event: &str) -> Option<Value> {
    let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(data).ok()
}

/// Sends bytes as they are and reads until the other side closes.
///
/// # Panics
/// No connection, or it stays open for [`PATIENCE`].
pub async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // The other side may close before it has read everything; what it answered counts.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    drop(read.expect("the other side closes the connection"));
    answer
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}
