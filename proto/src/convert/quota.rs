//! Messages between a proxy and the ledger.
//!
//! Rules this module keeps:
//! - Spans are whole nanoseconds: the age of a use must not grow shorter by rounding.
//! - Every list has a bound, so that one message of a stranger is a bounded amount of work.

mod report;
mod update;
mod usage;

use std::time::Duration;

use agix_core::quota::{Day, FromLedger, Hello, Limit, Report, SessionId, Term, ToLedger, Update};
use agix_core::time::Mono;

use super::error::{At, InvalidField, InvalidMessage};
use super::field::{enumeration, name, required};
use crate::v1;
use crate::v1::quota_request::Body as FromProxy;
use crate::v1::quota_response::Body as FromServer;

enumeration!(Limit, v1::LimitKind:
    RequestsPerMinute = RequestsPerMinute,
    RequestsPerHour = RequestsPerHour,
    TokensPerMinute = TokensPerMinute,
    Concurrent = Concurrent,
);

impl From<&ToLedger> for v1::QuotaRequest {
    fn from(message: &ToLedger) -> Self {
        let body = match message {
            ToLedger::Hello(hello) => FromProxy::Hello(hello.into()),
            ToLedger::Report(report) => FromProxy::Report(report.into()),
            ToLedger::Goodbye { session } => FromProxy::Goodbye(v1::QuotaGoodbye {
                session: session.number(),
            }),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<v1::QuotaRequest> for ToLedger {
    type Error = InvalidMessage;

    fn try_from(wire: v1::QuotaRequest) -> Result<Self, InvalidMessage> {
        let v1::QuotaRequest { body } = wire;
        match required(body).at("body")? {
            FromProxy::Hello(wire) => Hello::try_from(wire).map(Self::Hello).at("hello"),
            FromProxy::Report(wire) => Report::try_from(wire).map(Self::Report).at("report"),
            FromProxy::Goodbye(v1::QuotaGoodbye { session }) => Ok(Self::Goodbye {
                session: SessionId::new(session),
            }),
        }
    }
}

impl From<&FromLedger> for v1::QuotaResponse {
    fn from(message: &FromLedger) -> Self {
        let body = match message {
            FromLedger::Welcome {
                term,
                session,
                resumed,
                sent,
            } => FromServer::Welcome(v1::QuotaWelcome {
                term: term.number(),
                session: session.number(),
                resumed: *resumed,
                sent: sent.as_nanos(),
            }),
            FromLedger::Closed { session } => FromServer::Closed(v1::QuotaClosed {
                session: session.number(),
            }),
            FromLedger::Update(update) => FromServer::Update(update.into()),
        };
        Self { body: Some(body) }
    }
}

impl TryFrom<v1::QuotaResponse> for FromLedger {
    type Error = InvalidMessage;

    fn try_from(wire: v1::QuotaResponse) -> Result<Self, InvalidMessage> {
        let v1::QuotaResponse { body } = wire;
        match required(body).at("body")? {
            FromServer::Welcome(v1::QuotaWelcome {
                term,
                session,
                resumed,
                sent,
            }) => Ok(Self::Welcome {
                term: Term::new(term),
                session: SessionId::new(session),
                resumed,
                sent: Mono::from_nanos(sent),
            }),
            FromServer::Closed(v1::QuotaClosed { session }) => Ok(Self::Closed {
                session: SessionId::new(session),
            }),
            FromServer::Update(wire) => Update::try_from(wire).map(Self::Update).at("update"),
        }
    }
}

impl From<&Hello> for v1::QuotaHello {
    fn from(hello: &Hello) -> Self {
        let Hello {
            proxy,
            incarnation,
            resume,
            sent,
        } = hello;
        Self {
            proxy_id: proxy.as_str().to_owned(),
            incarnation: *incarnation,
            resume: resume.map(SessionId::number),
            sent: sent.as_nanos(),
        }
    }
}

impl TryFrom<v1::QuotaHello> for Hello {
    type Error = InvalidMessage;

    fn try_from(wire: v1::QuotaHello) -> Result<Self, InvalidMessage> {
        let v1::QuotaHello {
            proxy_id,
            incarnation,
            resume,
            sent,
        } = wire;
        Ok(Self {
            proxy: name(&proxy_id, "proxy_id")?,
            incarnation,
            resume: resume.map(SessionId::new),
            sent: Mono::from_nanos(sent),
        })
    }
}

/// Nanoseconds; a span beyond five hundred years is as long as that.
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn day(number: u32, field: &str) -> Result<Day, InvalidMessage> {
    Day::from_number(number)
        .ok()
        .ok_or(InvalidField::Range("a day, written as 20261125"))
        .at(field)
}

#[cfg(test)]
mod tests;
