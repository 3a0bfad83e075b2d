//! Serving the ledger while it is owned: take in what is there, commit what follows from it, tell.

use std::collections::BTreeMap;
use std::time::Duration;

use agix_core::id::AgentName;
use agix_core::ledger::{ClockMark, Drained, Input, Ledger, LedgerTime};
use agix_core::limits::LEDGER_ROUND_ROWS;
use agix_core::quota::{FromLedger, Term, Terms, ToLedger};
use agix_core::time::Wall;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::{debug, info, warn};

use super::commit::LogWriter;
use super::desk::{Adjusted, Adjustment, Question, Request, View};
use super::feed::Feed;
use super::snapshot::{self, Made, SnapshotError};
use crate::clock::Clock;
use crate::owned::{Lost, Outlets, StreamEnd};
use crate::store::{Store, StoreRevision};

/// Everything the owner of a ledger has in hand.
#[derive(Debug)]
pub(super) struct Shift<S> {
    pub(super) log: LogWriter<S>,
    pub(super) ledger: Ledger,
    pub(super) term: Term,
    pub(super) clock: Clock,
    pub(super) pace: Pace,
    pub(super) feed: Feed,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) outlets: Outlets<FromLedger>,
    pub(super) tasks: TaskTracker,
    /// As of when the store has everything the books have.
    pub(super) revision: StoreRevision,
    /// Length of the log after which a snapshot is written.
    pub(super) log_bound: u64,
    /// Length of the log since the last snapshot was begun.
    pub(super) log_bytes: u64,
    /// Length of the last snapshot.
    pub(super) snapshot_bytes: u64,
    pub(super) snapshot: Option<AbortOnDropHandle<Result<Made, SnapshotError>>>,
}

/// The ledger's time as the owner's clock goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    from: LedgerTime,
    since_boot: u64,
}

/// Why the owner stops serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The control plane stops; everything is committed and told.
    Stopped,
    /// The shard is not owned any more.
    Lost,
}

/// What the owner waits for.
enum Event {
    Request(Request),
    Terms(BTreeMap<AgentName, Terms>),
    Snapshot(Result<Made, SnapshotError>),
    Due,
    Stop,
}

/// One moment, read from one clock once.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: LedgerTime,
    wall: Wall,
    mark: ClockMark,
}

/// What is answered when a round is committed.
#[derive(Default)]
struct Answers {
    questions: Vec<Question>,
    adjusted: Vec<(oneshot::Sender<Adjusted>, Adjusted)>,
}

impl Pace {
    /// The ledger's time is `now` when the clocks are at `mark`.
    pub(super) const fn new(now: LedgerTime, mark: &ClockMark) -> Self {
        Self {
            from: now,
            since_boot: mark.since_boot,
        }
    }

    fn at(&self, mark: &ClockMark) -> LedgerTime {
        let passed = mark.since_boot.saturating_sub(self.since_boot);
        self.from.after(Duration::from_nanos(passed))
    }
}

impl<S: Store> Shift<S> {
    /// Serves to the end; calls `ready` when the ledger can be asked.
    pub(super) async fn serve(mut self, ready: impl FnOnce()) -> End {
        // Nobody is to ask before the limits are known.
        if self.feed.has_policy() {
            let stop = self.log.owned.stop.clone();
            let Some(terms) = stop.run_until_cancelled(self.feed.next()).await else {
                return End::Stopped;
            };
            if self.round(Event::Terms(terms)).await.is_err() {
                return End::Lost;
            }
        }
        ready();
        loop {
            let event = self.next().await;
            let stopping = matches!(event, Event::Stop);
            let round = self.round(event).await;
            match round {
                _ if stopping => return self.stopped(),
                Ok(()) => self.consider_snapshot(),
                Err(Lost) if self.log.owned.stop.is_cancelled() => return self.stopped(),
                Err(Lost) => return End::Lost,
            }
        }
    }

    fn stopped(&mut self) -> End {
        self.outlets.end_all(&StreamEnd::Stopping);
        End::Stopped
    }

    /// Waits for something to do.
    async fn next(&mut self) -> Event {
        let due = self.ledger.poll_timeout();
        let due = due.map(|due| due.since(self.moment().now));
        tokio::select! {
            () = self.log.owned.stop.cancelled() => Event::Stop,
            Some(request) = self.requests.recv() => Event::Request(request),
            terms = self.feed.next() => Event::Terms(terms),
            made = snapshot_made(&mut self.snapshot) => Event::Snapshot(made),
            () = sleep_for(due) => Event::Due,
        }
    }

    /// Takes in what happened and everything that waits, commits it, and says what is to be said.
    async fn round(&mut self, event: Event) -> Result<(), Lost> {
        let mut answers = Answers::default();
        let mut taken = Vec::new();
        let mut rows = 0_usize;
        let mut terms = None;
        match event {
            Event::Request(request) => {
                rows = request.rows();
                taken.push(request);
            }
            Event::Terms(new) => terms = Some(new),
            Event::Snapshot(made) => self.snapshot_is(made),
            Event::Due | Event::Stop => {}
        }
        // The rest waits for the next round, so that a batch has a bound.
        while rows < LEDGER_ROUND_ROWS
            && let Ok(request) = self.requests.try_recv()
        {
            rows = rows.saturating_add(request.rows());
            taken.push(request);
        }
        // Read after all messages were taken: the age of a use counts from before this moment.
        let moment = self.moment();
        if let Some(terms) = terms {
            self.handle(Input::Policy(terms), moment);
        }
        for request in taken {
            self.take(request, moment, &mut answers);
        }
        self.ledger.handle_timeout(moment.now, moment.wall);
        self.commit(moment).await?;
        self.answer(answers);
        Ok(())
    }

