//! One proxy's conversation with the ledger, over all its streams.

use std::time::Duration;

use crate::backoff::full_jitter;
use crate::id::ProxyId;
use crate::limits::{
    LEASE, LEASE_RENEWAL, LEDGER_RECONNECT_LONGEST, LEDGER_SILENCE, OUTAGE_SILENCE, RECONNECT_FIRST,
};
use crate::planted::{self, Bug};
use crate::quota::{
    AgentReport, FromLedger, Hello, PastReport, Report, SessionId, Term, ToLedger, Update,
    UsageReport,
};
use crate::rate::drift_over;
use crate::time::Mono;

/// What a proxy may use, and until when. Cheap to copy; every request looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// The session.
    pub session: Option<SessionId>,
    /// The end of the lease.
    pub until: Mono,
    /// Whether the ledger can be asked.
    pub up: bool,
    /// Since when that is so.
    pub since: Mono,
}

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionInput {
    /// The stream asked for is open.
    Opened,
    /// The stream, open or asked for, is gone.
    Lost {
        /// A random number, evenly spread over its whole range: spreads the next try.
        random: u64,
    },
    /// The ledger said something.
    Heard(FromLedger),
}

/// What a session wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEffect {
    /// Open a stream.
    Open {
        /// Counts the tries, to take the control planes in turn.
        attempt: u64,
    },
    /// Say this.
    Say(ToLedger),
    /// End the stream, then say [`SessionInput::Lost`].
    Close(Fault),
    /// The link is another: requests are to see it.
    Link(Link),
    /// The stream is new: agents tell again what was not confirmed.
    Repeat,
    /// The report of this number is in the books.
    Confirmed(u64),
    /// Hand this on to its agents.
    Deliver(Update),
    /// Report, even if no agent has something to say.
    Report,
}

/// Why a proxy ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was heard for [`LEDGER_SILENCE`].
    #[error("the ledger has been silent for {} s", LEDGER_SILENCE.as_secs())]
    Silent,
    /// Another control plane leads a later term.
    #[error("the ledger's term is over")]
    OldTerm,
}

/// The conversation.
#[derive(Debug)]
pub struct Session {
    proxy: ProxyId,
    incarnation: u64,
    link: Link,
    term: Term,
    stream: Stream,
    reports: u64,
    attempt: u64,
    failures: u32,
}

#[derive(Debug, Clone, Copy)]
enum Stream {
    Waiting {
        until: Mono,
    },
    Opening {
        since: Mono,
    },
    /// Open; the ledger has not welcomed the proxy yet.
    Greeting {
        heard: Mono,
    },
    Open {
        heard: Mono,
        said: Mono,
    },
    Closing,
}

impl Session {
    /// A proxy that has no session yet.
    pub const fn new(proxy: ProxyId, incarnation: u64, now: Mono) -> Self {
        Self {
            proxy,
            incarnation,
            link: Link {
                session: None,
                until: Mono::from_nanos(0),
                up: false,
                since: now,
            },
            term: Term::new(0),
            stream: Stream::Waiting { until: now },
            reports: 0,
            attempt: 0,
            failures: 0,
        }
    }

    /// What requests may use.
    pub const fn link(&self) -> Link {
        self.link
    }

    /// Whether a report can be sent now.
    pub const fn is_open(&self) -> bool {
        matches!(self.stream, Stream::Open { .. })
    }

    /// The number of the next report.
    pub const fn next_number(&self) -> u64 {
        self.reports.saturating_add(1)
    }

    /// Takes an input in.
    pub fn handle(&mut self, input: SessionInput, now: Mono) -> Vec<SessionEffect> {
        match input {
            SessionInput::Opened => {
                self.stream = Stream::Greeting { heard: now };
                vec![SessionEffect::Say(self.hello(now))]
            }
            SessionInput::Lost { random } => {
                let pause = full_jitter(
                    RECONNECT_FIRST,
                    LEDGER_RECONNECT_LONGEST,
                    self.failures,
                    random,
                );
                self.failures = self.failures.saturating_add(1);
                self.stream = Stream::Waiting {
                    until: now.after(pause),
                };
                self.set_up(false, now)
            }
            SessionInput::Heard(message) => self.heard(message, now),
        }
    }

