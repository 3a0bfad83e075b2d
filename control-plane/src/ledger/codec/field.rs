//! Single values of entries and books in their stored form.

use agix_core::id::{AgentName, ModelName, ProxyId};
use agix_core::ledger::{AlertPeriod, LedgerTime};
use agix_core::policy::TimeZoneName;
use agix_core::quota::{Day, Pool, SessionId, Terms};
use agix_core::rate::Cooling;
use agix_core::units::{AlertPercent, NanoUsd};
use agix_core::usage::UsageTotals;
use prost::Message;

use super::InvalidStored;

/// A value with a stored form.
pub(super) trait Field: Sized {
    /// What protobuf makes of it.
    type Stored;

    /// Its stored form.
    fn store(&self) -> Self::Stored;

    /// The value of a stored form, if it has one.
    fn load(stored: Self::Stored) -> Option<Self>;
}

/// The value of a stored field.
pub(super) fn load<T: Field>(stored: T::Stored, field: &'static str) -> Result<T, InvalidStored> {
    T::load(stored).ok_or(InvalidStored::Field(field))
}

/// Times with counts. Each time is the difference to the one before.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredTimes {
    #[prost(sint64, repeated, tag = "1")]
    step: Vec<i64>,
    #[prost(uint64, repeated, tag = "2")]
    count: Vec<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredTerms {
    #[prost(uint64, optional, tag = "1")]
    requests_per_minute: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    requests_per_hour: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    tokens_per_minute: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    max_concurrent: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    daily: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    monthly: Option<u64>,
    #[prost(bool, tag = "7")]
    soft: bool,
    #[prost(string, tag = "8")]
    timezone: String,
    #[prost(uint32, repeated, tag = "9")]
    alerts: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct StoredTotals {
    #[prost(uint64, tag = "1")]
    requests: u64,
    #[prost(uint64, tag = "2")]
    estimated: u64,
    #[prost(uint64, tag = "3")]
    unpriced: u64,
    #[prost(uint64, tag = "4")]
    input: u64,
    #[prost(uint64, tag = "5")]
    cached_input: u64,
    #[prost(uint64, tag = "6")]
    cache_write: u64,
    #[prost(uint64, tag = "7")]
    output: u64,
    #[prost(uint64, tag = "8")]
    reasoning: u64,
    #[prost(uint64, tag = "9")]
    cost: u64,
}

/// A day, or the month that begins with it.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct StoredPeriod {
    #[prost(uint32, tag = "1")]
    first_day: u32,
    #[prost(bool, tag = "2")]
    month: bool,
}

/// Values that are stored as they are.
macro_rules! as_it_is {
    ($($type:ty),+) => {$(
        impl Field for $type {
            type Stored = Self;

            fn store(&self) -> Self {
                self.clone()
            }

            fn load(stored: Self) -> Option<Self> {
                Some(stored)
            }
        }
    )+};
}
as_it_is!(u64, i64, bool, String);

/// Values that are a number in a wrapping.
macro_rules! as_number {
    ($($type:ty: $number:ident, $new:ident);+ $(;)?) => {$(
        impl Field for $type {
            type Stored = u64;

            fn store(&self) -> u64 {
                self.$number()
            }

            fn load(stored: u64) -> Option<Self> {
                Some(Self::$new(stored))
            }
        }
    )+};
}
as_number!(
    SessionId: number, new;
    LedgerTime: as_nanos, from_nanos;
    NanoUsd: as_nanos, from_nanos;
);

/// Checked names.
macro_rules! as_text {
    ($($type:ty),+) => {$(
        impl Field for $type {
            type Stored = String;

            fn store(&self) -> String {
                self.as_str().to_owned()
            }

            fn load(stored: String) -> Option<Self> {
                Self::new(&stored).ok()
            }
        }
    )+};
}
as_text!(AgentName, ModelName, ProxyId);

impl Field for Day {
    type Stored = u32;

    fn store(&self) -> u32 {
        self.number()
    }

    fn load(stored: u32) -> Option<Self> {
        Self::from_number(stored).ok()
    }
}

impl Field for AlertPercent {
    type Stored = u32;

    fn store(&self) -> u32 {
        self.get().into()
    }

    fn load(stored: u32) -> Option<Self> {
        Self::new(stored.into())
    }
}

impl Field for Pool {
    type Stored = u32;

