//! What a proxy reports.

use std::time::Duration;

use agix_core::limits::{REPORT_AGENTS, REPORT_PURSES, REPORT_ROWS, USES_KEPT};
use agix_core::quota::{
    AgentReport, Day, MoneyReport, PastReport, PoolReport, PurseReport, Report, SessionId,
    UsageReport, Use,
};
use agix_core::time::Mono;
use agix_core::units::NanoUsd;

use super::{day, nanos};
use crate::convert::error::{At, InvalidField, InvalidMessage};
use crate::convert::field::{list, name, required};
use crate::v1;

impl From<&Report> for v1::QuotaReport {
    fn from(report: &Report) -> Self {
        let Report {
            session,
            number,
            sent,
            agents,
            usage,
            past,
        } = report;
        Self {
            session: session.number(),
            number: *number,
            sent: sent.as_nanos(),
            agents: agents.iter().map(v1::AgentReport::from).collect(),
            usage: usage.iter().map(v1::UsageReport::from).collect(),
            past: past.iter().map(v1::PastReport::from).collect(),
        }
    }
}

impl TryFrom<v1::QuotaReport> for Report {
    type Error = InvalidMessage;

    fn try_from(wire: v1::QuotaReport) -> Result<Self, InvalidMessage> {
        let v1::QuotaReport {
            session,
            number,
            sent,
            agents,
            usage,
            past,
        } = wire;
        Ok(Self {
            session: SessionId::new(session),
            number,
            sent: Mono::from_nanos(sent),
            agents: list(agents, REPORT_AGENTS, "agents")?,
            usage: list(usage, REPORT_ROWS, "usage")?,
            past: list(past, REPORT_ROWS, "past")?,
        })
    }
}

impl From<&AgentReport> for v1::AgentReport {
    fn from(report: &AgentReport) -> Self {
        let AgentReport {
            agent,
            requests,
            tokens,
            slots,
            money,
            recall_seen,
        } = report;
        Self {
            agent: agent.as_str().to_owned(),
            requests: requests.as_ref().map(v1::PoolReport::from),
            tokens: tokens.as_ref().map(v1::PoolReport::from),
            slots: slots.as_ref().map(v1::PoolReport::from),
            money: money.as_ref().map(v1::MoneyReport::from),
            recall_seen: *recall_seen,
        }
    }
}

impl TryFrom<v1::AgentReport> for AgentReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::AgentReport) -> Result<Self, InvalidMessage> {
        let v1::AgentReport {
            agent,
            requests,
            tokens,
            slots,
            money,
            recall_seen,
        } = wire;
        let pool = |wire: Option<v1::PoolReport>, field: &str| {
            wire.map(PoolReport::try_from).transpose().at(field)
        };
        Ok(Self {
            agent: name(&agent, "agent")?,
            requests: pool(requests, "requests")?,
            tokens: pool(tokens, "tokens")?,
            slots: pool(slots, "slots")?,
            money: money.map(MoneyReport::try_from).transpose().at("money")?,
            recall_seen,
        })
    }
}

impl From<&PoolReport> for v1::PoolReport {
    fn from(report: &PoolReport) -> Self {
        let PoolReport {
            used,
            returned,
            uses,
            reserved,
            waiting,
            want,
        } = report;
        Self {
            used: *used,
            returned: *returned,
            use_age_ns: uses.iter().map(|it| nanos(it.age)).collect(),
            use_count: uses.iter().map(|it| it.count).collect(),
            reserved: *reserved,
            waiting: *waiting,
            want: *want,
        }
    }
}

impl TryFrom<v1::PoolReport> for PoolReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::PoolReport) -> Result<Self, InvalidMessage> {
        let v1::PoolReport {
            used,
            returned,
            use_age_ns,
            use_count,
            reserved,
            waiting,
            want,
        } = wire;
        let found = use_age_ns.len();
        if found > USES_KEPT {
            let (least, most) = (0, USES_KEPT);
            return Err(InvalidField::Entries { least, most }).at("use_age_ns");
        }
        if use_count.len() != found {
            let (least, most) = (found, found);
            return Err(InvalidField::Entries { least, most }).at("use_count");
        }
        let uses = use_age_ns.into_iter().zip(use_count);
        Ok(Self {
            used,
            returned,
            uses: uses
                .map(|(age, count)| Use {
                    age: Duration::from_nanos(age),
                    count,
                })
                .collect(),
            reserved,
            waiting,
            want,
        })
    }
}

