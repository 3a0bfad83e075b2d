//! `history`: the revisions, newest first.

use agix_core::limits::POLICY_REVISIONS;
use agix_proto::v1::HistoryRequest;
use clap::value_parser;
use serde::Serialize;

use super::connect;
use super::revision::RevisionView;
use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, local};

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// Most revisions to list
    #[arg(long, value_name = "COUNT", default_value = "20",
          value_parser = value_parser!(u32).range(1..=POLICY_REVISIONS as i64))]
    limit: u32,

    /// Only revisions before this one
    #[arg(long, value_name = "REVISION")]
    before: Option<u64>,
}

#[derive(Debug, Serialize)]
struct History {
    revisions: Vec<RevisionView>,
    /// Older revisions exist.
    more: bool,
}

impl View for History {
    fn text(&self, look: Look) -> String {
        let mut columns = vec![">REVISION", "TIME", "AUTHOR", ">CHANGED", ">REMOVED"];
        if look.wide {
            columns.extend([">TOTAL", "HASH"]);
        }
        columns.push("MESSAGE");
        let mut table = Table::new(&columns);
        for revision in &self.revisions {
            let mut cells = vec![
                revision.revision.to_string(),
                local(revision.time_unix_ms),
                revision.author.clone(),
                revision.resources_changed.to_string(),
                revision.resources_removed.to_string(),
            ];
            if look.wide {
                cells.push(revision.resources_total.to_string());
                cells.push(revision.short_hash().to_owned());
            }
            cells.push(revision.note());
            table.row(cells);
        }
        table.text()
    }
}

pub(crate) async fn run(
    args: &HistoryArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let request = HistoryRequest {
        limit: args.limit,
        before: args.before,
    };
    let answer = client.call(client.policy().history(request)).await?;
    let answer = answer.into_inner();
    let history = History {
        revisions: answer
            .revisions
            .into_iter()
            .map(RevisionView::from)
            .collect(),
        more: answer.more,
    };
    let people = !output.for_programs();
    if history.revisions.is_empty() && people {
        Output::words("no revisions: nothing was applied yet\n");
        return Ok(Exit::Ok);
    }
    output.data(&history)?;
    if let Some(last) = history.revisions.last().filter(|_| history.more && people) {
        let oldest = last.revision;
        Output::words(&format!("older ones: agixctl history --before {oldest}\n"));
    }
    Ok(Exit::Ok)
}
