//! The stored form of an agent's books. Tags are frozen.

use std::collections::BTreeMap;

use agix_core::ledger::{AgentBooks, Holding, Part, Purse};
use agix_core::quota::SessionId;
use prost::Message;

use crate::ledger::codec::InvalidStored;
use crate::ledger::codec::field::{Field, StoredPeriod, StoredTerms, StoredTimes, load};

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredAgent {
    #[prost(string, tag = "1")]
    pub(super) agent: String,
    #[prost(message, optional, tag = "2")]
    terms: Option<StoredTerms>,
    #[prost(message, optional, tag = "3")]
    minute: Option<StoredTimes>,
    #[prost(message, optional, tag = "4")]
    hour: Option<StoredTimes>,
    #[prost(message, optional, tag = "5")]
    tokens: Option<StoredTimes>,
    #[prost(message, repeated, tag = "6")]
    requests_held: Vec<StoredHolding>,
    #[prost(message, repeated, tag = "7")]
    tokens_held: Vec<StoredHolding>,
    #[prost(message, repeated, tag = "8")]
    slots_held: Vec<StoredHolding>,
    #[prost(uint32, optional, tag = "9")]
    day: Option<u32>,
    #[prost(message, repeated, tag = "10")]
    purses: Vec<StoredPurse>,
    #[prost(message, repeated, tag = "11")]
    alerts: Vec<StoredAlert>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredHolding {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(uint64, tag = "2")]
    granted: u64,
    #[prost(uint64, tag = "3")]
    used: u64,
    #[prost(uint64, tag = "4")]
    returned: u64,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPurse {
    #[prost(uint32, tag = "1")]
    day: u32,
    #[prost(uint64, tag = "2")]
    closed: u64,
    #[prost(sint64, tag = "3")]
    adjusted: i64,
    #[prost(message, repeated, tag = "4")]
    parts: Vec<StoredPart>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredPart {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(uint64, tag = "2")]
    granted: u64,
    #[prost(uint64, tag = "3")]
    spent: u64,
    #[prost(uint64, tag = "4")]
    released: u64,
    #[prost(bool, tag = "5")]
    estimated: bool,
    #[prost(bool, tag = "6")]
    last: bool,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredAlert {
    #[prost(message, optional, tag = "1")]
    period: Option<StoredPeriod>,
    #[prost(uint32, tag = "2")]
    percent: u32,
    #[prost(uint64, tag = "3")]
    limit: u64,
}

/// The record of an agent.
pub(super) fn store_agent(agent: String, books: &AgentBooks) -> StoredAgent {
    let AgentBooks {
        terms,
        minute,
        hour,
        tokens,
        requests_held,
        tokens_held,
        slots_held,
        day,
        purses,
        alerts,
    } = books;
    StoredAgent {
        agent,
        terms: terms.store(),
        minute: minute.store(),
        hour: hour.store(),
        tokens: tokens.store(),
        requests_held: store_held(requests_held),
        tokens_held: store_held(tokens_held),
        slots_held: store_held(slots_held),
        day: day.as_ref().map(Field::store),
        purses: purses
            .iter()
            .map(|(day, purse)| store_purse(day.store(), purse))
            .collect(),
        alerts: alerts
            .iter()
            .map(|(period, percent, limit)| StoredAlert {
                period: period.store(),
                percent: percent.store(),
                limit: limit.store(),
            })
            .collect(),
    }
}

/// The books of a record; the agent's name is taken out before.
pub(super) fn load_agent(stored: StoredAgent) -> Result<AgentBooks, InvalidStored> {
    let StoredAgent {
        agent: _,
        terms,
        minute,
        hour,
        tokens,
        requests_held,
        tokens_held,
        slots_held,
        day,
        purses,
        alerts,
    } = stored;
    let alert = |stored| {
        let StoredAlert {
            period,
            percent,
            limit,
        } = stored;
        Ok((
            load(period, "period")?,
            load(percent, "percent")?,
            load(limit, "limit")?,
        ))
    };
    Ok(AgentBooks {
        terms: load(terms, "terms")?,
        minute: load(minute, "minute")?,
        hour: load(hour, "hour")?,
        tokens: load(tokens, "tokens")?,
        requests_held: load_held(requests_held)?,
        tokens_held: load_held(tokens_held)?,
        slots_held: load_held(slots_held)?,
        day: day.map(|day| load(day, "day")).transpose()?,
        purses: purses
            .into_iter()
            .map(|purse| Ok((load(purse.day, "day")?, load_purse(purse)?)))
            .collect::<Result<_, _>>()?,
        alerts: alerts.into_iter().map(alert).collect::<Result<_, _>>()?,
    })
}

fn store_held(held: &BTreeMap<SessionId, Holding>) -> Vec<StoredHolding> {
    let stored = held.iter().map(|(session, holding)| {
        let Holding {
            granted,
            used,
            returned,
        } = *holding;
        StoredHolding {
            session: session.store(),
            granted,
            used,
            returned,
        }
    });
    stored.collect()
}

fn load_held(stored: Vec<StoredHolding>) -> Result<BTreeMap<SessionId, Holding>, InvalidStored> {
    let held = stored.into_iter().map(|stored| {
        let StoredHolding {
            session,
            granted,
            used,
            returned,
        } = stored;
        let holding = Holding {
            granted,
            used,
            returned,
        };
        Ok((load(session, "session")?, holding))
    });
    held.collect()
}

fn store_purse(day: u32, purse: &Purse) -> StoredPurse {
    let Purse {
        closed,
        adjusted,
        parts,
    } = purse;
    let parts = parts.iter().map(|(session, part)| {
        let Part {
            granted,
            spent,
            released,
            estimated,
            last,
        } = part;
        StoredPart {
            session: session.store(),
            granted: granted.store(),
            spent: spent.store(),
            released: released.store(),
            estimated: *estimated,
            last: *last,
        }
    });
    StoredPurse {
        day,
        closed: closed.store(),
        adjusted: *adjusted,
        parts: parts.collect(),
    }
}

fn load_purse(stored: StoredPurse) -> Result<Purse, InvalidStored> {
    let StoredPurse {
        day: _,
        closed,
        adjusted,
        parts,
    } = stored;
    let parts = parts.into_iter().map(|stored| {
        let StoredPart {
            session,
            granted,
            spent,
            released,
            estimated,
            last,
        } = stored;
        let part = Part {
            granted: load(granted, "granted")?,
            spent: load(spent, "spent")?,
            released: load(released, "released")?,
            estimated,
            last,
        };
        Ok((load(session, "session")?, part))
    });
    Ok(Purse {
        closed: load(closed, "closed")?,
        adjusted,
        parts: parts.collect::<Result<_, _>>()?,
    })
}