impl From<&MoneyReport> for v1::MoneyReport {
    fn from(report: &MoneyReport) -> Self {
        let MoneyReport {
            purses,
            waiting,
            first,
            want,
        } = report;
        Self {
            purses: purses.iter().map(v1::PurseReport::from).collect(),
            waiting_nano_usd: waiting.as_nanos(),
            first_nano_usd: first.as_nanos(),
            want_nano_usd: want.as_nanos(),
        }
    }
}

impl TryFrom<v1::MoneyReport> for MoneyReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::MoneyReport) -> Result<Self, InvalidMessage> {
        let v1::MoneyReport {
            purses,
            waiting_nano_usd,
            first_nano_usd,
            want_nano_usd,
        } = wire;
        Ok(Self {
            purses: list(purses, REPORT_PURSES, "purses")?,
            waiting: NanoUsd::from_nanos(waiting_nano_usd),
            first: NanoUsd::from_nanos(first_nano_usd),
            want: NanoUsd::from_nanos(want_nano_usd),
        })
    }
}

impl From<&PurseReport> for v1::PurseReport {
    fn from(report: &PurseReport) -> Self {
        let PurseReport {
            day,
            spent,
            released,
            reserved,
        } = report;
        Self {
            day: day.number(),
            spent_nano_usd: spent.as_nanos(),
            released_nano_usd: released.as_nanos(),
            reserved_nano_usd: reserved.as_nanos(),
        }
    }
}

impl TryFrom<v1::PurseReport> for PurseReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::PurseReport) -> Result<Self, InvalidMessage> {
        let v1::PurseReport {
            day: number,
            spent_nano_usd,
            released_nano_usd,
            reserved_nano_usd,
        } = wire;
        Ok(Self {
            day: day(number, "day")?,
            spent: NanoUsd::from_nanos(spent_nano_usd),
            released: NanoUsd::from_nanos(released_nano_usd),
            reserved: NanoUsd::from_nanos(reserved_nano_usd),
        })
    }
}

impl From<&UsageReport> for v1::UsageReport {
    fn from(report: &UsageReport) -> Self {
        let UsageReport {
            session,
            agent,
            model,
            day,
            totals,
        } = report;
        Self {
            session: session.number(),
            agent: agent.as_str().to_owned(),
            model: model.as_str().to_owned(),
            day: day.map(Day::number),
            totals: Some(totals.into()),
        }
    }
}

impl TryFrom<v1::UsageReport> for UsageReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::UsageReport) -> Result<Self, InvalidMessage> {
        let v1::UsageReport {
            session,
            agent,
            model,
            day: number,
            totals,
        } = wire;
        Ok(Self {
            session: SessionId::new(session),
            agent: name(&agent, "agent")?,
            model: name(&model, "model")?,
            day: number.map(|it| day(it, "day")).transpose()?,
            totals: required(totals).at("totals")?.into(),
        })
    }
}

impl From<&PastReport> for v1::PastReport {
    fn from(report: &PastReport) -> Self {
        let PastReport {
            session,
            agent,
            day,
            spent,
            last,
            estimated,
        } = report;
        Self {
            session: session.number(),
            agent: agent.as_str().to_owned(),
            day: day.number(),
            spent_nano_usd: spent.as_nanos(),
            last: *last,
            estimated: *estimated,
        }
    }
}

impl TryFrom<v1::PastReport> for PastReport {
    type Error = InvalidMessage;

    fn try_from(wire: v1::PastReport) -> Result<Self, InvalidMessage> {
        let v1::PastReport {
            session,
            agent,
            day: number,
            spent_nano_usd,
            last,
            estimated,
        } = wire;
        Ok(Self {
            session: SessionId::new(session),
            agent: name(&agent, "agent")?,
            day: day(number, "day")?,
            spent: NanoUsd::from_nanos(spent_nano_usd),
            last,
            estimated,
        })
    }
}
