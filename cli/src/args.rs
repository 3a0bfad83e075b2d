//! The command line. The arguments of a command stand beside what it does, in `command`.

use std::path::PathBuf;
use std::time::Duration;

use agix_core::limits::{AUTHOR_BYTES, MESSAGE_BYTES};
use agix_proto::bearer::{Bearer, InvalidToken};
use agix_proto::tls::{ClientFiles, ClientTls, Credentials, read_certificates};
use clap::{Parser, Subcommand};
use jiff::SignedDuration;

use crate::author::author;
use crate::command::{
    apply, audit, backup, budgets, completion, dev, diff, failover, get, history, ledger, limits,
    rollback, show, token, top, usage, validate, webhook,
};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Manage agix: its policy and the history of it, limits and budgets, and the proxies.
#[derive(Debug, Parser)]
#[command(
    name = "agixctl",
    version,
    max_term_width = 100,
    after_help = "\
First steps:
  agixctl dev                          everything in one process, with simulated models
  agixctl validate -f policy.yaml      what is wrong with a policy; asks no control plane
  agixctl apply -f policy.yaml --wait  make it the policy, wait until every proxy runs it

Exit codes:
  0  done
  1  failed, or `diff` found a difference, or `ledger verify` found the books wrong
  2  wrong usage, or a file that cannot be read
  3  the document is not a legal policy
  4  applied, but not every proxy runs it
  5  another revision than the expected one is current, or `restore` found a store in use
  6  the control plane cannot be reached
  7  the control plane refused"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Address of the control plane; several, separated by commas, are tried in turn
    #[arg(
        long,
        env = "AGIX_ENDPOINT",
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:7070",
        hide_env_values = true
    )]
    pub(crate) endpoint: String,

    /// How results are printed
    #[arg(
        short,
        long,
        env = "AGIX_OUTPUT",
        global = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_env_values = true
    )]
    output: Format,

    /// Time one call to the control plane may take
    #[arg(
        long,
        env = "AGIX_REQUEST_TIMEOUT",
        global = true,
        value_name = "TIME",
        default_value = "30s",
        value_parser = span,
        hide_env_values = true
    )]
    pub(crate) request_timeout: Duration,

    /// File with the token to show to the control plane; or give the token in AGIX_TOKEN
    #[arg(
        long,
        env = "AGIX_TOKEN_FILE",
        global = true,
        value_name = "FILE",
        hide_env_values = true
    )]
    token_file: Option<PathBuf>,

    /// Certificates that vouch for control planes and proxies at https:// addresses, as PEM [default: those that
    /// this machine trusts]
    #[arg(
        long,
        env = "AGIX_CA",
        global = true,
        value_name = "FILE",
        hide_env_values = true
    )]
    ca: Option<PathBuf>,

    /// Our certificate for control planes that ask for one, as PEM
    #[arg(
        long,
        env = "AGIX_CLIENT_CERT",
        global = true,
        value_name = "FILE",
        requires = "client_key",
        hide_env_values = true
    )]
    client_cert: Option<PathBuf>,

    /// The key of that certificate, as PEM
    #[arg(
        long,
        env = "AGIX_CLIENT_KEY",
        global = true,
        value_name = "FILE",
        requires = "client_cert",
        hide_env_values = true
    )]
    client_key: Option<PathBuf>,

    /// Send the token to other machines although nothing encrypts it
    #[arg(long, env = "AGIX_INSECURE", global = true, hide_env_values = true)]
    insecure: bool,

    /// No colours; NO_COLOR=1 in the environment does the same
    #[arg(long, global = true)]
    no_color: bool,
}

impl Global {
    /// What to show to the control plane, and whom to believe.
    pub(crate) fn credentials(&self) -> Result<Credentials, Failure> {
        let files = ClientFiles {
            ca: self.ca.clone(),
            identity: self.client_cert.clone().zip(self.client_key.clone()),
        };
        let tls = ClientTls::read(&files).map_err(|error| Failure::new(Exit::Usage, error))?;
        let bearer = self.bearer()?;
        Ok(Credentials { bearer, tls })
    }

    /// The certificates that vouch for servers, as they are in the file of `--ca`.
    pub(crate) fn authorities(&self) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = self.ca.as_deref().map(read_certificates).transpose();
        bytes.map_err(|error| Failure::new(Exit::Usage, error))
    }

    /// The token to show, if there is one.
    fn bearer(&self) -> Result<Bearer, Failure> {
        let usage = |error: BearerError| {
            Failure::new(Exit::Usage, error).help("give a token with --token-file or AGIX_TOKEN")
        };
        let text = match &self.token_file {
            Some(path) => std::fs::read_to_string(path).map_err(|source| {
                let path = path.clone();
                usage(BearerError::Read { path, source })
            })?,
            None => std::env::var("AGIX_TOKEN").unwrap_or_default(),
        };
        if text.is_empty() {
            return Ok(Bearer::default());
        }
        Bearer::new(&text, self.insecure).map_err(|error| usage(error.into()))
    }

    /// How and where to print.
    pub(crate) fn output(&self) -> Output {
        Output::new(self.output, self.no_color)
    }
}

