//! What the ledger answers.

use std::time::Duration;

use agix_core::limits::{CONFIRMED_REPORTS, DENIAL_RELEASES, REPORT_AGENTS, REPORT_PURSES};
use agix_core::quota::{
    AgentUpdate, Denial, MoneyUpdate, PeriodStanding, PoolUpdate, PurseUpdate, SessionId, Standing,
    Term, Update,
};
use agix_core::time::Mono;
use agix_core::units::NanoUsd;

use super::{day, nanos};
use crate::convert::error::{At, InvalidMessage};
use crate::convert::field::{Enumeration, entries, enum_value, list, name};
use crate::v1;

impl From<&Update> for v1::QuotaUpdate {
    fn from(update: &Update) -> Self {
        let Update {
            term,
            session,
            sent,
            confirmed,
            agents,
        } = update;
        Self {
            term: term.number(),
            session: session.number(),
            sent: sent.map(Mono::as_nanos),
            confirmed: confirmed.clone(),
            agents: agents.iter().map(v1::AgentUpdate::from).collect(),
        }
    }
}

impl TryFrom<v1::QuotaUpdate> for Update {
    type Error = InvalidMessage;

    fn try_from(wire: v1::QuotaUpdate) -> Result<Self, InvalidMessage> {
        let v1::QuotaUpdate {
            term,
            session,
            sent,
            confirmed,
            agents,
        } = wire;
        entries(&confirmed, 0, CONFIRMED_REPORTS, "confirmed")?;
        Ok(Self {
            term: Term::new(term),
            session: SessionId::new(session),
            sent: sent.map(Mono::from_nanos),
            confirmed,
            agents: list(agents, REPORT_AGENTS, "agents")?,
        })
    }
}

impl From<&AgentUpdate> for v1::AgentUpdate {
    fn from(update: &AgentUpdate) -> Self {
        let AgentUpdate {
            agent,
            requests,
            tokens,
            slots,
            money,
            recall,
        } = update;
        Self {
            agent: agent.as_str().to_owned(),
            requests: requests.as_ref().map(v1::PoolUpdate::from),
            tokens: tokens.as_ref().map(v1::PoolUpdate::from),
            slots: slots.as_ref().map(v1::PoolUpdate::from),
            money: money.as_ref().map(v1::MoneyUpdate::from),
            recall: *recall,
        }
    }
}

impl TryFrom<v1::AgentUpdate> for AgentUpdate {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AgentUpdate) -> Result<Self, InvalidMessage> {
        let v1::AgentUpdate {
            agent,
            requests,
            tokens,
            slots,
            money,
            recall,
        } = wire;
        let pool = |wire: Option<v1::PoolUpdate>, field: &str| {
            wire.map(PoolUpdate::try_from).transpose().at(field)
        };
        Ok(Self {
            agent: name(&agent, "agent")?,
            requests: pool(requests, "requests")?,
            tokens: pool(tokens, "tokens")?,
            slots: pool(slots, "slots")?,
            money: money.map(MoneyUpdate::try_from).transpose().at("money")?,
            recall,
        })
    }
}

impl From<&PoolUpdate> for v1::PoolUpdate {
    fn from(update: &PoolUpdate) -> Self {
        let PoolUpdate {
            granted,
            used,
            denial,
        } = update;
        Self {
            granted: *granted,
            used: *used,
            denial: denial.as_ref().map(v1::Denial::from),
        }
    }
}

impl TryFrom<v1::PoolUpdate> for PoolUpdate {
    type Error = InvalidMessage;

    fn try_from(wire: v1::PoolUpdate) -> Result<Self, InvalidMessage> {
        let v1::PoolUpdate {
            granted,
            used,
            denial,
        } = wire;
        Ok(Self {
            granted,
            used,
            denial: denial.map(Denial::try_from).transpose().at("denial")?,
        })
    }
}

impl From<&Denial> for v1::Denial {
    fn from(denial: &Denial) -> Self {
        let Denial {
            limit,
            allows,
            again,
            releases,
        } = denial;
        Self {
            limit: limit.number(),
            allows: *allows,
            again_ns: nanos(*again),
            release_ns: releases.iter().copied().map(nanos).collect(),
        }
    }
}

