//! The books of one session.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AgentName, ModelName, ProxyId};
use crate::ledger::LedgerTime;
use crate::quota::Day;
use crate::usage::UsageTotals;

/// One incarnation of one proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBook {
    /// The proxy.
    pub proxy: ProxyId,
    /// Which start of it.
    pub incarnation: u64,
    /// The end of its lease.
    pub until: LedgerTime,
    /// Whether it can be granted rights.
    pub open: bool,
    /// Agents in whose books it appears.
    pub agents: BTreeSet<AgentName>,
    /// What of its usage was taken in, by agent, model and, if the report named it, day.
    pub usage: BTreeMap<(AgentName, ModelName, Option<Day>), UsageTotals>,
}

impl SessionBook {
    pub(super) const fn new(proxy: ProxyId, incarnation: u64, until: LedgerTime) -> Self {
        Self {
            proxy,
            incarnation,
            until,
            open: true,
            agents: BTreeSet::new(),
            usage: BTreeMap::new(),
        }
    }
}
