//! `get`: the policy or a part of it.
//!
//! As a table each part has its own columns. As JSON or YAML every part has the form of a document,
//! so that what is printed can be kept, compared and, its secrets put back, applied.

mod shape;
mod table;

use agix_core::policy::{Policy, Resource};
use agix_proto::v1::get_response::Part as Wire;
use agix_proto::v1::{GetRequest, GetResponse, SourceFile};
use clap::ValueEnum;
use serde::Serialize;
use tonic::{Status, Streaming};

use super::connect;
use crate::args::Global;
use crate::client::{CallError, Client};
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View};

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl get                          the policy as it was written
  agixctl get -o yaml                  the policy as it is understood, defaults included
  agixctl get limits batch -o json     the limits of one agent
  agixctl get chains --revision 41     the chains of an old revision

Secrets are shown as fingerprints.")]
pub(crate) struct GetArgs {
    /// The part
    #[arg(value_enum, default_value = "policy")]
    part: Part,

    /// Only the entries of these names
    name: Vec<String>,

    /// The revision
    #[arg(
        long,
        help = "The revision [default: the current one]",
        value_name = "REVISION"
    )]
    revision: Option<u64>,
}

/// A part of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// All of it
    Policy,
    /// Where requests go
    Providers,
    /// Model names and how they are served
    Models,
    /// Fallbacks of each model
    Chains,
    /// Agents with keys or model lists
    Agents,
    /// Rate limits by agent
    Limits,
    /// Budgets by agent
    Budgets,
    /// Webhook definitions
    Webhooks,
    /// Everything that is not an entry of a list
    Settings,
}

impl Part {
    /// Whether the resource belongs to the part.
    const fn holds(self, resource: &Resource) -> bool {
        match resource {
            Resource::Provider(..) => matches!(self, Self::Policy | Self::Providers),
            Resource::Model(..) => matches!(self, Self::Policy | Self::Models),
            Resource::Chain(..) => matches!(self, Self::Policy | Self::Chains),
            Resource::Agent(..) => matches!(self, Self::Policy | Self::Agents),
            Resource::RateLimits(..) => matches!(self, Self::Policy | Self::Limits),
            Resource::Budget(..) => matches!(self, Self::Policy | Self::Budgets),
            Resource::Webhook(..) => matches!(self, Self::Policy | Self::Webhooks),
            Resource::Pricing(_)
            | Resource::Failover(_)
            | Resource::Identity(_)
            | Resource::WebhookSettings(_)
            | Resource::Audit(_)
            | Resource::Tracing(_) => matches!(self, Self::Policy | Self::Settings),
        }
    }

    /// Whether the single settings belong to the part.
    const fn has_settings(self) -> bool {
        matches!(self, Self::Policy | Self::Settings)
    }
}

/// A policy as the control plane shows it.
#[derive(Debug)]
struct Fetched {
    files: Vec<SourceFile>,
    resources: Vec<Resource>,
}

/// The part that was asked for.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    document: shape::Document,
    #[serde(skip)]
    text: String,
}

impl View for Shown {
    fn text(&self, _look: Look) -> String {
        self.text.clone()
    }
}

/// None of the names exists.
#[derive(Debug, thiserror::Error)]
#[error("no entry has the name {0}")]
struct NoEntry(String);

pub(crate) async fn run(args: &GetArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let client = connect(global).await?;
    let fetched = fetch(&client, args.revision).await?;
    let mut policy = Policy::default();
    let mut missing: Vec<&str> = args.name.iter().map(String::as_str).collect();
    for resource in fetched.resources {
        let key = resource.key();
        let named = args.name.is_empty() || args.name.iter().any(|name| name == key.name());
        if args.part.holds(&resource) && named {
            missing.retain(|name| *name != key.name());
            policy.put(resource);
        }
    }
    if let Some(name) = missing.first() {
        let failure = Failure::new(Exit::Failed, NoEntry((*name).to_owned()));
        return Err(failure.help("`agixctl get PART` without a name lists them all"));
    }
    let document = shape::Document::new(&policy, args.part.has_settings());
    let text = match args.part {
        Part::Policy if args.name.is_empty() => source(&fetched.files),
        part => table::of(part, &policy, &document),
    };
    let empty = text.is_empty();
    output.data(&Shown { document, text })?;
    if empty && !output.for_programs() {
        Output::words("the policy has no such entry\n");
    }
    Ok(Exit::Ok)
}

/// The files of a policy one after the other, each under its name if there are several.
fn source(files: &[SourceFile]) -> String {
    let shown = files.iter().map(|file| {
        let head = match files.len() {
            0 | 1 => String::new(),
            _ => format!("# --- {} ---\n", file.name),
        };
        let cut = !file.text.is_empty() && !file.text.ends_with('\n');
        let end = if cut { "\n" } else { "" };
        format!("{head}{}{end}", file.text)
    });
    shown.collect()
}

/// The policy in force.
pub(crate) async fn current_policy(client: &Client) -> Result<Policy, CallError> {
    let mut policy = Policy::default();
    for resource in fetch(client, None).await?.resources {
        policy.put(resource);
    }
    Ok(policy)
}

async fn fetch(client: &Client, revision: Option<u64>) -> Result<Fetched, CallError> {
    let mut policy = client.policy();
    let stream = async {
        let answer = policy.get(GetRequest { revision }).await?;
        collect(answer.into_inner()).await
    };
    let (files, wire) = client.call(stream).await?;
    let resources = wire.into_iter().map(Resource::try_from);
    Ok(Fetched {
        files,
        resources: resources
            .collect::<Result<_, _>>()
            .map_err(CallError::Nonsense)?,
    })
}

type Parts = (Vec<SourceFile>, Vec<agix_proto::v1::Resource>);

/// Reads the stream to its end. Parts of a file that come one after the other are joined.
async fn collect(mut stream: Streaming<GetResponse>) -> Result<Parts, Status> {
    let mut files: Vec<SourceFile> = Vec::new();
    let mut resources = Vec::new();
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(Wire::File(part)) => match files.last_mut() {
                Some(last) if last.name == part.name => last.text.push_str(&part.text),
                _ => files.push(part),
            },
            Some(Wire::Resource(resource)) => resources.push(resource),
            Some(Wire::Info(_)) | None => {}
        }
    }
    Ok((files, resources))
}
