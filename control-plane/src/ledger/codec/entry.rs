//! The stored form of an entry of the log. Tags are frozen.

use agix_core::ledger::Entry;
use prost::{Message, Oneof};

use super::InvalidStored;
use super::field::{Field as _, StoredPeriod, StoredTerms, StoredTimes, StoredTotals, load};

/// An entry.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredEntry {
    #[prost(
        oneof = "Kind",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15"
    )]
    kind: Option<Kind>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Kind {
    #[prost(message, tag = "1")]
    SessionOpened(SessionOpened),
    #[prost(message, tag = "2")]
    Renewed(Renewed),
    #[prost(message, tag = "3")]
    SessionClosed(SessionClosed),
    #[prost(message, tag = "4")]
    Terms(Terms),
    #[prost(message, tag = "5")]
    Granted(Granted),
    #[prost(message, tag = "6")]
    Used(Used),
    #[prost(message, tag = "7")]
    DayBegan(DayBegan),
    #[prost(message, tag = "8")]
    Escrowed(Escrowed),
    #[prost(message, tag = "9")]
    Settled(Settled),
    #[prost(message, tag = "10")]
    Usage(Usage),
    #[prost(message, tag = "11")]
    Adjusted(Adjusted),
    #[prost(message, tag = "12")]
    Alert(Alert),
    #[prost(message, tag = "13")]
    Forgotten(Forgotten),
    #[prost(message, tag = "14")]
    Archived(Archived),
    #[prost(message, tag = "15")]
    UsageDropped(UsageDropped),
}

#[derive(Clone, PartialEq, Message)]
struct SessionOpened {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    proxy: String,
    #[prost(uint64, tag = "3")]
    incarnation: u64,
    #[prost(uint64, tag = "4")]
    until: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Renewed {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(uint64, tag = "2")]
    until: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SessionClosed {
    #[prost(uint64, tag = "1")]
    session: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Terms {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(message, optional, tag = "2")]
    terms: Option<StoredTerms>,
}

#[derive(Clone, PartialEq, Message)]
struct Granted {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint32, tag = "3")]
    pool: u32,
    #[prost(uint64, tag = "4")]
    amount: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Used {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint32, tag = "3")]
    pool: u32,
    #[prost(message, optional, tag = "4")]
    uses: Option<StoredTimes>,
    #[prost(uint64, tag = "5")]
    returned: u64,
}

#[derive(Clone, PartialEq, Message)]
struct DayBegan {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(uint32, tag = "2")]
    day: u32,
}

#[derive(Clone, PartialEq, Message)]
struct Escrowed {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint32, tag = "3")]
    day: u32,
    #[prost(uint64, tag = "4")]
    amount: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Settled {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint32, tag = "3")]
    day: u32,
    #[prost(uint64, tag = "4")]
    spent: u64,
    #[prost(uint64, tag = "5")]
    released: u64,
    #[prost(bool, tag = "6")]
    estimated: bool,
    #[prost(bool, tag = "7")]
    last: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Usage {
    #[prost(uint64, tag = "1")]
    session: u64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(string, tag = "3")]
    model: String,
    #[prost(uint32, tag = "4")]
    day: u32,
    #[prost(bool, tag = "5")]
    budgeted: bool,
    #[prost(message, optional, tag = "6")]
    totals: Option<StoredTotals>,
}

#[derive(Clone, PartialEq, Message)]
struct Adjusted {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(string, tag = "2")]
    agent: String,
    #[prost(uint32, tag = "3")]
    day: u32,
    #[prost(sint64, tag = "4")]
    nanos: i64,
    #[prost(string, tag = "5")]
    author: String,
    #[prost(string, tag = "6")]
    message: String,
}

#[derive(Clone, PartialEq, Message)]
struct Alert {
    #[prost(string, tag = "1")]
    agent: String,
    #[prost(message, optional, tag = "2")]
    period: Option<StoredPeriod>,
    #[prost(uint32, tag = "3")]
    percent: u32,
    #[prost(uint64, tag = "4")]
    limit: u64,
    #[prost(uint64, tag = "5")]
    spent: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Forgotten {
    #[prost(uint64, tag = "1")]
    session: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Archived {
    #[prost(uint32, tag = "1")]
    before: u32,
}

#[derive(Clone, PartialEq, Message)]
struct UsageDropped {
    #[prost(uint32, tag = "1")]
    before: u32,
}

/// Both directions between an entry and its stored form. Every field is named, so that a new one
/// breaks the build here.
macro_rules! pairs {
    ($($kind:ident { $($field:ident),+ })+) => {
        impl From<&Entry> for StoredEntry {
            fn from(entry: &Entry) -> Self {
                let kind = match entry {
                    $(Entry::$kind { $($field),+ } => Kind::$kind($kind {
                        $($field: $field.store()),+
                    }),)+
                };
                Self { kind: Some(kind) }
            }
        }

        impl StoredEntry {
            /// The entry.
            pub(super) fn read(self) -> Result<Entry, InvalidStored> {
                Ok(match self.kind.ok_or(InvalidStored::Field("entry"))? {
                    $(Kind::$kind($kind { $($field),+ }) => Entry::$kind {
                        $($field: load($field, stringify!($field))?),+
                    },)+
                })
            }
        }
    };
}

pairs! {
    SessionOpened { session, proxy, incarnation, until }
    Renewed { session, until }
    SessionClosed { session }
    Terms { agent, terms }
    Granted { session, agent, pool, amount }
    Used { session, agent, pool, uses, returned }
    DayBegan { agent, day }
    Escrowed { session, agent, day, amount }
    Settled { session, agent, day, spent, released, estimated, last }
    Usage { session, agent, model, day, budgeted, totals }
    Adjusted { id, agent, day, nanos, author, message }
    Alert { agent, period, percent, limit, spent }
    Forgotten { session }
    Archived { before }
    UsageDropped { before }
}