impl TryFrom<v1::Denial> for Denial {
    type Error = InvalidMessage;

    fn try_from(wire: v1::Denial) -> Result<Self, InvalidMessage> {
        let v1::Denial {
            limit,
            allows,
            again_ns,
            release_ns,
        } = wire;
        entries(&release_ns, 1, DENIAL_RELEASES, "release_ns")?;
        Ok(Self {
            limit: enum_value(limit, "limit")?,
            allows,
            again: Duration::from_nanos(again_ns),
            releases: release_ns.into_iter().map(Duration::from_nanos).collect(),
        })
    }
}

impl From<&MoneyUpdate> for v1::MoneyUpdate {
    fn from(update: &MoneyUpdate) -> Self {
        let MoneyUpdate {
            today,
            ends_in,
            purses,
            standing: Standing { day, month },
        } = update;
        Self {
            today: today.number(),
            ends_in_ns: nanos(*ends_in),
            purses: purses.iter().map(v1::PurseUpdate::from).collect(),
            day: day.as_ref().map(v1::PeriodStanding::from),
            month: month.as_ref().map(v1::PeriodStanding::from),
        }
    }
}

impl TryFrom<v1::MoneyUpdate> for MoneyUpdate {
    type Error = InvalidMessage;

    fn try_from(wire: v1::MoneyUpdate) -> Result<Self, InvalidMessage> {
        let v1::MoneyUpdate {
            today,
            ends_in_ns,
            purses,
            day: of_day,
            month,
        } = wire;
        Ok(Self {
            today: day(today, "today")?,
            ends_in: Duration::from_nanos(ends_in_ns),
            purses: list(purses, REPORT_PURSES, "purses")?,
            standing: Standing {
                day: of_day.map(PeriodStanding::from),
                month: month.map(PeriodStanding::from),
            },
        })
    }
}

impl From<&PurseUpdate> for v1::PurseUpdate {
    fn from(update: &PurseUpdate) -> Self {
        let PurseUpdate {
            day,
            granted,
            spent,
        } = update;
        Self {
            day: day.number(),
            granted_nano_usd: granted.as_nanos(),
            spent_nano_usd: spent.as_nanos(),
        }
    }
}

impl TryFrom<v1::PurseUpdate> for PurseUpdate {
    type Error = InvalidMessage;

    fn try_from(wire: v1::PurseUpdate) -> Result<Self, InvalidMessage> {
        let v1::PurseUpdate {
            day: number,
            granted_nano_usd,
            spent_nano_usd,
        } = wire;
        Ok(Self {
            day: day(number, "day")?,
            granted: NanoUsd::from_nanos(granted_nano_usd),
            spent: NanoUsd::from_nanos(spent_nano_usd),
        })
    }
}

impl From<&PeriodStanding> for v1::PeriodStanding {
    fn from(standing: &PeriodStanding) -> Self {
        let PeriodStanding {
            limit,
            spent,
            unsettled,
            held,
            resets_in,
        } = standing;
        Self {
            limit_nano_usd: limit.as_nanos(),
            spent_nano_usd: spent.as_nanos(),
            unsettled_nano_usd: unsettled.as_nanos(),
            held_nano_usd: held.as_nanos(),
            resets_in_ns: nanos(*resets_in),
        }
    }
}

impl From<v1::PeriodStanding> for PeriodStanding {
    fn from(wire: v1::PeriodStanding) -> Self {
        let v1::PeriodStanding {
            limit_nano_usd,
            spent_nano_usd,
            unsettled_nano_usd,
            held_nano_usd,
            resets_in_ns,
        } = wire;
        Self {
            limit: NanoUsd::from_nanos(limit_nano_usd),
            spent: NanoUsd::from_nanos(spent_nano_usd),
            unsettled: NanoUsd::from_nanos(unsettled_nano_usd),
            held: NanoUsd::from_nanos(held_nano_usd),
            resets_in: Duration::from_nanos(resets_in_ns),
        }
    }
}
