//! Listing agents and how they stand.

use std::collections::BTreeSet;

use agix_core::id::AgentName;
use agix_core::ledger::AgentState;
use agix_core::limits::{GRPC_LIST_BYTES, LEDGER_PAGE};
use agix_proto::v1;
use prost::Message as _;
use tonic::Status;

use super::{standing, status};
use crate::ledger::{LedgerDesk, View};

/// Which agents.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// All that have limits, by name.
    All,
    /// These, as far as they have limits.
    These(Vec<AgentName>),
    /// So many, the most active first.
    MostActive(usize),
}

/// What is listed so far.
struct Listing {
    answer: v1::ListAgentsResponse,
    bytes: usize,
    full: bool,
}

type States = Vec<(AgentName, AgentState)>;

/// The agents and how they stand, as many as fit an answer.
pub(super) async fn list(
    desk: &LedgerDesk,
    wanted: Wanted,
) -> Result<v1::ListAgentsResponse, Status> {
    let looked = desk
        .look(|view| {
            let books = view.ledger.books();
            (books.number, view.ledger.sessions())
        })
        .await;
    let (log_batches, sessions) = looked.map_err(|error| status::of_not_served(&error))?;
    let mut listing = Listing {
        answer: v1::ListAgentsResponse {
            agents: Vec::new(),
            left_out: 0,
            log_batches,
            sessions: u32::try_from(sessions).unwrap_or(u32::MAX),
        },
        bytes: 0,
        full: false,
    };
    match wanted {
        Wanted::All => listing.all(desk).await?,
        Wanted::These(names) => {
            for some in names.chunks(LEDGER_PAGE) {
                let some = some.to_vec();
                listing.take(&page(desk, move |view| states(view, some.iter())).await?);
            }
        }
        Wanted::MostActive(count) => {
            let count = count.min(LEDGER_PAGE);
            listing.take(&page(desk, move |view| most_active(view, count)).await?);
        }
    }
    Ok(listing.answer)
}

impl Listing {
    async fn all(&mut self, desk: &LedgerDesk) -> Result<(), Status> {
        let mut after: Option<AgentName> = None;
        while !self.full {
            let last = after.take();
            let some = page(desk, move |view| {
                let agents = view.ledger.agents();
                let rest = agents.skip_while(|agent| Some(*agent) <= last.as_ref());
                states(view, rest.take(LEDGER_PAGE))
            });
            let some = some.await?;
            after = some.last().map(|(agent, _)| agent.clone());
            self.take(&some);
            if after.is_none() {
                return Ok(());
            }
        }
        let looked = desk.look(|view| view.ledger.agents().count()).await;
        let agents = looked.map_err(|error| status::of_not_served(&error))?;
        let left_out = agents.saturating_sub(self.answer.agents.len());
        self.answer.left_out = u32::try_from(left_out).unwrap_or(u32::MAX);
        Ok(())
    }

    fn take(&mut self, states: &States) {
        for (agent, state) in states {
            let standing = standing::of(agent, state);
            self.bytes = self.bytes.saturating_add(standing.encoded_len());
            self.full |= self.bytes > GRPC_LIST_BYTES;
            if self.full {
                self.answer.left_out = self.answer.left_out.saturating_add(1);
            } else {
                self.answer.agents.push(standing);
            }
        }
    }
}

async fn page(
    desk: &LedgerDesk,
    question: impl FnOnce(&View<'_>) -> States + Send + 'static,
) -> Result<States, Status> {
    let looked = desk.look(question).await;
    looked.map_err(|error| status::of_not_served(&error))
}

fn states<'a>(view: &View<'_>, agents: impl Iterator<Item = &'a AgentName>) -> States {
    let states = agents.filter_map(|agent| {
        let state = view.ledger.agent(agent, view.now, view.wall)?;
        Some((agent.clone(), state))
    });
    states.collect()
}

/// The most active agents; if there are too few, others by name.
fn most_active(view: &View<'_>, count: usize) -> States {
    let mut active: Vec<(u64, &AgentName)> = view
        .ledger
        .active(view.now)
        .map(|(agent, recent)| (recent, agent))
        .collect();
    active.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    let busy: BTreeSet<&AgentName> = active.iter().map(|(_, agent)| *agent).collect();
    let others = view.ledger.agents().filter(|agent| !busy.contains(agent));
    let ranked = active.iter().map(|(_, agent)| *agent).chain(others);
    let states = ranked.filter_map(|agent| {
        let state = view.ledger.agent(agent, view.now, view.wall)?;
        Some((agent.clone(), state))
    });
    states.take(count).collect()
}
