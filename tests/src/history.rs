//! What agents asked and what became of it, and what must be true of that afterwards.
//!
//! Each agent has a model of its own, so that the provider's book tells whose call one was.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::caller::Caller;
use crate::clock;
use crate::mock_provider::{Entry, MockProvider, Outcome};

/// An agent of the crowd.
#[derive(Debug, Clone, Copy)]
pub struct Agent {
    /// Its name; its model is `model-NAME`.
    pub name: &'static str,
    /// Pause between two requests at one proxy.
    pub pause: Duration,
    /// Whether it may be told that a limit or a budget is used up.
    pub is_limited: bool,
    /// Whether it needs the ledger, and its policy does not let it go on without.
    pub needs_ledger: bool,
}

/// One request.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// When it was sent, in milliseconds since the beginning.
    pub sent_ms: u64,
    /// When it was answered.
    pub ended_ms: u64,
    /// At which proxy.
    pub proxy: usize,
    /// For which agent.
    pub agent: &'static str,
    /// The status of the answer; 0: none came.
    pub status: u16,
    /// What else was said, if it is no success.
    pub text: String,
}

/// A reason for requests to fail.
#[derive(Debug, Clone)]
pub struct Excuse {
    /// Which requests: those under way in this time, in milliseconds since the beginning.
    pub time: Range<u64>,
    /// At which proxy; absent: at any.
    pub proxy: Option<usize>,
    /// Whether only agents that need the ledger are excused.
    pub only_ledger: bool,
}

/// Agents that ask all the time, each at every proxy.
#[derive(Debug)]
pub struct History {
    began: Instant,
    events: Arc<Mutex<Vec<Event>>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    /// The provider's book, as far as it was read.
    book: Vec<Entry>,
    notes: String,
}

impl History {
    /// Lets `agents` ask at `proxies`.
    pub fn begin(agents: &[Agent], proxies: &[SocketAddr]) -> Self {
        let mut history = Self {
            began: clock::now(),
            events: Arc::default(),
            stop: Arc::default(),
            tasks: JoinSet::new(),
            book: Vec::new(),
            notes: String::new(),
        };
        for agent in agents {
            for (proxy, address) in proxies.iter().enumerate() {
                history.ask(*agent, proxy, *address);
            }
        }
        history
    }

    /// Milliseconds since the beginning.
    pub fn now_ms(&self) -> u64 {
        millis(self.began)
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        events(&self.events).len()
    }

    /// Lets the agents have their last answers.
    pub async fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Reads on in the provider's book.
    pub fn read(&mut self, mock: &MockProvider) {
        let next = self.book.last().map_or(0, |entry| entry.number + 1);
        let log = mock.log().into_iter();
        let new = log.skip_while(|entry| entry.number < next);
        // A call that is still open is read once it is over.
        self.book
            .extend(new.take_while(|entry| entry.outcome != Outcome::Open));
    }

    /// Requests that were neither answered nor refused by a limit, and are not excused.
    pub fn lost(&self, agents: &[Agent], excuses: &[Excuse]) -> Vec<Event> {
        let agents: BTreeMap<&str, &Agent> = agents.iter().map(|it| (it.name, it)).collect();
        let is_excused = |event: &Event, needs_ledger: bool| {
            excuses.iter().any(|excuse| {
                event.sent_ms < excuse.time.end
                    && excuse.time.start < event.ended_ms
                    && excuse.proxy.is_none_or(|proxy| proxy == event.proxy)
                    && (!excuse.only_ledger || (needs_ledger && event.status == 503))
            })
        };
        let events = events(&self.events);
        let lost = events.iter().filter(|event| {
            let agent = agents.get(event.agent).expect("an agent of the crowd");
            match event.status {
                200 => false,
                429 if agent.is_limited => false,
                _ => !is_excused(event, agent.needs_ledger),
            }
        });
        lost.cloned().collect()
    }

    /// How many requests had each status.
    pub fn statuses(&self) -> BTreeMap<u16, usize> {
        let mut statuses = BTreeMap::new();
        for event in events(&self.events).iter() {
            *statuses.entry(event.status).or_default() += 1;
        }
        statuses
    }

    /// The longest any request took that was answered with success.
    pub fn longest_ms(&self) -> u64 {
        let events = events(&self.events);
        let answered = events.iter().filter(|event| event.status == 200);
        let times = answered.map(|event| event.ended_ms.saturating_sub(event.sent_ms));
        times.max().unwrap_or(0)
    }

