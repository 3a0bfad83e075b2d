//! What dev says when it is up: where everything is, and a request to paste.

use agix_core::policy::Policy;
use agix_proto::v1::StatusRequest;

use super::default::Origin;
use super::start::Started;
use crate::command::get::current_policy;
use crate::exit::Failure;
use crate::output::Output;

/// Where agixctl looks if it is not told.
const DEFAULT_CONTROL: &str = "127.0.0.1:7070";

/// A model that every policy routes.
const ANY_MODEL: &str = "gpt-4o-mini";

/// Prints it.
pub(super) async fn print(started: &Started, origin: &Origin) -> Result<(), Failure> {
    let client = &started.client;
    let status = client.call(client.fleet().status(StatusRequest {})).await?;
    let revision = status.into_inner().current.map_or(0, |info| info.revision);
    let policy = match revision {
        0 => Policy::default(),
        _ => current_policy(client).await?,
    };
    Output::raw(&text(started, origin, revision, &model(origin, &policy)))?;
    Ok(())
}

fn text(started: &Started, origin: &Origin, revision: u64, model: &str) -> String {
    let control = started.control.to_string();
    let endpoint = if control == DEFAULT_CONTROL {
        String::new()
    } else {
        format!(" --endpoint http://{control}")
    };
    let listen = started.listen;
    let console = started.console.map_or_else(String::new, |console| {
        format!(" console        http://{console}/\n")
    });
    format!(
        "\n\
         agix {version} is up, on this machine only\n\
         \n\
         \x20 agents         http://{listen}/v1\n\
         \x20 control plane  http://{control}  (agixctl{endpoint} status)\n\
         \x20{console}\
         \x20 admin          http://{admin}  (/readyz, /metrics)\n\
         \x20 data           {data}\n\
         \x20 policy         {policy}\n\
         \n\
         {hint}\n\
         \n\
         \x20 curl -i http://{listen}/v1/chat/completions \\\n\
         \x20   -H 'content-type: application/json' -H 'x-agent-name: demo' \\\n\
         \x20   -d '{{\"model\": \"{model}\", \"messages\": [{{\"role\": \"user\", \"content\": \"Hello\"}}]}}'\n\
         \n\
         From Python, with the OpenAI SDK:\n\
         \n\
         \x20 client = OpenAI(base_url=\"http://{listen}/v1\", api_key=\"unused\")\n\
         \n\
         Ctrl-C stops it. Finished requests:\n",
        version = env!("CARGO_PKG_VERSION"),
        admin = started.admin,
        data = started.data_dir.display(),
        policy = policy(origin, revision),
        hint = hint(origin),
    )
}

fn policy(origin: &Origin, revision: u64) -> String {
    let from = match origin {
        Origin::File(path) => format!("{}, applied whenever it is saved", path.display()),
        Origin::Store => "applied earlier and kept".to_owned(),
        Origin::Simulated => "built in, with simulated models (no provider key is set)".to_owned(),
        Origin::Keys { providers, .. } => format!("built in, for {}", providers.join(", ")),
    };
    match revision {
        0 => format!("none yet; {from}"),
        revision => format!("revision {revision}: {from}"),
    }
}

const fn hint(origin: &Origin) -> &'static str {
    match origin {
        Origin::Simulated => {
            "Send this twice. gpt-4o fails on every second call, and claude-opus-4-6 takes over:\n\
             look at the headers x-agix-model and x-agix-attempts."
        }
        Origin::File(_) | Origin::Store | Origin::Keys { .. } => "A request to paste:",
    }
}

/// A model to ask: one with a chain, else one with an entry.
fn model(origin: &Origin, policy: &Policy) -> String {
    let named = policy.chains.keys().chain(policy.models.keys()).next();
    match origin {
        Origin::Keys { model, .. } => (*model).to_owned(),
        Origin::File(_) | Origin::Store | Origin::Simulated => {
            named.map_or_else(|| ANY_MODEL.to_owned(), ToString::to_string)
        }
    }
}
