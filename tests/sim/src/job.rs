//! A request as the world knows it beforehand: what it asks for, how long it runs, what it costs.

use agix_core::lease::Need;
use agix_core::units::NanoUsd;

use crate::clock::{MS, Nanos, S};
use crate::plan::Load;
use crate::random::Random;

/// One request.
#[derive(Debug, Clone)]
pub struct Job {
    /// Tokens it asks for.
    pub tokens: u64,
    /// Tokens it takes.
    pub tokens_used: u64,
    /// Its attempts: all but the last fail.
    pub attempts: Vec<Attempt>,
    /// After how long its caller leaves while it waits.
    pub patience: Option<Nanos>,
    /// After how long its caller leaves while it runs.
    pub leaves: Option<Nanos>,
}

/// One attempt: parts that are each reserved before they run.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The parts.
    pub parts: Vec<Part>,
}

/// A part of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// What is reserved for it.
    pub reserve: NanoUsd,
    /// What it costs.
    pub cost: NanoUsd,
    /// How long it runs.
    pub lasts: Nanos,
}

impl Job {
    /// Some request of a load.
    pub fn new(load: &Load, random: &mut Random) -> Self {
        let tokens = around(load.tokens, random).max(1);
        let mut attempts = vec![Attempt::new(load, random)];
        while attempts.len() < 3 && random.permille(load.fails) {
            attempts.push(Attempt::new(load, random));
        }
        let left = random.permille(load.left);
        Self {
            tokens,
            tokens_used: if random.permille(load.overruns) {
                tokens * 2
            } else {
                random.between(0, tokens)
            },
            attempts,
            patience: left.then(|| random.between(1, 3_000) * MS),
            leaves: left.then(|| random.between(1, load.lasts.max(2))),
        }
    }

    /// What it needs to begin.
    pub fn need(&self) -> Need {
        let first = self.attempts.first().and_then(|it| it.parts.first());
        Need {
            tokens: self.tokens,
            money: first.map(|part| part.reserve).unwrap_or_default(),
        }
    }
}

impl Attempt {
    fn new(load: &Load, random: &mut Random) -> Self {
        let count = if random.permille(load.streams) {
            random.index(4) + 2
        } else {
            1
        };
        let parts = (0..count).map(|_| Part::new(load, random)).collect();
        Self { parts }
    }
}

impl Part {
    fn new(load: &Load, random: &mut Random) -> Self {
        let reserve = around(load.money, random);
        let cost = match random.below(10) {
            _ if random.permille(load.overruns) => reserve + reserve / 2,
            0 => 0,
            1 => reserve,
            _ => random.between(0, reserve),
        };
        let long = random.permille(20);
        let mean = if long { load.lasts * 8 } else { load.lasts };
        Self {
            reserve: NanoUsd::from_nanos(reserve),
            cost: NanoUsd::from_nanos(cost),
            lasts: random.pause(mean).min(90 * S),
        }
    }
}

fn around(mean: u64, random: &mut Random) -> u64 {
    random.between(mean / 2, mean + mean / 2)
}