    /// The most calls of an agent that the provider saw in any `window`.
    pub fn most_calls(&self, agent: &str, window: Duration) -> usize {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let mut times: Vec<u64> = self.calls(agent).map(|entry| entry.arrived_ms).collect();
        times.sort_unstable();
        let counts = times.iter().enumerate().map(|(first, &from)| {
            let end = times.partition_point(|&at| at < from.saturating_add(window));
            end.saturating_sub(first)
        });
        counts.max().unwrap_or(0)
    }

    /// What the provider billed for an agent, in nano-dollars, at prices in dollars per million
    /// tokens.
    pub fn billed(&self, agent: &str, input: u64, output: u64) -> u64 {
        let costs = self
            .calls(agent)
            .map(|entry| entry.billed.input * input * 1_000 + entry.billed.output * output * 1_000);
        costs.sum()
    }

    /// Adds a line for people to `notes` in the directory that `AGIX_TEST_HISTORY` names.
    pub fn note(&mut self, note: &str) {
        self.notes.push_str(note);
        self.notes.push('\n');
        if let Some(directory) = directory() {
            let written = std::fs::write(directory.join("notes"), &self.notes);
            written.expect("the notes are written");
        }
    }

    /// Writes every request and every call down, if `AGIX_TEST_HISTORY` names a directory.
    pub fn write(&self) {
        let Some(directory) = directory() else { return };
        let requests: Vec<_> = events(&self.events).iter().map(line).collect();
        let calls: Vec<_> = self.book.iter().map(line).collect();
        for (name, lines) in [("requests.jsonl", requests), ("provider.jsonl", calls)] {
            let written = std::fs::write(directory.join(name), lines.concat());
            written.expect("the history is written");
        }
    }

    fn calls(&self, agent: &str) -> impl Iterator<Item = &Entry> {
        let model = format!("model-{agent}");
        self.book.iter().filter(move |entry| entry.model == model)
    }

    fn ask(&mut self, agent: Agent, proxy: usize, address: SocketAddr) {
        let (all, stop, began) = (Arc::clone(&self.events), Arc::clone(&self.stop), self.began);
        let caller = Caller::new(address).with("x-agent-name", agent.name);
        let request = request(agent.name);
        self.tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let sent_ms = millis(began);
                let (status, text) = match caller.chat(&request).await {
                    Ok(answer) if answer.status == 200 => (200, String::new()),
                    Ok(answer) => {
                        let text = String::from_utf8_lossy(&answer.body).into_owned();
                        (answer.status.as_u16(), text)
                    }
                    Err(error) => (0, format!("{error:?}")),
                };
                events(&all).push(Event {
                    sent_ms,
                    ended_ms: millis(began),
                    proxy,
                    agent: agent.name,
                    status,
                    text,
                });
                sleep(agent.pause).await;
            }
        });
    }
}

fn directory() -> Option<PathBuf> {
    std::env::var_os("AGIX_TEST_HISTORY").map(PathBuf::from)
}

fn events(all: &Mutex<Vec<Event>>) -> MutexGuard<'_, Vec<Event>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn line(what: &impl Serialize) -> String {
    let text = serde_json::to_string(what);
    text.expect("a history is plain data") + "\n"
}

/// What an agent asks.
fn request(agent: &str) -> Value {
    json!({
        "model": format!("model-{agent}"),
        "max_tokens": 200,
        "messages": [{ "role": "user", "content": "Who are you?" }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: Agent = Agent {
        name: "a",
        pause: Duration::ZERO,
        is_limited: false,
        needs_ledger: true,
    };

    fn history(event: Event) -> History {
        let history = History::begin(&[], &[]);
        events(&history.events).push(event);
        history
    }

    #[test]
    fn a_request_is_lost_unless_its_failure_has_a_cause() {
        let event = |status| Event {
            sent_ms: 100,
            ended_ms: 200,
            proxy: 1,
            agent: "a",
            status,
            text: String::new(),
        };
        let excuse = |time, proxy| Excuse {
            time,
            proxy,
            only_ledger: true,
        };
        let is_lost = |status, excuses: &[Excuse]| {
            let history = history(event(status));
            !history.lost(&[AGENT], excuses).is_empty()
        };
        assert!(!is_lost(200, &[]));
        assert!(is_lost(429, &[]) && is_lost(503, &[]));
        assert!(!is_lost(503, &[excuse(0..150, None)]));
        assert!(!is_lost(503, &[excuse(150..160, Some(1))]));
        assert!(is_lost(
            503,
            &[excuse(0..100, None), excuse(200..300, None)]
        ));
        assert!(is_lost(503, &[excuse(0..300, Some(0))]));
        assert!(is_lost(0, &[excuse(0..300, None)]));
    }
}
