//! The reservation of a stream, extended while it runs.
//!
//! More is asked for while some is left, so that a stream is not held up where there is money; near
//! the end of a budget less at a time, so that what is left is used. When the reservation is used up
//! and no more is to be had, the stream ends.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use agix_core::lease::Refused;
use agix_core::limits::{STREAM_EXTENSION_WAIT, STREAM_LEAST_TOKENS, STREAM_RESERVE_TOKENS};
use agix_core::price::{Bounds, Tariff};
use agix_core::units::Tokens;
use tokio::time::Sleep;

use super::need::price;
use super::{Extension, Pass, Reservation, Waiter};

/// The reservation of one stream.
#[derive(Debug)]
pub(crate) struct Meter {
    bounds: Bounds,
    /// Output tokens the reservation covers.
    covered: Tokens,
    /// How many more are asked for next: fewer after each refusal.
    step: u64,
    /// More is asked for, to cover so many.
    asked: Option<(Tokens, Waiter)>,
    /// Not even the least was to be had.
    refused: bool,
    patience: Option<Pin<Box<Sleep>>>,
}

/// What may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// So many output tokens more.
    For(Tokens),
    /// Nothing until more is set aside.
    Wait,
    /// Nothing any more.
    None,
}

impl Meter {
    /// A meter of a stream for which so much is reserved.
    pub(crate) const fn new(reservation: Reservation) -> Self {
        Self {
            bounds: reservation.bounds,
            covered: reservation.first.output,
            step: STREAM_RESERVE_TOKENS,
            asked: None,
            refused: false,
            patience: None,
        }
    }

    /// What may pass after `seen` output tokens did.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        pass: &mut Pass,
        tariff: &Tariff,
        seen: Tokens,
    ) -> Room {
        let mut last_try = false;
        loop {
            self.poll_asked(cx, pass);
            let left = self.covered.saturating_sub(seen);
            if self.asked.is_none() && self.wants_more(left) {
                self.ask(pass, tariff, seen);
                continue;
            }
            if left > Tokens::ZERO {
                self.patience = None;
                return Room::For(left);
            }
            if self.is_out_of_patience(cx) {
                self.asked = None;
                return Room::None;
            }
            if self.asked.is_some() {
                return Room::Wait;
            }
            // Perhaps something came back since it was refused.
            if std::mem::replace(&mut last_try, true) {
                return Room::None;
            }
            self.refused = false;
            self.step = STREAM_LEAST_TOKENS;
        }
    }

    /// Ahead of time up to the caller's bound, at which the provider stops by itself; beyond it when
    /// nothing is left.
    fn wants_more(&self, left: Tokens) -> bool {
        let is_short = left < Tokens::new(STREAM_RESERVE_TOKENS / 2);
        let ahead = self.covered < self.bounds.output && is_short;
        !self.refused && (ahead || left == Tokens::ZERO)
    }

    fn ask(&mut self, pass: &mut Pass, tariff: &Tariff, seen: Tokens) {
        let further = self
            .covered
            .max(seen)
            .saturating_add(Tokens::new(self.step));
        let output = if self.covered < self.bounds.output {
            further.min(self.bounds.output)
        } else {
            further
        };
        let bounds = Bounds {
            output,
            ..self.bounds
        };
        match pass.extend(price(Some(tariff), &bounds)) {
            Extension::Held => self.covered = output,
            Extension::Waiting(waiter) => self.asked = Some((output, waiter)),
            Extension::Refused(refused) => self.refuse(&refused),
        }
    }

    fn poll_asked(&mut self, cx: &mut Context<'_>, pass: &mut Pass) {
        let Some((output, waiter)) = &mut self.asked else {
            return;
        };
        if let Poll::Ready(outcome) = Pin::new(waiter).poll(cx) {
            let taken = pass.take(outcome);
            match taken {
                Ok(()) => self.covered = *output,
                Err(refused) => self.refuse(&refused),
            }
            self.asked = None;
        }
    }

    /// Near the end of a budget a smaller step may still be had.
    fn refuse(&mut self, refused: &Refused) {
        self.step /= 2;
        let hopeless = !matches!(refused, Refused::Budget { busy: false, .. });
        self.refused = hopeless || self.step < STREAM_LEAST_TOKENS;
    }

    fn is_out_of_patience(&mut self, cx: &mut Context<'_>) -> bool {
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STREAM_EXTENSION_WAIT)));
        patience.as_mut().poll(cx).is_ready()
    }
}
