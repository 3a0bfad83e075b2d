//! `LedgerAdmin`: what an operator sees and does of limits, budgets and usage.
//!
//! The ledger's owner is asked for a page at a time, so that it is never kept from its work for long;
//! an answer of several pages is not of one moment.

mod agents;
mod standing;
mod usage;
mod verified;

use std::pin::Pin;

use agix_core::audit::{Act, Kind};
use agix_core::id::{AgentName, Revision};
use agix_core::ledger::AgentState;
use agix_core::units::NanoUsd;
use agix_proto::v1;
use futures_util::Stream;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

use super::signature::signature;
use super::status;
use crate::access;
use crate::acts;
use crate::clock::Clock;
use crate::ledger::{Adjusted, Adjustment, LedgerDesk, SHARD, verify};
use crate::store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct LedgerAdmin<S> {
    desk: LedgerDesk,
    store: S,
    clock: Clock,
    /// One verification at a time.
    verifying: Semaphore,
}

impl<S: Store> LedgerAdmin<S> {
    pub(crate) fn new(desk: LedgerDesk, store: S, clock: Clock) -> Self {
        Self {
            desk,
            store,
            clock,
            verifying: Semaphore::new(1),
        }
    }

    /// How one agent stands.
    async fn state(&self, agent: AgentName) -> Result<Option<AgentState>, Status> {
        let state = self
            .desk
            .look(move |view| view.ledger.agent(&agent, view.now, view.wall));
        state.await.map_err(|error| status::of_not_served(&error))
    }
}

#[tonic::async_trait]
impl<S: Store> v1::ledger_admin_server::LedgerAdmin for LedgerAdmin<S> {
    type ListUsageStream =
        Pin<Box<dyn Stream<Item = Result<v1::ListUsageResponse, Status>> + Send>>;

    async fn list_agents(
        &self,
        request: Request<v1::ListAgentsRequest>,
    ) -> Result<Response<v1::ListAgentsResponse>, Status> {
        let v1::ListAgentsRequest {
            agents,
            most_active,
        } = request.into_inner();
        let names = agents.iter().map(|name| agent(name));
        let names: Vec<AgentName> = names.collect::<Result<_, _>>()?;
        let wanted = match (names.is_empty(), usize::try_from(most_active)) {
            (true, Ok(0) | Err(_)) => agents::Wanted::All,
            (true, Ok(count)) => agents::Wanted::MostActive(count),
            (false, _) => agents::Wanted::These(names),
        };
        Ok(Response::new(agents::list(&self.desk, wanted).await?))
    }

    async fn list_usage(
        &self,
        request: Request<v1::ListUsageRequest>,
    ) -> Result<Response<Self::ListUsageStream>, Status> {
        let days = usage::Days::of(request.into_inner())?;
        Ok(Response::new(Box::pin(usage::list(
            self.desk.clone(),
            days,
        ))))
    }

    async fn adjust(
        &self,
        request: Request<v1::AdjustRequest>,
    ) -> Result<Response<v1::AdjustResponse>, Status> {
        let known = access::author(&request);
        let v1::AdjustRequest {
            id,
            agent: name,
            nano_usd,
            author,
            message,
        } = request.into_inner();
        let agent = agent(&name)?;
        let (author, message) = signature(known.unwrap_or(author), message)?;
        if id == 0 || nano_usd == 0 {
            return Err(Status::invalid_argument(
                "a correction has an id and an amount, neither of them zero",
            ));
        }
        // Whoever does not own the ledger writes nothing down either.
        let state = self.state(agent.clone()).await?;
        if state.is_some_and(|state| state.day.is_some() || state.month.is_some()) {
            let sign = if nano_usd < 0 { "-" } else { "+" };
            let act = Act {
                id,
                time: self.clock.wall(),
                author: author.clone(),
                kind: Kind::AdjustBudget,
                subject: name,
                old: Revision::NONE,
                new: Revision::NONE,
                message: format!(
                    "{sign}{} USD: {message}",
                    NanoUsd::from_nanos(nano_usd.unsigned_abs())
                ),
            };
            let recorded = acts::record_first(&self.store, act).await;
            recorded.map_err(|error| status::of_acts(&error))?;
        }
        let adjustment = Adjustment {
            id,
            agent: agent.clone(),
            nanos: nano_usd,
            author,
            message,
        };
        let adjusted = self.desk.adjust(adjustment).await;
        let booked = match adjusted.map_err(|error| status::of_not_served(&error))? {
            Adjusted::Booked => true,
            Adjusted::BookedBefore => false,
            Adjusted::NoBudget => {
                return Err(Status::not_found(format!(
                    "{agent} has no budget, so there is no spend to correct"
                )));
            }
            Adjusted::Refused => {
                return Err(Status::out_of_range(format!(
                    "the corrections of {agent} would be more than can be counted"
                )));
            }
        };
        let state = self.state(agent.clone()).await?;
        Ok(Response::new(v1::AdjustResponse {
            booked,
            standing: state.map(|state| standing::of(&agent, &state)),
        }))
    }

    async fn verify(
        &self,
        _request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let _sole = self.verifying.try_acquire().map_err(|_taken| {
            Status::resource_exhausted("the ledger is being verified already; try again later")
        })?;
        let verified = verify(self.store.clone(), SHARD, &self.desk).await;
        let verified = verified.map_err(|error| status::of_verify(&error))?;
        Ok(Response::new(verified::on_wire(&verified)))
    }
}

fn agent(name: &str) -> Result<AgentName, Status> {
    AgentName::new(name).map_err(|invalid| Status::invalid_argument(invalid.to_string()))
}
