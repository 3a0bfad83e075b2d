//! What an agent weighs, read off the resident memory of this process.

use std::error::Error;
use std::time::Duration;

use agix_core::id::ModelName;
use agix_core::lease::{Admission, Agent, Link, Outcome, Rules, Ticket};
use agix_core::quota::{
    AgentUpdate, Day, MoneyUpdate, PoolUpdate, PurseUpdate, SessionId, Standing,
};
use agix_core::time::Mono;
use serde::Serialize;

use super::{COST, NEED, TOKENS, agent_name, one_request, wide_terms};
use crate::process;

/// What one agent weighs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Weight {
    /// Where, and after what.
    pub what: &'static str,
    /// Bytes of one agent.
    pub bytes: f64,
}

/// Weighs what was made since the last time.
#[derive(Debug)]
pub(super) struct Scales {
    empty: u64,
    agents: usize,
    weights: Vec<Weight>,
}

impl Scales {
    /// What is there already does not count.
    pub(super) fn new(agents: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            empty: process::own_resident()?,
            agents,
            weights: Vec::new(),
        })
    }

    /// Weighs all that was made so far.
    pub(super) fn weigh(&mut self, what: &'static str) -> Result<(), Box<dyn Error>> {
        let bytes = process::own_resident()?.saturating_sub(self.empty);
        let agents = u32::try_from(self.agents)?;
        let bytes = f64::from(u32::try_from(bytes / 1_024)?) * 1_024.0 / f64::from(agents);
        self.weights.push(Weight { what, bytes });
        Ok(())
    }

    pub(super) fn weights(self) -> Vec<Weight> {
        self.weights
    }
}

/// What an agent weighs at a proxy.
pub(super) fn at_a_proxy(agents: usize, progress: fn(&str)) -> Result<Vec<Weight>, Box<dyn Error>> {
    progress("an agent at a proxy");
    let rules = Rules {
        terms: wide_terms(),
        ..Rules::default()
    };
    let model = ModelName::new("gpt-4o")?;
    let mut scales = Scales::new(agents)?;
    let mut all: Vec<Agent> = Vec::with_capacity(agents);
    for number in 0..agents {
        all.push(Agent::new(agent_name(number)?, rules.clone()));
    }
    scales.weigh("at a proxy, never used")?;
    let now = Mono::default().after(Duration::from_secs(1));
    let link = Link {
        session: Some(SessionId::new(1)),
        until: now.after(Duration::from_secs(10)),
        up: true,
        since: now,
    };
    for agent in &mut all {
        let mut ticket = first_request(agent, &link, now).ok_or("no rights were taken")?;
        agent.count(&model, &ticket, &one_request());
        agent.spend(&mut ticket, COST, now);
        agent.finish(ticket, TOKENS, now);
    }
    scales.weigh("at a proxy, after a request")?;
    Ok(scales.weights())
}

/// A request that asks and is given what it needs.
fn first_request(agent: &mut Agent, link: &Link, now: Mono) -> Option<Ticket> {
    let Admission::Parked(_) = agent.admit(NEED, link, now) else {
        return None;
    };
    let session = link.session?;
    let update = update(agent)?;
    let decided = agent.update(session, &update, link, now);
    decided
        .into_iter()
        .find_map(|decided| match decided.outcome {
            Outcome::Admitted(ticket) => Some(ticket),
            Outcome::Reserved(_) | Outcome::Refused(_) => None,
        })
}

fn update(agent: &Agent) -> Option<AgentUpdate> {
    let granted = |granted| {
        Some(PoolUpdate {
            granted,
            ..PoolUpdate::default()
        })
    };
    let today = Day::new(2026, 11, 25)?;
    let purse = PurseUpdate {
        day: today,
        granted: NEED.money,
        spent: agix_core::units::NanoUsd::ZERO,
    };
    Some(AgentUpdate {
        agent: agent.name().clone(),
        requests: granted(1),
        tokens: granted(NEED.tokens),
        slots: granted(1),
        money: Some(MoneyUpdate {
            today,
            ends_in: Duration::from_hours(1),
            purses: vec![purse],
            standing: Standing::default(),
        }),
        recall: 0,
    })
}
