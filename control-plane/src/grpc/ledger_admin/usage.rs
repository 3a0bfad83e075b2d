//! Listing what was used.

use std::ops::Bound;

use agix_core::ledger::UsageRow;
use agix_core::limits::LEDGER_PAGE;
use agix_core::quota::Day;
use agix_core::usage::UsageTotals;
use agix_proto::v1;
use futures_util::{Stream, stream};
use tonic::Status;

use super::status;
use crate::ledger::{LedgerDesk, View};

/// From which day to which; open where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days {
    since: Option<Day>,
    until: Option<Day>,
}

impl Days {
    pub(super) fn of(request: v1::ListUsageRequest) -> Result<Self, Status> {
        let v1::ListUsageRequest {
            since_day,
            until_day,
        } = request;
        Ok(Self {
            since: day(since_day)?,
            until: day(until_day)?,
        })
    }
}

/// The rows of these days, page by page.
pub(super) fn list(
    desk: LedgerDesk,
    days: Days,
) -> impl Stream<Item = Result<v1::ListUsageResponse, Status>> + Send {
    stream::try_unfold(Some(None), move |after: Option<Option<UsageRow>>| {
        let desk = desk.clone();
        async move {
            let Some(after) = after else {
                return Ok(None);
            };
            let looked = desk
                .look(move |view| page(view, after.as_ref(), days))
                .await;
            let rows = looked.map_err(|error| status::of_not_served(&error))?;
            let last = rows.last().map(|(row, _)| row.clone());
            let answer = v1::ListUsageResponse {
                rows: rows
                    .iter()
                    .map(|(row, totals)| on_wire(row, totals))
                    .collect(),
            };
            Ok(last.map(|last| (answer, Some(Some(last)))))
        }
    })
}

fn page(view: &View<'_>, after: Option<&UsageRow>, days: Days) -> Vec<(UsageRow, UsageTotals)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rows = view.ledger.books().usage.range((from, Bound::Unbounded));
    let rows = rows
        .skip_while(|(row, _)| days.since.is_some_and(|since| row.day < since))
        .take_while(|(row, _)| days.until.is_none_or(|until| row.day <= until))
        .take(LEDGER_PAGE);
    rows.map(|(row, totals)| (row.clone(), *totals)).collect()
}

fn on_wire(row: &UsageRow, totals: &UsageTotals) -> v1::UsageRow {
    let UsageRow { day, agent, model } = row;
    v1::UsageRow {
        day: day.number(),
        agent: agent.as_str().to_owned(),
        model: model.as_str().to_owned(),
        totals: Some(totals.into()),
    }
}

/// A day; none if it is left open.
fn day(number: u32) -> Result<Option<Day>, Status> {
    match number {
        0 => Ok(None),
        number => Day::from_number(number)
            .map(Some)
            .map_err(|invalid| Status::invalid_argument(invalid.to_string())),
    }
}
