//! Somebody who is called back: takes every post, writes it down, and answers by script.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::wait::until;

/// The longest a callback may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A receiver on a thread of its own, until the test ends.
#[derive(Debug, Clone)]
pub struct CallbackReceiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    posts: Vec<Post>,
    /// Statuses of the next answers, then 200.
    answers: VecDeque<u16>,
}

/// One post.
#[derive(Debug, Clone)]
pub struct Post {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

impl Post {
    /// The value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(header, _)| header == name);
        found.map_or("", |(_, value)| value)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a callback is JSON")
    }
}

impl CallbackReceiver {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// No port can be had.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A connection that breaks off is the caller's to notice.
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, state }
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Answers the next posts with these statuses.
    pub fn answer(&self, statuses: &[u16]) {
        self.lock().answers.extend(statuses);
    }

    /// What was posted so far.
    pub fn posts(&self) -> Vec<Post> {
        self.lock().posts.clone()
    }

    /// The first `count` posts, once they are there.
    pub async fn wait_for(&self, count: usize) -> Vec<Post> {
        until("callbacks arrive", PATIENCE, async || {
            let posts = self.posts();
            (posts.len() >= count).then_some(posts)
        })
        .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| value.parse().ok())?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let status = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.posts.push(Post { headers, body });
        state.answers.pop_front().unwrap_or(200)
    };
    let answer =
        format!("HTTP/1.1 {status} Answer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let mut stream = stream;
    stream.write_all(answer.as_bytes()).ok()
}
