//! The stored form of books: one record for the whole, then one for each session, agent and row of
//! usage. Tags are frozen.

mod agent;

use std::collections::BTreeMap;

use agix_core::ledger::{Books, SessionBook, UsageRow};
use agix_core::quota::SessionId;
use prost::{Message, Oneof};

use self::agent::{StoredAgent, load_agent, store_agent};
use super::field::{Field, StoredTotals, load};
use super::frame::Writer;
use super::{InvalidStored, StoredClock, load_clock, store_clock};

#[derive(Clone, PartialEq, Message)]
struct StoredRecord {
    #[prost(oneof = "Record", tags = "1, 2, 3, 4")]
    record: Option<Record>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Record {
    #[prost(message, tag = "1")]
    Head(StoredHead),
    #[prost(message, tag = "2")]
    Session(StoredSession),
    #[prost(message, tag = "3")]
    Agent(Box<StoredAgent>),
    #[prost(message, tag = "4")]
    Usage(StoredUsage),
}

#[derive(Clone, PartialEq, Message)]
struct StoredHead {
    #[prost(uint64, tag = "1")]
    number: u64,
    #[prost(uint64, tag = "2")]
    time: u64,
    #[prost(message, optional, tag = "3")]
    clock: Option<StoredClock>,
    #[prost(uint64, tag = "4")]
    sessions_opened: u64,
    #[prost(uint64, repeated, tag = "5")]
    adjustments: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredSession {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    proxy: String,
    #[prost(uint64, tag = "3")]
    incarnation: u64,
    #[prost(uint64, tag = "4")]
    until: u64,
    #[prost(bool, tag = "5")]
    open: bool,
    #[prost(string, repeated, tag = "6")]
    agents: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    usage: Vec<StoredUsage>,
}

/// Usage of an agent and a model, in the books or as a session told it.
#[derive(Clone, PartialEq, Message)]
struct StoredUsage {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(string, tag = "2")]
    model: String,
    #[prost(uint32, optional, tag = "3")]
    day: Option<u32>,
    #[prost(message, optional, tag = "4")]
    totals: Option<StoredTotals>,
}

/// Writes the books, record by record.
pub(super) fn write(books: &Books, frame: &mut Writer) {
    let Books {
        number,
        time,
        clock,
        sessions_opened,
        sessions,
        agents,
        usage,
        adjustments,
    } = books;
    let mut put = |record| {
        let stored = StoredRecord {
            record: Some(record),
        };
        frame.write(|buffer| buffer.extend(stored.encode_length_delimited_to_vec()));
    };
    put(Record::Head(StoredHead {
        number: *number,
        time: time.store(),
        clock: Some(store_clock(clock)),
        sessions_opened: *sessions_opened,
        adjustments: adjustments.iter().copied().collect(),
    }));
    for (session, book) in sessions {
        put(Record::Session(store_session(*session, book)));
    }
    for (agent, books) in agents {
        let name = agent.store();
        put(Record::Agent(Box::new(store_agent(name, books))));
    }
    for (row, totals) in usage {
        let UsageRow { day, agent, model } = row;
        put(Record::Usage(StoredUsage {
            agent: agent.store(),
            model: model.store(),
            day: Some(day.store()),
            totals: totals.store(),
        }));
    }
}

/// Reads what [`write()`] wrote.
pub(super) fn read(content: &[u8]) -> Result<Books, InvalidStored> {
    let mut rest = content;
    let mut books = None;
    while !rest.is_empty() {
        let stored =
            StoredRecord::decode_length_delimited(&mut rest).map_err(InvalidStored::Encoding)?;
        let record = stored.record.ok_or(InvalidStored::Field("record"))?;
        match (&mut books, record) {
            (None, Record::Head(head)) => books = Some(load_head(head)?),
            (Some(books), Record::Session(stored)) => {
                let (session, book) = load_session(stored)?;
                books.sessions.insert(session, book);
            }
            (Some(books), Record::Agent(mut stored)) => {
                let agent = load(std::mem::take(&mut stored.agent), "agent")?;
                books.agents.insert(agent, load_agent(*stored)?.into());
            }
            (Some(books), Record::Usage(stored)) => {
                let StoredUsage {
                    agent,
                    model,
                    day,
                    totals,
                } = stored;
                let row = UsageRow {
                    day: load(day.unwrap_or_default(), "day")?,
                    agent: load(agent, "agent")?,
                    model: load(model, "model")?,
                };
                books.usage.insert(row, load(totals, "totals")?);
            }
            (Some(_), Record::Head(_)) | (None, _) => return Err(InvalidStored::Field("head")),
        }
    }
    books.ok_or(InvalidStored::Short)
}

fn load_head(stored: StoredHead) -> Result<Books, InvalidStored> {
    let StoredHead {
        number,
        time,
        clock,
        sessions_opened,
        adjustments,
    } = stored;
    Ok(Books {
        number,
        time: load(time, "time")?,
        clock: load_clock(clock)?,
        sessions_opened,
        sessions: BTreeMap::new(),
        agents: BTreeMap::new(),
        usage: BTreeMap::new(),
        adjustments: adjustments.into(),
    })
}

fn store_session(session: SessionId, book: &SessionBook) -> StoredSession {
    let SessionBook {
        proxy,
        incarnation,
        until,
        open,
        agents,
        usage,
    } = book;
    let usage = usage
        .iter()
        .map(|((agent, model, day), totals)| StoredUsage {
            agent: agent.store(),
            model: model.store(),
            day: day.as_ref().map(Field::store),
            totals: totals.store(),
        });
    StoredSession {
        session: session.store(),
        proxy: proxy.store(),
        incarnation: *incarnation,
        until: until.store(),
        open: *open,
        agents: agents.iter().map(Field::store).collect(),
        usage: usage.collect(),
    }
}

fn load_session(stored: StoredSession) -> Result<(SessionId, SessionBook), InvalidStored> {
    let StoredSession {
        session,
        proxy,
        incarnation,
        until,
        open,
        agents,
        usage,
    } = stored;
    let mut told = BTreeMap::new();
    for StoredUsage {
        agent,
        model,
        day,
        totals,
    } in usage
    {
        let day = day.map(|day| load(day, "day")).transpose()?;
        let key = (load(agent, "agent")?, load(model, "model")?, day);
        told.insert(key, load(totals, "totals")?);
    }
    let book = SessionBook {
        proxy: load(proxy, "proxy")?,
        incarnation,
        until: load(until, "until")?,
        open,
        agents: agents
            .into_iter()
            .map(|agent| load(agent, "agents"))
            .collect::<Result<_, _>>()?,
        usage: told,
    };
    Ok((load(session, "session")?, book))
}
