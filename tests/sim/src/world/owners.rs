//! What happens at control planes and in the store.

use std::sync::Arc;

use agix_core::ledger::Batch;

use super::World;
use super::event::{Event, Outcome};
use crate::clock::{MS, Nanos, S, nanos};
use crate::plan::Mix;
use crate::plane::Shift;
use crate::store::Appended;

/// How long an owner that is not heard of stays the owner.
pub(super) const OWNERSHIP: Nanos = 5 * S;
/// Service is there again so long after another owner was found.
const RESUMES: Nanos = 1_500 * MS;

impl World {
    pub(super) fn at_plane(&mut self, event: Event) {
        match event {
            Event::Elect { plane } => self.elect(plane),
            Event::Load {
                plane,
                incarnation,
                term,
            } => self.load(plane, incarnation, term),
            Event::Round { plane, term, wakes } => {
                let shift = self.planes[plane].shift.as_mut();
                if let Some(shift) = shift.filter(|it| it.term == term && it.wakes == wakes) {
                    shift.wake = None;
                    self.round(plane);
                }
            }
            Event::Append {
                plane,
                term,
                batch,
                asked,
            } => self.append(plane, term, &batch, asked),
            Event::Answer {
                plane,
                term,
                number,
                outcome,
            } => self.answered(plane, term, number, outcome),
            Event::Notice { plane, term } => {
                let shift = self.planes[plane].shift.as_ref();
                if shift.is_some_and(|it| it.term == term) && self.store.term > term {
                    self.step_down(plane);
                }
            }
            Event::StartPlane { plane } => self.planes[plane].up = true,
            Event::Serving { term } => self.check_service(term),
            _ => {}
        }
    }

    /// A control plane takes the ledger over, whoever has it.
    pub(super) fn elect(&mut self, plane: usize) {
        if !self.planes[plane].up {
            return;
        }
        self.step_down(plane);
        self.store.term += 1;
        self.oracle.stats.terms += 1;
        let term = self.store.term;
        let reading = MS + self.luck.below(100 * MS);
        let event = Event::Load {
            plane,
            incarnation: self.planes[plane].incarnation,
            term,
        };
        self.queue.push(self.now + reading, event);
        // Whoever had it learns of it sooner or later.
        for other in 0..self.planes.len() {
            if let Some(shift) = &self.planes[other].shift {
                let event = Event::Notice {
                    plane: other,
                    term: shift.term,
                };
                let slow = self.luck.permille(300);
                let late = self.luck.below(if slow { 30 * S } else { 3 * S });
                self.queue.push(self.now + late, event);
            }
        }
    }

    fn load(&mut self, plane: usize, incarnation: u64, term: u64) {
        if self.planes[plane].incarnation != incarnation || self.store.term != term {
            return;
        }
        let books = match self.store.load() {
            Ok(books) => books,
            Err(corrupt) => {
                self.oracle.breach("log", || corrupt.to_string());
                return;
            }
        };
        if books != self.store.books {
            self.oracle
                .breach("log", || "a successor reads other books".to_owned());
        }
        let mark = self.mark(plane);
        let mut shift = Shift::begin(books, term, &mark);
        shift.set_policy(self.policy(), self.version);
        self.planes[plane].shift = Some(shift);
        self.round(plane);
        self.consider_policy();
        // Where a message may take a second nobody can promise more.
        let quick = self.plan.net.delay <= MS;
        if self.plan.mix == Mix::Owners && !self.healed && quick {
            let at = self.now + RESUMES;
            self.queue.push(at, Event::Serving { term });
        }
    }

    pub(super) fn mark(&self, plane: usize) -> agix_core::ledger::ClockMark {
        let machine = &self.machines[self.planes[plane].machine];
        machine.mark(self.now, self.plan.began)
    }

    /// Has an owner take in what waits.
    pub(super) fn round(&mut self, plane: usize) {
        let mark = self.mark(plane);
        let Some(shift) = &mut self.planes[plane].shift else {
            return;
        };
        let waits = shift.commit.is_some();
        let messages = shift.round(&mark);
        let commit = shift.commit.as_ref().filter(|_| !waits);
        let batch = commit.map(|it| (shift.term, Arc::clone(&it.batch)));
        if let Some((term, batch)) = batch {
            self.send_batch(plane, term, batch);
        }
        for (stream, message) in messages {
            self.answer_if_open(plane, stream, &message);
        }
        self.plan_round(plane);
    }

    fn answer_if_open(
        &mut self,
        plane: usize,
        stream: u64,
        message: &agix_core::quota::FromLedger,
    ) {
        let shift = self.planes[plane].shift.as_ref();
        if shift.is_some_and(|it| it.streams.contains(&stream)) {
            self.answer(stream, message);
        }
    }