    fn take(&mut self, request: Request, moment: Moment, answers: &mut Answers) {
        match request {
            Request::Open { stream, outlet } => self.outlets.open(stream, outlet),
            Request::Said { stream, message } => {
                let input = match message {
                    ToLedger::Hello(hello) => Input::Hello { stream, hello },
                    ToLedger::Report(report) => Input::Report { stream, report },
                    ToLedger::Goodbye { session } => Input::Goodbye { stream, session },
                };
                // What a stream says that was ended before would give it its session back.
                if self.outlets.has(stream) {
                    self.handle(input, moment);
                }
            }
            Request::Gone { stream, reason } => {
                if self.outlets.has(stream) {
                    self.handle(Input::Gone { stream }, moment);
                }
                match reason {
                    Some(reason) => self.outlets.end(stream, reason),
                    None => self.outlets.close(stream),
                }
            }
            Request::Adjust { adjustment, reply } => {
                let adjusted = self.adjust(adjustment, moment);
                answers.adjusted.push((reply, adjusted));
            }
            Request::Ask(question) => answers.questions.push(question),
        }
    }

    fn adjust(&mut self, adjustment: Adjustment, moment: Moment) -> Adjusted {
        let Adjustment {
            id,
            agent,
            nanos,
            author,
            message,
        } = adjustment;
        if self.ledger.is_adjusted(id) {
            return Adjusted::BookedBefore;
        }
        let state = self.ledger.agent(&agent, moment.now, moment.wall);
        let has_budget = state.is_some_and(|state| state.terms.has_budget());
        let books = self.ledger.books().agents.get(&agent);
        let has_spent = books.is_some_and(|books| !books.purses.is_empty());
        if !has_budget && !has_spent {
            return Adjusted::NoBudget;
        }
        let input = Input::Adjust {
            id,
            agent,
            nanos,
            author,
            message,
        };
        self.handle(input, moment);
        if self.ledger.is_adjusted(id) {
            Adjusted::Booked
        } else {
            Adjusted::Refused
        }
    }

    fn handle(&mut self, input: Input, moment: Moment) {
        self.ledger.handle(input, moment.now, moment.wall);
    }

    /// Commits what is new, then says what is to be said.
    async fn commit(&mut self, moment: Moment) -> Result<(), Lost> {
        let Drained { batch, messages } = self.ledger.drain(moment.now, moment.mark);
        if let Some(batch) = batch {
            let (bytes, revision) = self.log.append(&batch).await?;
            self.revision = revision;
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            self.log_bytes = self.log_bytes.saturating_add(bytes);
        }
        for (stream, message) in messages {
            let known = self.outlets.has(stream);
            if !self.outlets.send(stream, message) && known {
                // Its facts, if there are any, come with the next batch.
                self.handle(Input::Gone { stream }, moment);
            }
        }
        Ok(())
    }

    fn answer(&self, answers: Answers) {
        for (reply, adjusted) in answers.adjusted {
            if reply.send(adjusted).is_err() {
                debug!("whoever corrected what was spent does not wait for the answer");
            }
        }
        let moment = self.moment();
        let view = View {
            ledger: &self.ledger,
            term: self.term,
            now: moment.now,
            wall: moment.wall,
            revision: self.revision,
        };
        for question in answers.questions {
            question(&view);
        }
    }

    /// Begins a snapshot if the log has become long.
    fn consider_snapshot(&mut self) {
        let bound = self.log_bound.max(self.snapshot_bytes.saturating_mul(2));
        if self.snapshot.is_some() || self.log_bytes <= bound {
            return;
        }
        // One that fails is tried again when the log is as long again.
        self.log_bytes = 0;
        let books = self.ledger.books().clone();
        let log = self.log.clone();
        let writing = self
            .tasks
            .spawn(async move { snapshot::write(&log, books).await });
        self.snapshot = Some(AbortOnDropHandle::new(writing));
    }

    fn snapshot_is(&mut self, made: Result<Made, SnapshotError>) {
        self.snapshot = None;
        match made {
            Ok(made) => {
                self.snapshot_bytes = made.bytes;
                info!(
                    batch = made.batch,
                    bytes = made.bytes,
                    deleted = made.deleted,
                    "a snapshot of the ledger was written"
                );
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "no snapshot of the ledger could be written");
            }
        }
    }

    /// Now, by one reading of the clock: a successor goes on from the batch's mark as if it were the
    /// batch's time.
    fn moment(&self) -> Moment {
        let mark = self.clock.mark();
        Moment {
            now: self.pace.at(&mark),
            wall: mark.wall,
            mark,
        }
    }
}

impl Request {
    /// About how many facts may follow from it.
    fn rows(&self) -> usize {
        match self {
            Self::Said {
                message: ToLedger::Report(report),
                stream: _,
            } => [report.agents.len(), report.usage.len(), report.past.len()]
                .into_iter()
                .fold(1, usize::saturating_add),
            _ => 1,
        }
    }
}

/// Ends with the snapshot; never without one.
async fn snapshot_made(
    snapshot: &mut Option<AbortOnDropHandle<Result<Made, SnapshotError>>>,
) -> Result<Made, SnapshotError> {
    match snapshot {
        Some(writing) => writing.await?,
        None => std::future::pending().await,
    }
}

/// Ends after the span; never without one.
async fn sleep_for(span: Option<Duration>) {
    match span {
        Some(span) => tokio::time::sleep(span).await,
        None => std::future::pending().await,
    }
}
