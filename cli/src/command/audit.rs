//! `audit`: who changed what, and whether the record of that is as it was written.

use std::time::Duration;

use agix_core::audit::Kind;
use agix_core::limits::ACTS_PAGE;
use agix_proto::v1;
use clap::{Subcommand, value_parser};
use serde::Serialize;

use super::connect;
use crate::args::{Global, span};
use crate::client::Client;
use crate::clock;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, clean, local, rfc3339};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List administrative acts, newest first
    List(ListArgs),
    /// Check that no record of an act was changed or taken out
    Verify,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl audit list --since 24h
  agixctl audit list --type budget.adjust --agent code-reviewer

Types: policy.apply, policy.rollback, budget.adjust, webhook.replay, token.create, token.revoke,
state.backup, state.restore. What budget.adjust, webhook.replay and state.backup asked for is recorded
before it is done; `budgets` and `webhook show` say what became of the first two.")]
struct ListArgs {
    /// Only acts on this agent
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,

    /// Only acts of this type; may be given several times
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Vec<Kind>,

    /// Only acts within this time
    #[arg(long, value_name = "TIME", value_parser = span)]
    since: Option<Duration>,

    /// Most acts to list
    #[arg(short = 'n', long, value_name = "COUNT", default_value = "20",
          value_parser = value_parser!(u32).range(1..=ACTS_PAGE as i64))]
    limit: u32,
}

fn kind(name: &str) -> Result<Kind, String> {
    Kind::parse(name).ok_or_else(|| {
        let known: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        format!("it must be one of {}", known.join(", "))
    })
}

#[derive(Debug, Serialize)]
struct Acts {
    acts: Vec<ActView>,
    /// There are older ones.
    more: bool,
}

#[derive(Debug, Serialize)]
struct ActView {
    number: u64,
    time: Option<String>,
    author: String,
    #[serde(rename = "type")]
    kind: String,
    subject: Option<String>,
    /// Absent where an act makes no revision.
    old_revision: Option<u64>,
    new_revision: Option<u64>,
    message: String,
    digest: String,
    #[serde(skip)]
    time_unix_ms: i64,
}

impl From<v1::Act> for ActView {
    fn from(act: v1::Act) -> Self {
        let makes_one = act.old_revision != act.new_revision;
        Self {
            number: act.number,
            time: rfc3339(act.time_unix_ms),
            author: act.author,
            kind: act.kind,
            subject: (!act.subject.is_empty()).then_some(act.subject),
            old_revision: makes_one.then_some(act.old_revision),
            new_revision: makes_one.then_some(act.new_revision),
            message: act.message,
            digest: hex(&act.digest),
            time_unix_ms: act.time_unix_ms,
        }
    }
}

impl View for Acts {
    fn text(&self, look: Look) -> String {
        let mut columns = vec![">NUMBER", "TIME", "AUTHOR", "TYPE", "ON", "REVISION"];
        if look.wide {
            columns.push("DIGEST");
        }
        columns.push("MESSAGE");
        let mut table = Table::new(&columns);
        for act in &self.acts {
            let revision = match (act.old_revision, act.new_revision) {
                (Some(old), Some(new)) => format!("{old} -> {new}"),
                _ => "-".to_owned(),
            };
            let mut cells = vec![
                act.number.to_string(),
                local(act.time_unix_ms),
                clean(&act.author).into_owned(),
                act.kind.clone(),
                clean(act.subject.as_deref().unwrap_or(whole(&act.kind))).into_owned(),
                revision,
            ];
            if look.wide {
                cells.push(act.digest.clone());
            }
            let first = act.message.lines().next().unwrap_or_default();
            cells.push(clean(first).into_owned());
            table.row(cells);
        }
        table.text()
    }
}

/// What an act is on that names nothing.
fn whole(kind: &str) -> &'static str {
    match Kind::parse(kind) {
        Some(Kind::Backup | Kind::Restore) => "state",
        _ => "policy",
    }
}

#[derive(Debug, Serialize)]
struct Verified {
    whole: bool,
    acts: u64,
    first: u64,
    /// The digest of the newest record.
    digest: String,
    broken: Option<String>,
}

impl View for Verified {
    fn text(&self, _look: Look) -> String {
        let Self {
            acts,
            first,
            digest,
            broken,
            ..
        } = self;
        match broken {
            None if *acts == 0 => "no act was recorded yet\n".to_owned(),
            None => {
                let whole = match acts {
                    1 => format!("the record of 1 act, number {first}, is as it was written"),
                    _ => format!(
                        "the records of {acts} acts, from number {first} on, are as they were written"
                    ),
                };
                format!("{whole}\nthe newest one has the digest {digest}\n")
            }
            Some(broken) => format!("the records of acts are not as they were written: {broken}\n"),
        }
    }
}

pub(crate) async fn run(
    args: &AuditArgs,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    match &args.command {
        AuditCommand::List(args) => list(args, &client, output).await,
        AuditCommand::Verify => verify(&client, output).await,
    }
}

async fn list(args: &ListArgs, client: &Client, output: Output) -> Result<Exit, Failure> {
    let since = args.since.map_or(0, |since| {
        let span = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        clock::wall().as_millisecond().saturating_sub(span)
    });
    let request = v1::ListActsRequest {
        subject: args.agent.clone().unwrap_or_default(),
        kinds: args
            .kind
            .iter()
            .map(|kind| kind.as_str().to_owned())
            .collect(),
        since_unix_ms: since,
        limit: args.limit,
    };
    let answer = client
        .call(client.audit().list_acts(request))
        .await?
        .into_inner();
    let acts = Acts {
        acts: answer.acts.into_iter().map(ActView::from).collect(),
        more: answer.more,
    };
    if acts.acts.is_empty() && !output.for_programs() {
        Output::words("no such acts\n");
        return Ok(Exit::Ok);
    }
    output.data(&acts)?;
    if acts.more && !output.for_programs() {
        Output::words("there are older ones: see --limit and --since\n");
    }
    Ok(Exit::Ok)
}

async fn verify(client: &Client, output: Output) -> Result<Exit, Failure> {
    let request = v1::VerifyActsRequest {};
    let answer = client
        .call(client.audit().verify_acts(request))
        .await?
        .into_inner();
    let broken = (!answer.broken.is_empty()).then_some(answer.broken);
    let verified = Verified {
        whole: broken.is_none(),
        acts: answer.acts,
        first: answer.first,
        digest: hex(&answer.digest),
        broken,
    };
    output.data(&verified)?;
    Ok(if verified.whole {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    bytes.iter().flat_map(digits).flatten().collect()
}