    fn plan_round(&mut self, plane: usize) {
        let mark = self.mark(plane);
        let clock = self.machines[self.planes[plane].machine].clock;
        let now = self.now;
        let Some(shift) = &mut self.planes[plane].shift else {
            return;
        };
        let Some(due) = shift.due_in(&mark) else {
            return;
        };
        let at = clock.when(clock.at(now).after(due)).max(now + MS / 10);
        if shift.wake.is_some_and(|wake| wake <= at && wake > now) {
            return;
        }
        shift.wake = Some(at);
        shift.wakes += 1;
        let event = Event::Round {
            plane,
            term: shift.term,
            wakes: shift.wakes,
        };
        self.queue.push(at, event);
    }

    fn send_batch(&mut self, plane: usize, term: u64, batch: Arc<Batch>) {
        let store = self.plan.store;
        let bad = !self.healed;
        let number = batch.number;
        let slow = bad && self.luck.permille(store.slow);
        let latency = if slow {
            store.latency * 100
        } else {
            store.latency
        };
        let there = self.now + self.luck.below(latency) + 1;
        let answer = |outcome| Event::Answer {
            plane,
            term,
            number,
            outcome,
        };
        if bad && self.luck.permille(store.fails) {
            self.queue.push(there + latency, answer(Outcome::Failed));
            return;
        }
        let asked = !(bad && self.luck.permille(store.unknown));
        if !asked {
            let waited = 500 * MS + self.luck.below(3 * S);
            self.queue.push(self.now + waited, answer(Outcome::Unknown));
            if self.luck.permille(400) {
                return;
            }
        }
        // A batch without an answer may arrive after all, and late.
        let late = !asked && self.luck.permille(300);
        let lag = if late { self.luck.below(10 * S) } else { 0 };
        self.queue.push(
            there + lag,
            Event::Append {
                plane,
                term,
                batch,
                asked,
            },
        );
    }

    fn append(&mut self, plane: usize, term: u64, batch: &Arc<Batch>, asked: bool) {
        let number = batch.number;
        let outcome = match self.store.append(term, batch) {
            Appended::Done { fresh } => {
                if fresh {
                    self.oracle.appended(term, self.store.term);
                    self.oracle.committed(batch, &self.store.books);
                    self.check_leases(batch);
                    if number.is_multiple_of(257) {
                        self.store.snapshot();
                    }
                }
                Outcome::Committed
            }
            Appended::Refused => Outcome::Refused,
            Appended::Corrupt(corrupt) => {
                self.oracle
                    .breach("log", || format!("{corrupt}: {batch:?}"));
                return;
            }
        };
        if asked {
            let latency = self.luck.below(self.plan.store.latency) + 1;
            let event = Event::Answer {
                plane,
                term,
                number,
                outcome,
            };
            self.queue.push(self.now + latency, event);
        }
    }

    fn answered(&mut self, plane: usize, term: u64, number: u64, outcome: Outcome) {
        let shift = self.planes[plane].shift.as_mut();
        let Some(shift) = shift.filter(|it| it.term == term) else {
            return;
        };
        let Some(commit) = shift.commit.take_if(|it| it.batch.number == number) else {
            return;
        };
        match outcome {
            Outcome::Committed => {
                for (stream, message) in commit.messages {
                    self.answer_if_open(plane, stream, &message);
                }
                self.round(plane);
            }
            Outcome::Refused => self.step_down(plane),
            Outcome::Failed | Outcome::Unknown => {
                let batch = Arc::clone(&commit.batch);
                shift.commit = Some(commit);
                self.send_batch(plane, term, batch);
            }
        }
    }

    /// A control plane gives up the ledger: all its streams end.
    pub(super) fn step_down(&mut self, plane: usize) {
        if let Some(shift) = self.planes[plane].shift.take() {
            for stream in shift.streams {
                self.break_off(stream);
            }
        }
    }

    /// The lease of a session that is closed is over at its proxy too.
    fn check_leases(&mut self, batch: &Batch) {
        use agix_core::ledger::Entry;
        for entry in &batch.entries {
            let Entry::SessionClosed { session } = entry else {
                continue;
            };
            for proxy in &self.proxies {
                let Some(process) = &proxy.process else {
                    continue;
                };
                let link = process.session.link();
                if link.session == Some(*session) && link.is_usable(proxy.clock.at(self.now)) {
                    let number = proxy.number;
                    self.oracle.breach("I7", || {
                        format!("session {session} is closed while proxy {number} may use it")
                    });
                }
            }
        }
    }

    /// After a change of owners everyone is served again in time.
    fn check_service(&mut self, term: u64) {
        if self.store.term != term {
            return;
        }
        let owner = self.planes.iter().find_map(|it| it.shift.as_ref());
        if owner.is_none_or(|it| it.term != term) {
            return;
        }
        for proxy in &self.proxies {
            let Some(process) = &proxy.process else {
                continue;
            };
            let link = process.session.link();
            let young = link.since >= proxy.clock.at(self.now.saturating_sub(RESUMES));
            if !link.up && !young {
                let number = proxy.number;
                let slack = nanos(agix_core::limits::LEDGER_RECONNECT_LONGEST);
                self.oracle.breach("I13", || {
                    format!(
                        "proxy {number} is not served again after {} ms",
                        (RESUMES + slack) / MS
                    )
                });
            }
        }
    }
}
