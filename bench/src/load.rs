//! The load generator: closed loops over kept-alive connections. A connection sends its next
//! request when the answer to the last one is complete.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::clock;
use crate::http1::{self, Frame, FrameError};
use crate::request::Named;

/// Part of an unexpected answer that is shown, in bytes.
const SHOWN_BYTES: usize = 600;

/// One kept-alive connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    bytes: Vec<u8>,
}

/// When the parts of one answer came, counted from the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// First byte of the body.
    pub first_byte: Duration,
    /// Last byte of the body.
    pub complete: Duration,
}

/// What a closed loop did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Done {
    /// Answers received.
    pub answers: u32,
    /// Time from the first request to the last answer.
    pub elapsed: Duration,
}

/// A request that got no good answer.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// The connection failed.
    #[error("the connection to {address} failed")]
    Connection {
        /// Whose connection.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The peer closed before the answer was complete.
    #[error("{0} closed the connection before its answer was complete")]
    Closed(SocketAddr),
    /// The answer is no HTTP.
    #[error("the answer of {address} cannot be read")]
    Frame {
        /// Whose answer.
        address: SocketAddr,
        /// What is wrong with it.
        source: FrameError,
    },
    /// The answer has another status than 200.
    #[error("{address} answered {status}: {shown}")]
    Status {
        /// Whose answer.
        address: SocketAddr,
        /// Its status.
        status: u16,
        /// Its beginning.
        shown: String,
    },
}

/// Sends `request` once and returns the whole answer.
pub(crate) async fn once(address: SocketAddr, request: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut connection = Connection::open(address).await?;
    connection.exchange(address, request).await?;
    Ok(connection.bytes)
}

/// Sends `request` over one connection for `span`; every answer's times.
pub(crate) async fn sample(
    address: SocketAddr,
    request: &[u8],
    span: Duration,
) -> Result<Vec<Answered>, LoadError> {
    let mut connection = Connection::open(address).await?;
    let mut samples = Vec::with_capacity(1 << 16);
    let end = clock::now() + span;
    while clock::now() < end {
        samples.push(connection.exchange(address, request).await?);
    }
    Ok(samples)
}

/// Sends `request` over `connections` connections at once for `span`.
pub(crate) async fn saturate(
    address: SocketAddr,
    request: &[u8],
    connections: usize,
    span: Duration,
) -> Result<Done, LoadError> {
    let opened = (0..connections).map(|_| Connection::open(address));
    let opened = try_join_all(opened).await?;
    let start = clock::now();
    let loops = opened
        .into_iter()
        .map(|connection| repeat(connection, address, request, start + span));
    let answers = try_join_all(loops).await?.into_iter().sum();
    Ok(Done {
        answers,
        elapsed: clock::now() - start,
    })
}

/// Sends requests in the names of all these numbers over `connections` connections at once.
pub(crate) async fn names(
    address: SocketAddr,
    numbers: Range<u32>,
    connections: usize,
) -> Result<Done, LoadError> {
    let opened = (0..connections).map(|_| Connection::open(address));
    let opened = try_join_all(opened).await?;
    let left = RefCell::new(numbers);
    let start = clock::now();
    let loops = opened.into_iter().map(async |mut connection| {
        let mut requests = Named::new();
        let mut answers = 0_u32;
        loop {
            let Some(number) = left.borrow_mut().next() else {
                return Ok(answers);
            };
            connection.exchange(address, requests.name(number)).await?;
            answers += 1;
        }
    });
    let answers = try_join_all(loops).await?.into_iter().sum();
    Ok(Done {
        answers,
        elapsed: clock::now() - start,
    })
}

async fn repeat(
    mut connection: Connection,
    address: SocketAddr,
    request: &[u8],
    end: Instant,
) -> Result<u32, LoadError> {
    let mut answers = 0;
    while clock::now() < end {
        connection.exchange(address, request).await?;
        answers += 1;
    }
    Ok(answers)
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Connection { address, source };
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Self {
            stream,
            bytes: Vec::with_capacity(64 * 1024),
        })
    }

    async fn exchange(
        &mut self,
        address: SocketAddr,
        request: &[u8],
    ) -> Result<Answered, LoadError> {
        let failed = |source| LoadError::Connection { address, source };
        self.bytes.clear();
        let start = clock::now();
        self.stream.write_all(request).await.map_err(failed)?;
        let mut frame = Frame::Partial;
        let mut first_byte = None;
        loop {
            if self
                .stream
                .read_buf(&mut self.bytes)
                .await
                .map_err(failed)?
                == 0
            {
                return Err(LoadError::Closed(address));
            }
            if frame == Frame::Partial {
                frame = self.frame(address)?;
            }
            let complete = match frame {
                Frame::Partial => continue,
                Frame::Sized { total, .. } => self.bytes.len() >= total,
                Frame::Chunked { head } => {
                    http1::is_last_chunk(self.bytes.get(head..).unwrap_or_default())
                }
            };
            let (Frame::Sized { head, .. } | Frame::Chunked { head }) = frame else {
                continue;
            };
            if first_byte.is_none() && self.bytes.len() > head {
                first_byte = Some(clock::now() - start);
            }
            if complete {
                let complete = clock::now() - start;
                return Ok(Answered {
                    first_byte: first_byte.unwrap_or(complete),
                    complete,
                });
            }
        }
    }

    fn frame(&self, address: SocketAddr) -> Result<Frame, LoadError> {
        let (status, frame) =
            http1::response(&self.bytes).map_err(|source| LoadError::Frame { address, source })?;
        if frame == Frame::Partial || status == 200 {
            return Ok(frame);
        }
        let shown = self.bytes.get(..SHOWN_BYTES).unwrap_or(&self.bytes);
        Err(LoadError::Status {
            address,
            status,
            shown: String::from_utf8_lossy(shown).into_owned(),
        })
    }
}