/// Why there is no token to show.
#[derive(Debug, thiserror::Error)]
enum BearerError {
    #[error("the token cannot be read from {}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    Invalid(#[from] InvalidToken),
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a control plane and a proxy in one process, to try agix or work on a policy
    Dev(dev::DevArgs),
    /// Make a document the policy, whole or not at all
    Apply(apply::ApplyArgs),
    /// Check a document without a control plane
    Validate(validate::ValidateArgs),
    /// Show what a document or another revision would change
    Diff(diff::DiffArgs),
    /// Show the policy or a part of it
    Get(get::GetArgs),
    /// List the revisions of the policy, newest first
    History(history::HistoryArgs),
    /// Show one revision: who made it, when, why, and what it changed
    Show(show::ShowArgs),
    /// Make a new revision with the content of an old one
    Rollback(rollback::RollbackArgs),
    /// Show how agents stand to their request limits
    Limits(limits::LimitsArgs),
    /// Show how agents stand to their budgets, or correct what one has spent
    Budgets(budgets::BudgetsArgs),
    /// Watch the most active agents
    Top(top::TopArgs),
    /// Sum up requests, tokens and cost by agent, model or day
    Usage(usage::UsageArgs),
    /// See what became of webhooks, and do it again
    Webhook(webhook::WebhookArgs),
    /// See how the targets of chains are, and drill a failover
    Failover(failover::FailoverArgs),
    /// See who changed what, and check that record
    Audit(audit::AuditArgs),
    /// Check the ledger of requests and money
    Ledger(ledger::LedgerArgs),
    /// Write the whole state, policy, history, ledger and webhooks, to a file
    Backup(backup::BackupArgs),
    /// Put such a file into an empty store, all or nothing
    Restore(backup::RestoreArgs),
    /// Make tokens for people, programs and proxies
    Token(token::TokenArgs),
    /// List the proxies and the policy each of them runs
    Proxies,
    /// Show whether the control plane works and the proxies follow
    Status,
    /// Show the version of this program
    Version,
    /// Print completions for a shell
    Completion(completion::CompletionArgs),
}

/// The document a command works on.
#[derive(Debug, clap::Args)]
pub(crate) struct DocumentArgs {
    /// The policy: a file, a directory of *.yaml and *.yml files, or - for standard input; may be
    /// given several times
    #[arg(short, long = "file", required = true, value_name = "FILE|DIR|-")]
    pub(crate) file: Vec<PathBuf>,
}

/// What is noted with a new revision.
#[derive(Debug, clap::Args)]
pub(crate) struct NoteArgs {
    /// Why, for the history
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = message)]
    pub(crate) message: String,

    /// Who, for the history
    #[arg(long, help = "Who, for the history [default: $USER@HOST]", value_name = "NAME", value_parser = author_name)]
    author: Option<String>,

    /// Only if this is the current revision; 0: only if there is no policy yet
    #[arg(long, value_name = "REVISION")]
    pub(crate) expect_revision: Option<u64>,
}

impl NoteArgs {
    /// Who makes the revision.
    pub(crate) fn author(&self) -> String {
        self.author.clone().unwrap_or_else(author)
    }
}

/// Whether and how long to wait for the proxies.
#[derive(Debug, clap::Args)]
pub(crate) struct WaitArgs {
    /// Wait until every connected proxy runs the revision; exit 4 if one does not
    #[arg(long)]
    pub(crate) wait: bool,

    /// How long to wait
    #[arg(long, requires = "wait", value_name = "TIME", default_value = "60s", value_parser = span)]
    pub(crate) timeout: Duration,
}

/// Reads a span of time: `60s`, `2m`, `1m30s`, `500ms`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time such as `60s`, `2m` or `500ms`".to_owned();
    let read: SignedDuration = text.parse().map_err(|_unread| wrong())?;
    match Duration::try_from(read) {
        Ok(Duration::ZERO) | Err(_) => Err("it must be more than nothing".to_owned()),
        Ok(span) => Ok(span),
    }
}

/// A text for the history or the log.
pub(crate) fn message(text: &str) -> Result<String, String> {
    bounded(text, MESSAGE_BYTES)
}

/// A name for the history or the log.
pub(crate) fn author_name(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        _ => bounded(text, AUTHOR_BYTES),
    }
}

fn bounded(text: &str, most: usize) -> Result<String, String> {
    if text.len() > most {
        return Err(format!("it has {} bytes, the most are {most}", text.len()));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_time_needs_a_unit_and_a_length() {
        assert_eq!(span("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(span("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(span("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["60", "", "0s", "-5s", "soon"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in [
            ["agixctl", "-o", "json", "status"],
            ["agixctl", "status", "-o", "json"],
        ] {
            let args = Args::try_parse_from(line).unwrap();
            assert_eq!(args.global.output, Format::Json);
        }
    }

    #[test]
    fn a_note_that_the_history_cannot_hold_is_a_usage_error() {
        let long = "x".repeat(MESSAGE_BYTES + 1);
        let error = Args::try_parse_from(["agixctl", "apply", "-f", "-", "-m", &long]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
