//! Admission and settlement with rights at hand: what every governed request pays.
//!
//! Callers ask and settle in a loop, each on a core of its own; a driver carries reports and updates
//! meanwhile. A request takes the agent's lock twice: to begin, and to settle.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agix_core::id::ModelName;
use agix_core::lease::{Admission, Ticket};
use serde::Serialize;

use super::world::{Driver, Gate, Hub};
use super::{COST, NEED, Place, TOKENS, agent_name, one_request};
use crate::clock;
use crate::process::{self, Core, ProcessError};
use crate::stats::{self, Ranks};

/// Time in which the driver learns the demand.
const WARM_UP: Duration = Duration::from_secs(3);
/// Pause between two looks of the driver: timers wake no more often.
const TURN: Duration = Duration::from_millis(1);
/// Pause before a caller that was not served tries again.
const RETRY: Duration = Duration::from_millis(2);
/// Samples kept of one caller.
const SAMPLES: usize = 1 << 23;

/// One way of asking.
#[derive(Debug, Clone, Copy)]
struct Case {
    what: &'static str,
    callers: usize,
    shared: bool,
    /// Time from one request of a caller to its next; none: one after the other.
    pace: Option<Duration>,
}

const PACE: Duration = Duration::from_micros(50);
const CASES: [Case; 6] = [
    case("1 caller", 1, false, None),
    case("2 callers, 2 agents", 2, false, None),
    case("2 callers, 1 agent", 2, true, None),
    case("1 caller, 20,000/s", 1, false, Some(PACE)),
    case("2 callers, 2 agents, 20,000/s", 2, false, Some(PACE)),
    case("2 callers, 1 agent, 20,000/s", 2, true, Some(PACE)),
];

/// What one way of asking came to.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Which way.
    pub what: &'static str,
    /// Requests a second of all callers.
    pub per_second: f64,
    /// To begin.
    pub admit: Ranks,
    /// To settle.
    pub settle: Ranks,
    /// Both.
    pub both: Ranks,
    /// Requests that found no right at hand.
    pub waited: u64,
    /// Reports of an agent in the same time.
    pub reports: u64,
}

/// What one caller saw.
#[derive(Debug, Default)]
struct Seen {
    admit: Vec<u32>,
    settle: Vec<u32>,
    both: Vec<u32>,
    done: u64,
    waited: u64,
}

/// A caller of an agent.
struct Caller {
    gate: Arc<Gate>,
    hub: Arc<Hub>,
    model: ModelName,
    pace: Option<Duration>,
    core: Core,
    /// When what is done counts.
    counts: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

const fn case(what: &'static str, callers: usize, shared: bool, pace: Option<Duration>) -> Case {
    Case {
        what,
        callers,
        shared,
        pace,
    }
}

/// Measures all ways of asking.
pub(super) fn run(place: &Place<'_>, progress: fn(&str)) -> Result<Vec<Figures>, Box<dyn Error>> {
    let mut all = Vec::new();
    for case in CASES {
        progress(&format!("rights at hand, {}", case.what));
        all.push(measure(case, place)?);
    }
    Ok(all)
}

fn measure(case: Case, place: &Place<'_>) -> Result<Figures, Box<dyn Error>> {
    let names = [agent_name(0)?, agent_name(1)?];
    let mut driver = Driver::new(&names)?;
    let (counts, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let mut callers = Vec::new();
    for (number, core) in (0..case.callers).zip([place.core, place.other]) {
        let name = names.get(if case.shared { 0 } else { number });
        let gate = name.and_then(|name| driver.gate(name));
        let caller = Caller {
            gate: gate.ok_or("an agent is missing")?,
            hub: driver.hub(),
            model: ModelName::new("gpt-4o")?,
            pace: case.pace,
            core,
            counts: Arc::clone(&counts),
            stop: Arc::clone(&stop),
        };
        callers.push(thread::spawn(move || caller.call()));
    }
    process::pin_thread(place.other)?;
    turn_until(&mut driver, clock::now() + WARM_UP);
    counts.store(true, Ordering::Relaxed);
    let (began, reported) = (clock::now(), driver.reported());
    turn_until(&mut driver, began + place.span);
    counts.store(false, Ordering::Relaxed);
    let (elapsed, reports) = (clock::now() - began, driver.reported() - reported);
    stop.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    for caller in callers {
        let one = caller.join().map_err(|_panic| "a caller failed")??;
        seen.admit.extend(one.admit);
        seen.settle.extend(one.settle);
        seen.both.extend(one.both);
        seen.done += one.done;
        seen.waited += one.waited;
    }
    let nothing = "no request was served";
    let done = u32::try_from(seen.done)?;
    Ok(Figures {
        what: case.what,
        per_second: f64::from(done) / elapsed.as_secs_f64(),
        admit: stats::ranks(seen.admit).ok_or(nothing)?,
        settle: stats::ranks(seen.settle).ok_or(nothing)?,
        both: stats::ranks(seen.both).ok_or(nothing)?,
        waited: seen.waited,
        reports,
    })
}

fn turn_until(driver: &mut Driver, end: Instant) {
    while clock::now() < end {
        driver.turn();
        thread::sleep(TURN);
    }
}

impl Caller {
    fn call(self) -> Result<Seen, ProcessError> {
        process::pin_thread(self.core)?;
        let mut seen = Seen {
            admit: Vec::with_capacity(SAMPLES),
            settle: Vec::with_capacity(SAMPLES),
            both: Vec::with_capacity(SAMPLES),
            ..Seen::default()
        };
        let mut next = clock::now();
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(pace) = self.pace {
                while clock::now() < next {
                    std::hint::spin_loop();
                }
                next += pace;
            }
            let counts = self.counts.load(Ordering::Relaxed);
            match self.request() {
                Some((admit, settle)) if counts => seen.note(admit, settle),
                Some(_) => {}
                None => {
                    seen.waited += u64::from(counts);
                    thread::sleep(RETRY);
                    next = clock::now();
                }
            }
        }
        Ok(seen)
    }

    /// One request; the time it took to begin and to settle it, if it was served at once.
    fn request(&self) -> Option<(Duration, Duration)> {
        let began = clock::now();
        let admission = self
            .gate
            .act(&self.hub, |agent, link, now| agent.admit(NEED, link, now));
        let admitted = clock::now();
        match admission {
            Admission::Granted(ticket) => {
                self.settle(ticket);
                Some((admitted - began, clock::now() - admitted))
            }
            Admission::Parked(waiter) => {
                // The ledger hears of it meanwhile.
                thread::sleep(RETRY);
                self.gate.act(&self.hub, |agent, _, _| agent.cancel(waiter));
                None
            }
            Admission::Refused(_) => None,
        }
    }

    fn settle(&self, mut ticket: Ticket) {
        self.gate.act(&self.hub, |agent, _, now| {
            agent.count(&self.model, &ticket, &one_request());
            agent.spend(&mut ticket, COST, now);
            agent.finish(ticket, TOKENS, now);
        });
    }
}

impl Seen {
    fn note(&mut self, admit: Duration, settle: Duration) {
        self.done += 1;
        if self.both.len() < SAMPLES {
            self.admit.push(stats::nanos(admit));
            self.settle.push(stats::nanos(settle));
            self.both.push(stats::nanos(admit + settle));
        }
    }
}
