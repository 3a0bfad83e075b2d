//! The reservation of a stream, extended while it runs.
//!
//! More is asked for while some is left, so that a stream is not held up where there is money. When
//! the reservation is used up and no more is to be had, the stream ends.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use agix_core::limits::{STREAM_EXTENSION_WAIT, STREAM_RESERVE_TOKENS};
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
    /// More is asked for, to cover so many.
    asked: Option<(Tokens, Waiter)>,
    /// More was refused; asked for again only once nothing is left.
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
        loop {
            self.poll_asked(cx, pass);
            let left = self.covered.saturating_sub(seen);
            if self.asked.is_none() && self.wants_more(seen, left) {
                self.ask(pass, tariff, seen);
                if self.asked.is_some() {
                    continue;
                }
            }
            let left = self.covered.saturating_sub(seen);
            if left > Tokens::ZERO {
                self.patience = None;
                return Room::For(left);
            }
            if self.asked.is_none() || self.is_out_of_patience(cx) {
                self.asked = None;
                return Room::None;
            }
            return Room::Wait;
        }
    }

    /// Ahead of time up to the caller's bound, at which the provider stops by itself; beyond it, and
    /// after a refusal, when nothing is left.
    fn wants_more(&self, seen: Tokens, left: Tokens) -> bool {
        let is_short = left < Tokens::new(STREAM_RESERVE_TOKENS / 2);
        let ahead = self.covered < self.bounds.output && !self.refused && is_short;
        ahead || seen >= self.covered
    }

    fn ask(&mut self, pass: &mut Pass, tariff: &Tariff, seen: Tokens) {
        let step = Tokens::new(STREAM_RESERVE_TOKENS);
        let further = self.covered.max(seen).saturating_add(step);
        let output = if self.covered < self.bounds.output {
            further.min(self.bounds.output)
        } else {
            further
        };
        let total = price(
            Some(tariff),
            &Bounds {
                output,
                ..self.bounds
            },
        );
        match pass.extend(total) {
            Extension::Held => self.covered = output,
            Extension::Waiting(waiter) => self.asked = Some((output, waiter)),
            Extension::Refused(_) => self.refused = true,
        }
    }

    fn poll_asked(&mut self, cx: &mut Context<'_>, pass: &mut Pass) {
        let Some((output, waiter)) = &mut self.asked else {
            return;
        };
        if let Poll::Ready(outcome) = Pin::new(waiter).poll(cx) {
            match pass.take(outcome) {
                Ok(()) => self.covered = *output,
                Err(_refused) => self.refused = true,
            }
            self.asked = None;
        }
    }

    fn is_out_of_patience(&mut self, cx: &mut Context<'_>) -> bool {
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(STREAM_EXTENSION_WAIT)));
        patience.as_mut().poll(cx).is_ready()
    }
}
