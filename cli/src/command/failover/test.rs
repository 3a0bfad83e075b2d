//! `failover test`: a drill. Targets fail for one request only, the drill's own.

use agix_core::id::{AgentName, ModelName};
use serde::{Deserialize, Serialize};

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, Table, View, clean};
use crate::proxy::Proxy;

/// Arguments of `failover test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  agixctl failover test gpt-4o                       as if gpt-4o failed
  agixctl failover test gpt-4o --fail gpt-4o --fail gpt-4o-mini

Targets that are told to fail are not called. Whoever answers is, for a few tokens, which cost what
they cost: the request is counted and limited like any other of the agent. Nobody else's requests are
touched, and what is remembered of failing targets stays as it is.")]
pub(super) struct TestArgs {
    /// The model to ask for
    model: ModelName,

    /// A target that is to fail; may be given several times
    #[arg(
        long,
        help = "A target that is to fail; may be given several times [default: MODEL]",
        value_name = "TARGET"
    )]
    fail: Vec<ModelName>,

    /// The proxy to ask
    #[arg(
        long,
        env = "AGIX_PROXY",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        hide_env_values = true
    )]
    proxy: String,

    /// The agent that asks
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,

    /// The key of the agent
    #[arg(
        long,
        env = "AGIX_AGENT_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    key: Option<String>,
}

/// Why there is no path to show.
#[derive(Debug, thiserror::Error)]
enum DrillError {
    #[error("the proxy answered {status}: {text}")]
    Refused { status: u16, text: String },
}

/// What became of a drill.
#[derive(Debug, Serialize)]
struct Drill {
    model: String,
    answered_by: Option<String>,
    path: Vec<Step>,
}

/// One target of the path.
#[derive(Debug, Serialize, Deserialize)]
struct Step {
    model: String,
    provider: String,
    outcome: String,
    reason: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorPart,
}

#[derive(Deserialize)]
struct ErrorPart {
    message: String,
    agix: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    attempts: Vec<Step>,
}

impl View for Drill {
    fn text(&self, _look: Look) -> String {
        let mut table = Table::new(&["TARGET", "PROVIDER", "OUTCOME", "REASON"]);
        for step in &self.path {
            table.row(vec![
                clean(&step.model).into_owned(),
                clean(&step.provider).into_owned(),
                clean(&step.outcome).into_owned(),
                clean(&step.reason).into_owned(),
            ]);
        }
        table.text()
    }
}

pub(super) async fn run(args: &TestArgs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let drill = args.ask(global).await?;
    output.data(&drill)?;
    if drill.answered_by.is_none() {
        return Ok(Exit::Failed);
    }
    Ok(Exit::Ok)
}

impl TestArgs {
    async fn ask(&self, global: &Global) -> Result<Drill, Failure> {
        let proxy = Proxy::at(&self.proxy);
        let client = proxy.client(global)?;
        let failed = |source| proxy.failed(source);
        let asked = [self.model.clone()];
        let failing = if self.fail.is_empty() {
            &asked[..]
        } else {
            &self.fail
        };
        let failing: Vec<_> = failing.iter().map(ModelName::as_str).collect();
        let body = serde_json::json!({
            "model": self.model.as_str(),
            "messages": [{ "role": "user", "content": "This is a drill. Answer: OK." }],
            "max_completion_tokens": 16,
        });
        let mut request = client
            .post(format!("{}/v1/chat/completions", proxy.address))
            .header("content-type", "application/json")
            .header("x-agix-drill", failing.join(","));
        if let Some(agent) = &self.agent {
            request = request.header("x-agent-name", agent.as_str());
        }
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = request
            .body(body.to_string())
            .send()
            .await
            .map_err(failed)?;
        let status = response.status();
        let header = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let (answered_by, path) = (header("x-agix-model"), header("x-agix-drill"));
        if status.is_success() {
            let path = path.and_then(|path| serde_json::from_str(&path).ok());
            return Ok(Drill {
                model: self.model.to_string(),
                answered_by,
                path: path.unwrap_or_default(),
            });
        }
        let text = response.text().await.map_err(failed)?;
        self.unanswered(status.as_u16(), &text)
    }

    /// A chain that gave no answer has a path, too.
    fn unanswered(&self, status: u16, text: &str) -> Result<Drill, Failure> {
        let body: Option<ErrorBody> = serde_json::from_str(text).ok();
        let refused = |text: &str| {
            let text = clean(text).into_owned();
            Failure::new(Exit::Refused, DrillError::Refused { status, text })
        };
        let Some(ErrorBody { error }) = body else {
            return Err(refused("no error that agix makes"));
        };
        match error.agix {
            Some(details) if !details.attempts.is_empty() => Ok(Drill {
                model: self.model.to_string(),
                answered_by: None,
                path: details.attempts,
            }),
            _ => Err(refused(&error.message)),
        }
    }
}