    fn store(&self) -> u32 {
        match self {
            Self::Requests => 1,
            Self::Tokens => 2,
            Self::Slots => 3,
        }
    }

    fn load(stored: u32) -> Option<Self> {
        match stored {
            1 => Some(Self::Requests),
            2 => Some(Self::Tokens),
            3 => Some(Self::Slots),
            _ => None,
        }
    }
}

impl Field for AlertPeriod {
    type Stored = Option<StoredPeriod>;

    fn store(&self) -> Self::Stored {
        let (day, month) = match self {
            Self::Day(day) => (*day, false),
            Self::Month(month) => (month.first_day(), true),
        };
        let first_day = day.store();
        Some(StoredPeriod { first_day, month })
    }

    fn load(stored: Self::Stored) -> Option<Self> {
        let StoredPeriod { first_day, month } = stored?;
        let day = Day::load(first_day)?;
        Some(if month {
            Self::Month(day.month())
        } else {
            Self::Day(day)
        })
    }
}

impl Field for Vec<(LedgerTime, u64)> {
    type Stored = Option<StoredTimes>;

    fn store(&self) -> Self::Stored {
        store_times(self.iter().copied())
    }

    fn load(stored: Self::Stored) -> Option<Self> {
        Some(load_times(stored)?.collect())
    }
}

impl Field for Cooling {
    type Stored = Option<StoredTimes>;

    fn store(&self) -> Self::Stored {
        store_times(self.releases())
    }

    fn load(stored: Self::Stored) -> Option<Self> {
        Some(load_times(stored)?.collect())
    }
}

/// Nothing where there are no times.
fn store_times(times: impl Iterator<Item = (LedgerTime, u64)>) -> Option<StoredTimes> {
    let mut stored = StoredTimes::default();
    let mut before = 0_u64;
    for (at, count) in times {
        let at = at.as_nanos();
        stored.step.push(at.wrapping_sub(before).cast_signed());
        stored.count.push(count);
        before = at;
    }
    (!stored.step.is_empty()).then_some(stored)
}

fn load_times(stored: Option<StoredTimes>) -> Option<impl Iterator<Item = (LedgerTime, u64)>> {
    let StoredTimes { step, count } = stored.unwrap_or_default();
    if step.len() != count.len() {
        return None;
    }
    let mut at = 0_u64;
    let times = step.into_iter().zip(count);
    Some(times.map(move |(step, count)| {
        at = at.wrapping_add(step.cast_unsigned());
        (LedgerTime::from_nanos(at), count)
    }))
}

impl Field for Terms {
    type Stored = Option<StoredTerms>;

    fn store(&self) -> Self::Stored {
        let Self {
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            daily,
            monthly,
            soft,
            timezone,
            alerts,
        } = self;
        Some(StoredTerms {
            requests_per_minute: *requests_per_minute,
            requests_per_hour: *requests_per_hour,
            tokens_per_minute: *tokens_per_minute,
            max_concurrent: *max_concurrent,
            daily: daily.map(NanoUsd::as_nanos),
            monthly: monthly.map(NanoUsd::as_nanos),
            soft: *soft,
            timezone: timezone.as_str().to_owned(),
            alerts: alerts.iter().map(Field::store).collect(),
        })
    }

    fn load(stored: Self::Stored) -> Option<Self> {
        let StoredTerms {
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            daily,
            monthly,
            soft,
            timezone,
            alerts,
        } = stored?;
        Some(Self {
            requests_per_minute,
            requests_per_hour,
            tokens_per_minute,
            max_concurrent,
            daily: daily.map(NanoUsd::from_nanos),
            monthly: monthly.map(NanoUsd::from_nanos),
            soft,
            // It existed when it was written; the log stays readable without it.
            timezone: TimeZoneName::new(&timezone, |_| true)?,
            alerts: alerts
                .into_iter()
                .map(AlertPercent::load)
                .collect::<Option<_>>()?,
        })
    }
}

impl Field for UsageTotals {
    type Stored = Option<StoredTotals>;

    fn store(&self) -> Self::Stored {
        let Self {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost,
        } = *self;
        Some(StoredTotals {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost: cost.as_nanos(),
        })
    }

    fn load(stored: Self::Stored) -> Option<Self> {
        let StoredTotals {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost,
        } = stored?;
        Some(Self {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost: NanoUsd::from_nanos(cost),
        })
    }
}
