//! `webhook send`: sign a payload and post it to a proxy, as its sender would.
//!
//! The secret never comes from the control plane, which does not show secrets.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use agix_core::id::WebhookName;
use agix_core::limits::WEBHOOK_PAYLOAD_BYTES;
use agix_core::policy::SignatureScheme;
use agix_core::webhook::signature::sign;
use serde::{Deserialize, Serialize};

use crate::args::Global;
use crate::client::Client;
use crate::clock;
use crate::command::get::current_policy;
use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View, clean};
use crate::proxy::Proxy;

/// Arguments of `webhook send`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  AGIX_WEBHOOK_SECRET=webhook_secret agixctl webhook send summarize-report -f payload.json
  agixctl webhook send summarize-report -f - --secret-file /run/secrets/x --wait

The payload is signed by the scheme of the definition. Each sending counts as a delivery of its own
only if the payload differs, or the scheme names its deliveries: a repeated one is answered with the
execution that it has.")]
pub(super) struct SendArgs {
    /// The definition
    name: WebhookName,

    /// The payload: a file, or - for standard input
    #[arg(short, long, value_name = "FILE|-")]
    file: PathBuf,

    /// The proxy to post to
    #[arg(
        long,
        env = "AGIX_PROXY",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        hide_env_values = true
    )]
    proxy: String,

    /// The secret of the definition
    #[arg(
        long,
        env = "AGIX_WEBHOOK_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    secret: Option<String>,

    /// A file with the secret of the definition; the line end after it is left out
    #[arg(long, value_name = "FILE", conflicts_with = "secret")]
    secret_file: Option<PathBuf>,

    /// The type of the payload
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,

    /// Wait for the result, as long as a call may take
    #[arg(long)]
    wait: bool,
}

/// Why nothing was sent, or not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{} cannot be read", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the payload has more than {WEBHOOK_PAYLOAD_BYTES} bytes")]
    TooLarge,
    #[error("there is no secret to sign with")]
    NoSecret,
    #[error("the policy has no webhook `{0}`")]
    Unknown(WebhookName),
    #[error("the proxy answered {status}{}", .text)]
    Refused { status: u16, text: String },
    #[error("the proxy's answer cannot be understood: {0}")]
    Answer(String),
}

/// What the proxy answers.
#[derive(Debug, Deserialize, Serialize)]
struct Sent {
    execution_id: String,
    status: String,
    /// The rest of the answer, with `--wait`.
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl View for Sent {
    fn text(&self, _look: Look) -> String {
        let output = self.rest.get("output").and_then(serde_json::Value::as_str);
        let output = output.map(|output| {
            let lines: Vec<_> = output.lines().map(|line| clean(line) + "\n").collect();
            format!("\n{}", lines.concat())
        });
        let (id, status) = (clean(&self.execution_id), clean(&self.status));
        format!("{id}  {status}\n{}", output.unwrap_or_default())
    }
}

pub(super) async fn run(
    args: &SendArgs,
    client: &Client,
    global: &Global,
    output: Output,
) -> Result<Exit, Failure> {
    let body = payload(&args.file).map_err(|error| Failure::new(Exit::Usage, error))?;
    let secret = secret(args)?;
    let policy = current_policy(client).await?;
    let Some(definition) = policy.webhooks.get(&args.name) else {
        let failure = Failure::new(Exit::Failed, SendError::Unknown(args.name.clone()));
        return Err(failure.help("`agixctl webhook list` shows those it has"));
    };
    let request = Post {
        args,
        scheme: definition.scheme,
        secret: &secret,
        global,
    };
    let sent = request.send(body).await?;
    output.data(&sent)?;
    Ok(Exit::Ok)
}

/// One post.
struct Post<'a> {
    args: &'a SendArgs,
    scheme: SignatureScheme,
    secret: &'a str,
    global: &'a Global,
}

impl Post<'_> {
    async fn send(&self, body: Vec<u8>) -> Result<Sent, Failure> {
        let proxy = Proxy::at(&self.args.proxy);
        let wait = if self.args.wait { "?wait=true" } else { "" };
        let url = format!("{}/v1/webhooks/{}{wait}", proxy.address, self.args.name);
        let client = proxy.client(self.global)?;
        let failed = |source| proxy.failed(source);
        let seconds = clock::wall().as_second();
        let id = format!("agixctl-{:032x}", fastrand::u128(..));
        let mut request = client
            .post(&url)
            .header("content-type", &self.args.content_type);
        for (name, value) in sign(self.scheme, self.secret, &id, seconds, &body) {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.map_err(failed)?;
        let status = response.status();
        let text = response.text().await.map_err(failed)?;
        if !status.is_success() {
            return Err(refused(status.as_u16(), &text));
        }
        serde_json::from_str(&text).map_err(|_unread| {
            let answer = SendError::Answer(clean(&text).into_owned());
            Failure::new(Exit::Failed, answer)
        })
    }
}

fn refused(status: u16, text: &str) -> Failure {
    let message = serde_json::from_str::<serde_json::Value>(text).ok();
    let message = message.and_then(|body| {
        let message = body.get("error")?.get("message")?.as_str()?;
        Some(format!(": {}", clean(message)))
    });
    let text = message.unwrap_or_default();
    let failure = Failure::new(Exit::Refused, SendError::Refused { status, text });
    match status {
        401 => failure.help("the secret is not the definition's"),
        404 => failure.help("the definition, or webhooks as a whole, may be switched off"),
        _ => failure,
    }
}

fn payload(file: &Path) -> Result<Vec<u8>, SendError> {
    let most = u64::try_from(WEBHOOK_PAYLOAD_BYTES).unwrap_or(u64::MAX);
    let mut body = Vec::new();
    let read = |source: &mut dyn io::Read, body: &mut Vec<u8>| {
        source.take(most.saturating_add(1)).read_to_end(body)
    };
    let outcome = if file == Path::new("-") {
        read(&mut io::stdin().lock(), &mut body)
    } else {
        fs::File::open(file).and_then(|mut file| read(&mut file, &mut body))
    };
    outcome.map_err(|source| SendError::Read {
        path: file.to_owned(),
        source,
    })?;
    if body.len() > WEBHOOK_PAYLOAD_BYTES {
        return Err(SendError::TooLarge);
    }
    Ok(body)
}

fn secret(args: &SendArgs) -> Result<String, Failure> {
    let secret = match (&args.secret, &args.secret_file) {
        (Some(secret), _) => Some(secret.clone()),
        (None, Some(path)) => {
            let read = fs::read_to_string(path).map_err(|source| {
                let path = path.clone();
                Failure::new(Exit::Usage, SendError::Read { path, source })
            })?;
            Some(read.trim_end_matches(['\r', '\n']).to_owned())
        }
        (None, None) => None,
    };
    secret.filter(|secret| !secret.is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, SendError::NoSecret)
            .help("set AGIX_WEBHOOK_SECRET, or give --secret-file FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_proxy_is_shown_with_its_message() {
        let failure = refused(503, r#"{"error": {"message": "the queue is full"}}"#);
        let report = failure.report("error:").unwrap();
        assert!(
            report.contains("answered 503: the queue is full"),
            "{report}"
        );
        let bare = refused(401, "").report("error:").unwrap();
        assert!(
            bare.contains("answered 401\n") && bare.contains("secret"),
            "{bare}"
        );
    }
}
