//! How a command ends: its exit code and, if it failed, what is said about it.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use crate::client::CallError;
use crate::files::ReadError;
use crate::output::WriteError;

/// The exit codes of agixctl. Scripts depend on them: they never change their meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; of `diff`: no difference.
    Ok = 0,
    /// Failed; of `diff`: a difference; of `ledger verify`: a finding.
    Failed = 1,
    /// Called the wrong way, or with a file that cannot be read.
    Usage = 2,
    /// The document is not a legal policy.
    Invalid = 3,
    /// Applied, but not by every proxy in time.
    Rollout = 4,
    /// Another revision than the expected one is current.
    Conflict = 5,
    /// The control plane does not answer.
    Unreachable = 6,
    /// The control plane answered with a refusal.
    Refused = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// What to say; nothing if whoever would read it is gone.
    error: Option<Box<dyn Error + Send + Sync>>,
    help: Option<String>,
}

impl Failure {
    /// A failure that ends with `exit`.
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            error: Some(error.into()),
            help: None,
        }
    }

    /// The same failure with what to do about it.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same failure with another exit code in place of [`Exit::Failed`].
    #[must_use]
    pub(crate) fn instead_of_failed(mut self, exit: Exit) -> Self {
        if self.exit == Exit::Failed {
            self.exit = exit;
        }
        self
    }

    /// The code to end with.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// What to print on stderr: the error, its causes and the help, one below the other.
    pub(crate) fn report(&self, label: &str) -> Option<String> {
        let error = self.error.as_deref()?;
        let mut lines = vec![format!("{label} {error}\n")];
        let mut cause = error.source();
        let mut said = error.to_string();
        while let Some(error) = cause {
            let line = error.to_string();
            // Libraries repeat their causes in their own text; once is enough.
            if !said.contains(&line) {
                said.push_str(&line);
                lines.push(format!("  caused by: {line}\n"));
            }
            cause = error.source();
        }
        if let Some(help) = &self.help {
            lines.push(format!("  help: {help}\n"));
        }
        Some(lines.concat())
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            // The reader has what it wanted: `agixctl history | head -1` is no failure.
            return Self {
                exit: Exit::Ok,
                error: None,
                help: None,
            };
        }
        Self::new(Exit::Failed, error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let help = error.help();
        let failure = Self::new(error.exit(), error);
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(error.exit(), error)
    }
}
