//! Talks with the ledger: the driver of [`agix_core::lease::Session`].
//!
//! Rules this module keeps:
//! - One report at a time carries the agents that are due, so that under load many share one.
//! - What the ledger says reaches its agents at once, and those who wait are told.
//! - Requests never wait for the driver but where they wait for the ledger.
//! - It ends when the last request has ended, not before everything that can be settled is, or its
//!   time is up.

mod report;

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agix_core::causes::with_causes;
use agix_core::id::ProxyId;
use agix_core::lease::{Session, SessionEffect, SessionInput};
use agix_core::limits::LEDGER_FAREWELL_TIME;
use agix_core::quota::{FromLedger, ToLedger, Update};
use agix_core::time::Mono;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::connection::{self, Connection};
use super::schedule::Schedule;
use super::{Gate, Quota};
use crate::clock;
use crate::control_line::{ControlPlanes, LineError, Turn};

/// Who the proxy is, and where its ledger is.
#[derive(Debug, Clone)]
pub(crate) struct DriverConfig {
    /// Addresses of control planes, tried in turn.
    pub(crate) endpoints: ControlPlanes,
    pub(crate) proxy: ProxyId,
    pub(crate) incarnation: u64,
}

struct Driver {
    endpoints: ControlPlanes,
    /// Where the first try goes, so that not all proxies begin at the same control plane.
    first: u64,
    quota: Arc<Quota>,
    news: mpsc::Receiver<Arc<Gate>>,
    session: Session,
    schedule: Schedule,
    stream: Stream,
    /// Gates whose usage or past was told in a report that is not confirmed.
    told: BTreeMap<u64, Vec<Arc<Gate>>>,
    /// Whether the loss of the ledger was said already.
    complained: bool,
}

/// The stream as the driver sees it.
enum Stream {
    None,
    Opening(BoxFuture<'static, Result<Connection, LineError>>),
    Open(Box<Connection>),
}

enum Event {
    Ended,
    Opened(Result<Connection, LineError>),
    Heard(Result<FromLedger, LineError>),
    News(Arc<Gate>),
    Timeout,
}

/// Keeps the rights of the proxy's agents, until `ended` says that no request is left.
pub(crate) async fn run(
    config: DriverConfig,
    quota: Arc<Quota>,
    news: mpsc::Receiver<Arc<Gate>>,
    ended: CancellationToken,
) {
    let now = quota.hub.clock.mono();
    let driver = Driver {
        session: Session::new(config.proxy, config.incarnation, now),
        endpoints: config.endpoints,
        first: config.incarnation,
        quota,
        news,
        schedule: Schedule::default(),
        stream: Stream::None,
        told: BTreeMap::new(),
        complained: false,
    };
    driver.run(ended).await;
}

impl Driver {
    async fn run(mut self, ended: CancellationToken) {
        let has_ledger = !self.endpoints.is_empty();
        self.quota.hub.heard.store(!has_ledger, Ordering::Relaxed);
        loop {
            let event = self.event(&ended, has_ledger).await;
            if matches!(event, Event::Ended) {
                break;
            }
            self.take(event, has_ledger);
        }
        drop(timeout(LEDGER_FAREWELL_TIME, self.leave()).await);
    }

    fn take(&mut self, event: Event, has_ledger: bool) {
        let effects = match event {
            Event::Opened(Ok(connection)) => {
                self.stream = Stream::Open(Box::new(connection));
                self.handle(SessionInput::Opened)
            }
            Event::Heard(Ok(message)) => self.handle(SessionInput::Heard(message)),
            Event::Opened(Err(error)) | Event::Heard(Err(error)) => self.lost(&error),
            Event::News(gate) => {
                self.take_up(gate);
                Vec::new()
            }
            Event::Timeout | Event::Ended => Vec::new(),
        };
        self.carry_out(effects);
        // After each event, or a flood of them would leave no time for what is due.
        let effects = self.on_time(has_ledger);
        self.carry_out(effects);
    }

