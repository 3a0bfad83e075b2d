//! A provider for tests: it speaks OpenAI's, Anthropic's and Google's protocols as the real ones do,
//! checks what it receives as strictly, misbehaves by script, and keeps a book of every call.
//!
//! Scripts go by model, so that one provider can be up for one model and down for another. Over
//! HTTP the book is `GET /_mock/log`, a script `POST /_mock/script`.

use std::io;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod anthropic;
mod behaviour;
mod body;
mod completions;
mod gemini;
mod gzip;
mod ledger;
mod openai;
mod rendering;
mod reply;
mod server;
mod staging;
#[cfg(test)]
mod tests;

pub use behaviour::{Behaviour, Fault, Script, UsageReport};
pub use ledger::{Entry, Outcome};
pub use reply::{Reply, ToolCall, Usage};

use server::Shared;

/// A mock provider on a thread of its own. Dropped, it is gone with all its connections.
#[derive(Debug)]
pub struct MockProvider {
    address: SocketAddr,
    shared: Shared,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl MockProvider {
    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// No port could be had.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let shared = Shared::new();
        let stop = CancellationToken::new();
        let serving = server::serve(listener, shared.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("mock-provider".to_owned())
            .spawn(move || runtime.block_on(serving))?;
        Ok(Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Refuses every other key from now on. Without this any key is taken.
    pub fn accept_only(&self, key: &str) {
        self.shared.accept_only(key);
    }

    /// What the calls of `model` meet from now on.
    pub fn script(&self, model: &str, script: Script) {
        self.shared.script(model, script);
    }

    /// What `model` answers from now on.
    pub fn reply(&self, model: &str, reply: Reply) {
        self.shared.reply(model, reply);
    }

    /// Every call so far, in order of arrival; the oldest are forgotten after ten thousand.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.ledger.entries(0)
    }

    /// The calls for `model`.
    pub fn calls(&self, model: &str) -> Vec<Entry> {
        let mut entries = self.log();
        entries.retain(|entry| entry.model == model);
        entries
    }
}

impl Drop for MockProvider {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Serves on `listener` until `stop` is cancelled: a mock provider for a process of its own.
pub async fn serve(listener: TcpListener, stop: CancellationToken) {
    server::serve(listener, Shared::new(), stop).await;
}