    /// When [`Session::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.stream {
            Stream::Waiting { until } => Some(until),
            Stream::Opening { since: heard } | Stream::Greeting { heard } => {
                Some(heard.after(LEDGER_SILENCE))
            }
            Stream::Open { heard, said } => {
                Some(heard.after(LEDGER_SILENCE).min(said.after(LEASE_RENEWAL)))
            }
            Stream::Closing => None,
        }
    }

    /// Does what time asks for.
    pub fn handle_timeout(&mut self, now: Mono) -> Vec<SessionEffect> {
        match self.stream {
            Stream::Waiting { until } if now >= until => {
                self.stream = Stream::Opening { since: now };
                self.attempt = self.attempt.saturating_add(1);
                vec![SessionEffect::Open {
                    attempt: self.attempt.saturating_sub(1),
                }]
            }
            Stream::Opening { since: heard }
            | Stream::Greeting { heard }
            | Stream::Open { heard, .. }
                if now >= heard.after(LEDGER_SILENCE) =>
            {
                self.close(Fault::Silent, now)
            }
            Stream::Open { said, .. } if now >= said.after(LEASE_RENEWAL) => {
                vec![SessionEffect::Report]
            }
            Stream::Waiting { .. }
            | Stream::Opening { .. }
            | Stream::Greeting { .. }
            | Stream::Open { .. }
            | Stream::Closing => Vec::new(),
        }
    }

    /// A report, if the stream is open.
    pub fn report(
        &mut self,
        agents: Vec<AgentReport>,
        usage: Vec<UsageReport>,
        past: Vec<PastReport>,
        now: Mono,
    ) -> Option<ToLedger> {
        let session = self.link.session?;
        let Stream::Open { said, .. } = &mut self.stream else {
            return None;
        };
        *said = now;
        self.reports = self.reports.saturating_add(1);
        Some(ToLedger::Report(Report {
            session,
            number: self.reports,
            sent: now,
            agents,
            usage,
            past,
        }))
    }

    /// The last word, once everything is settled.
    pub fn goodbye(&self) -> Option<ToLedger> {
        let session = self.link.session.filter(|_| self.is_open())?;
        Some(ToLedger::Goodbye { session })
    }

    fn hello(&self, now: Mono) -> ToLedger {
        ToLedger::Hello(Hello {
            proxy: self.proxy.clone(),
            incarnation: self.incarnation,
            resume: self.link.session,
            sent: now,
        })
    }

    fn heard(&mut self, message: FromLedger, now: Mono) -> Vec<SessionEffect> {
        match &mut self.stream {
            Stream::Greeting { heard } | Stream::Open { heard, .. } => *heard = now,
            // Said on a stream that is given up.
            Stream::Waiting { .. } | Stream::Opening { .. } | Stream::Closing => {
                return Vec::new();
            }
        }
        match message {
            FromLedger::Welcome {
                term,
                session,
                resumed: _,
                sent,
            } => self.welcomed(term, session, sent, now),
            FromLedger::Closed { session } => {
                if self.link.session != Some(session) {
                    return Vec::new();
                }
                self.link.session = None;
                self.stream = Stream::Greeting { heard: now };
                let mut effects = self.set_up(false, now);
                effects.push(SessionEffect::Say(self.hello(now)));
                effects
            }
            FromLedger::Update(update) => self.updated(update, now),
        }
    }

    fn welcomed(
        &mut self,
        term: Term,
        session: SessionId,
        sent: Mono,
        now: Mono,
    ) -> Vec<SessionEffect> {
        if term < self.term {
            return self.close(Fault::OldTerm, now);
        }
        self.term = term;
        self.failures = 0;
        if self.link.session != Some(session) {
            self.link.session = Some(session);
            self.link.until = Mono::default();
            // Numbers go on, so that what was told in an older session is not taken for confirmed.
        }
        self.link.until = self.link.until.max(lease_end(sent));
        self.stream = Stream::Open {
            heard: now,
            said: now,
        };
        let mut effects = self.set_up(true, now);
        effects.push(SessionEffect::Repeat);
        effects.push(SessionEffect::Report);
        effects
    }

    fn updated(&mut self, update: Update, now: Mono) -> Vec<SessionEffect> {
        if update.term < self.term {
            return self.close(Fault::OldTerm, now);
        }
        if self.link.session != Some(update.session) || !self.is_open() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if let Some(sent) = update.sent {
            let sent = if planted::has(Bug::LeaseFromReceipt) {
                now
            } else {
                sent
            };
            let until = lease_end(sent);
            if until > self.link.until {
                self.link.until = until;
                effects.push(SessionEffect::Link(self.link));
            }
        }
        let confirmed = update.confirmed.iter().copied();
        effects.extend(confirmed.map(SessionEffect::Confirmed));
        if !update.agents.is_empty() {
            effects.push(SessionEffect::Deliver(update));
        }
        effects
    }

    fn close(&mut self, fault: Fault, now: Mono) -> Vec<SessionEffect> {
        self.stream = Stream::Closing;
        let mut effects = self.set_up(false, now);
        effects.push(SessionEffect::Close(fault));
        effects
    }

    fn set_up(&mut self, up: bool, now: Mono) -> Vec<SessionEffect> {
        if self.link.up != up {
            self.link.up = up;
            self.link.since = now;
        }
        vec![SessionEffect::Link(self.link)]
    }
}

impl Link {
    /// Whether rights may be used now.
    pub fn is_usable(&self, now: Mono) -> bool {
        let lasts = now < self.until || planted::has(Bug::UseAfterLease);
        self.session.is_some() && lasts
    }

    /// Whether the ledger is asked in vain: it cannot be reached, or has answered no question for
    /// [`OUTAGE_SILENCE`]. Holds for those for whom it is asked all the time.
    pub fn is_unheard(&self, now: Mono) -> bool {
        !self.up || !self.is_usable(now) || self.until.after(OUTAGE_SILENCE) < lease_end(now)
    }

    /// Whether the ledger has been out of reach for so long.
    pub fn is_away_for(&self, span: Duration, now: Mono) -> bool {
        !self.up && now.since(self.since) >= span
    }
}

/// When the lease ends that a message sent at `sent` began: early enough for both clocks.
fn lease_end(sent: Mono) -> Mono {
    let margin: Duration = drift_over(LEASE).saturating_mul(2);
    sent.after(LEASE.saturating_sub(margin))
}