    async fn event(&mut self, ended: &CancellationToken, has_ledger: bool) -> Event {
        let session = self.session.poll_timeout().filter(|_| has_ledger);
        let due = session.into_iter().chain(self.schedule.next()).min();
        let clock = self.quota.hub.clock;
        let timer = async {
            match due {
                Some(at) => sleep_until(clock.instant(at)).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = ended.cancelled() => Event::Ended,
            event = self.stream.event() => event,
            Some(gate) = self.news.recv() => Event::News(gate),
            () = timer => Event::Timeout,
        }
    }

    fn now(&self) -> Mono {
        self.quota.hub.clock.mono()
    }

    fn handle(&mut self, input: SessionInput) -> Vec<SessionEffect> {
        let now = self.now();
        self.session.handle(input, now)
    }

    /// Takes a gate that has something new, with all that came at the same time.
    fn take_up(&mut self, gate: Arc<Gate>) {
        let mut next = Some(gate);
        while let Some(gate) = next {
            if let Some(due) = gate.take_up() {
                self.schedule.add(due, gate);
            }
            next = self.news.try_recv().ok();
        }
        if self.quota.hub.missed.swap(false, Ordering::Acquire) {
            self.look_through();
        }
    }

    /// Puts every gate on the schedule that has something to say.
    fn look_through(&mut self) {
        for gate in self.quota.all() {
            if let Some(due) = gate.due() {
                self.schedule.add(due, gate);
            }
        }
    }

    fn on_time(&mut self, has_ledger: bool) -> Vec<SessionEffect> {
        let now = self.now();
        let mut effects = Vec::new();
        if has_ledger && self.session.poll_timeout().is_some_and(|due| due <= now) {
            effects = self.session.handle_timeout(now);
        }
        if self.schedule.next().is_some_and(|due| due <= now) {
            effects.extend(self.report_due(now));
        }
        effects
    }

    fn lost(&mut self, error: &dyn Error) -> Vec<SessionEffect> {
        self.stream = Stream::None;
        if !self.complained {
            self.complained = true;
            let error = with_causes(error);
            tracing::warn!(error, "no ledger; going on with the rights that are held");
        }
        self.handle(SessionInput::Lost {
            random: clock::random(),
        })
    }

    fn carry_out(&mut self, effects: Vec<SessionEffect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                SessionEffect::Open { attempt } => self.open(attempt),
                SessionEffect::Say(message) => effects.extend(self.say(&message)),
                SessionEffect::Close(fault) => effects.extend(self.lost(&fault)),
                SessionEffect::Link(link) => {
                    let hub = &self.quota.hub;
                    hub.link.store(Arc::new(link));
                    hub.metrics.ledger_connected.set(i64::from(link.up));
                    hub.heard.fetch_or(link.up, Ordering::Relaxed);
                    if link.up && std::mem::take(&mut self.complained) {
                        tracing::info!("the ledger is there again");
                    }
                }
                SessionEffect::Repeat => self.repeat(),
                SessionEffect::Confirmed(number) => self.confirmed(number),
                SessionEffect::Deliver(update) => self.deliver(&update),
                SessionEffect::Report => {
                    let now = self.now();
                    effects.extend(self.report(now));
                }
            }
        }
    }

    fn open(&mut self, attempt: u64) {
        if let Some(turn) = Turn::of(self.first.wrapping_add(attempt), &self.endpoints) {
            self.stream = Stream::Opening(Box::pin(connection::open(turn)));
        }
    }

    fn say(&mut self, message: &ToLedger) -> Vec<SessionEffect> {
        let Stream::Open(connection) = &self.stream else {
            return Vec::new();
        };
        match connection.say(message) {
            Ok(()) => Vec::new(),
            Err(error) => self.lost(&error),
        }
    }

    /// A new stream: agents go over to its session, and tell again what was not confirmed.
    fn repeat(&mut self) {
        self.told.clear();
        for gate in self.quota.all() {
            if gate.is_used() {
                gate.act(|state, link, now| {
                    state.look(true, now);
                    state.agent.repeat(link);
                });
            }
        }
    }

    fn confirmed(&mut self, number: u64) {
        for gate in self.told.remove(&number).into_iter().flatten() {
            gate.act(|state, _, _| state.agent.confirm(number));
        }
    }

    fn deliver(&self, update: &Update) {
        for told in &update.agents {
            if let Some(gate) = self.quota.find(&told.agent) {
                gate.update(update.session, told);
            }
        }
    }

    /// Tells everything and says goodbye.
    async fn leave(&mut self) {
        loop {
            let used = self.quota.all().into_iter().filter(|gate| gate.is_used());
            if used.fold(true, |all, gate| all & gate.is_settled()) {
                break;
            }
            if !self.session.is_open() {
                return;
            }
            let event = self.event(&CancellationToken::new(), true).await;
            self.take(event, true);
        }
        let Some(goodbye) = self.session.goodbye() else {
            return;
        };
        self.say(&goodbye);
        // The stream is closed from this side; its end says that the last word was heard.
        if let Stream::Open(connection) = std::mem::replace(&mut self.stream, Stream::None) {
            connection.hang_up().await;
        }
    }
}

impl Stream {
    /// What happens to it next; never, if there is none.
    async fn event(&mut self) -> Event {
        match self {
            Self::None => future::pending().await,
            Self::Opening(opening) => Event::Opened(opening.await),
            Self::Open(connection) => Event::Heard(connection.next().await),
        }
    }
}
