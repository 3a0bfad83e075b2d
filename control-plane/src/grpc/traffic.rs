//! `TrafficReports` and `Traffic`: what proxies tell of their traffic, and who looks at it.

use std::sync::Arc;

use agix_core::id::ProxyId;
use agix_core::limits::{TRAFFIC_REQUESTS, TRAFFIC_SAMPLE, TRAFFIC_SPAN};
use agix_proto::v1;
use tonic::{Request, Response, Status};

use super::change::within;
use crate::traffic::Traffic;

/// The service that proxies report to.
#[derive(Debug)]
pub(crate) struct TrafficReports {
    traffic: Arc<Traffic>,
}

/// The service of those who look.
#[derive(Debug)]
pub(crate) struct TrafficService {
    traffic: Arc<Traffic>,
}

impl TrafficReports {
    pub(crate) const fn new(traffic: Arc<Traffic>) -> Self {
        Self { traffic }
    }
}

impl TrafficService {
    pub(crate) const fn new(traffic: Arc<Traffic>) -> Self {
        Self { traffic }
    }
}

#[tonic::async_trait]
impl v1::traffic_reports_server::TrafficReports for TrafficReports {
    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let v1::ReportRequest {
            proxy_id,
            incarnation,
            counts,
            requests,
        } = request.into_inner();
        let proxy = ProxyId::new(&proxy_id)
            .map_err(|error| Status::invalid_argument(format!("proxy_id: {error}")))?;
        let counts = counts.unwrap_or_default();
        self.traffic.take(proxy, incarnation, counts, requests);
        Ok(Response::new(v1::ReportResponse {
            requests_a_second: TRAFFIC_SAMPLE,
        }))
    }
}

#[tonic::async_trait]
impl v1::traffic_server::Traffic for TrafficService {
    async fn get_traffic(
        &self,
        _request: Request<v1::GetTrafficRequest>,
    ) -> Result<Response<v1::GetTrafficResponse>, Status> {
        let (spans, proxies) = self.traffic.spans();
        Ok(Response::new(v1::GetTrafficResponse {
            spans,
            span_seconds: u32::try_from(TRAFFIC_SPAN.as_secs()).unwrap_or(u32::MAX),
            proxies: u32::try_from(proxies).unwrap_or(u32::MAX),
        }))
    }

    async fn list_requests(
        &self,
        request: Request<v1::ListRequestsRequest>,
    ) -> Result<Response<v1::ListRequestsResponse>, Status> {
        let wanted = request.into_inner();
        let most = match usize::try_from(wanted.most) {
            Ok(0) | Err(_) => TRAFFIC_REQUESTS,
            Ok(most) => most,
        };
        let found = self.traffic.requests(|it| holds(&wanted, it), most);
        Ok(Response::new(v1::ListRequestsResponse {
            requests: within(found.into_iter()),
        }))
    }
}

/// Whether a request is one of those asked for.
fn holds(wanted: &v1::ListRequestsRequest, request: &v1::RequestSummary) -> bool {
    let v1::ListRequestsRequest {
        agent,
        model,
        outcome,
        most: _,
    } = wanted;
    let of_agent = agent.is_empty() || *agent == request.agent;
    let of_model =
        model.is_empty() || *model == request.model_asked || *model == request.model_answered;
    let fell_over =
        !request.model_answered.is_empty() && request.model_answered != request.model_asked;
    let ended = match outcome.as_str() {
        "" => true,
        "failover" => fell_over,
        outcome => outcome == request.outcome,
    };
    of_agent && of_model && ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_found_by_agent_model_and_outcome() {
        let request = v1::RequestSummary {
            agent: "batch".to_owned(),
            model_asked: "gpt-4o".to_owned(),
            model_answered: "claude-opus-4-6".to_owned(),
            outcome: "answered".to_owned(),
            ..v1::RequestSummary::default()
        };
        let wanted = |agent: &str, model: &str, outcome: &str| {
            let wanted = v1::ListRequestsRequest {
                agent: agent.to_owned(),
                model: model.to_owned(),
                outcome: outcome.to_owned(),
                most: 0,
            };
            holds(&wanted, &request)
        };
        assert!(wanted("", "", "") && wanted("batch", "gpt-4o", "answered"));
        assert!(wanted("", "claude-opus-4-6", "failover"));
        assert!(!wanted("other", "", "") && !wanted("", "o3", "") && !wanted("", "", "failed"));
    }
}
