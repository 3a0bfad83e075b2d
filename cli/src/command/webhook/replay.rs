//! `webhook replay`: deliver or run an execution again.

use agix_proto::v1;
use serde::Serialize;

use super::execution_id;
use crate::client::Client;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View};

/// Arguments of `webhook replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A dead execution keeps its id and its result; only the callback is made again. Any other that has
ended is run once more from what was received, as a new execution, and the model is asked again.")]
pub(super) struct ReplayArgs {
    /// The execution
    #[arg(value_parser = execution_id)]
    id: String,
}

#[derive(Debug, Serialize)]
struct Replayed {
    execution_id: String,
    /// Whether it is a new execution.
    new: bool,
}

impl View for Replayed {
    fn text(&self, _look: Look) -> String {
        if self.new {
            format!("{}: runs, as a new execution\n", self.execution_id)
        } else {
            format!("{}: is delivered again\n", self.execution_id)
        }
    }
}

pub(super) async fn run(
    args: &ReplayArgs,
    client: &Client,
    output: Output,
) -> Result<Exit, Failure> {
    let request = v1::ReplayRequest {
        id: args.id.clone(),
    };
    let replay = client.webhooks(async |mut queue| queue.replay(request.clone()).await);
    let answer = replay.await?;
    let execution_id = answer.into_inner().execution_id;
    output.data(&Replayed {
        new: execution_id != args.id,
        execution_id,
    })?;
    Ok(Exit::Ok)
}
