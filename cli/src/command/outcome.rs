//! How an attempt to make a revision came out: the end of `apply` and `rollback`.

use std::time::Duration;

use agix_core::policy::document::Diagnostic;
use agix_proto::v1::apply_response::{Applied, Conflict};
use agix_proto::v1::{RevisionInfo, apply_response, rollback_response};
use serde::Serialize;

use super::revision::RevisionView;
use crate::args::WaitArgs;
use crate::client::{CallError, Client};
use crate::document::{Findings, received, tell};
use crate::exit::{Exit, Failure};
use crate::output::{ChangeView, Color, Look, Output, View, change_lines, clean, span};
use crate::rollout::{self, Rollout};

/// A wait that is worth a line in a log.
const LONG_WAIT: Duration = Duration::from_secs(1);

/// Most changes listed for people after a new revision; `diff` and `show` list more.
const SHOWN_CHANGES: usize = 40;

/// What the control plane made of a request for a new revision.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// There is a new revision, or nothing to change.
    Applied(Box<Applied>),
    /// The document is not legal.
    Invalid(Vec<Diagnostic>),
    /// Somebody was faster.
    Conflict(Conflict),
}

impl TryFrom<Option<apply_response::Outcome>> for Outcome {
    type Error = CallError;

    fn try_from(wire: Option<apply_response::Outcome>) -> Result<Self, CallError> {
        use apply_response::Outcome as Wire;
        Ok(match wire {
            Some(Wire::Applied(applied)) => Self::Applied(Box::new(applied)),
            Some(Wire::Invalid(invalid)) => Self::Invalid(received(invalid.diagnostics)?),
            Some(Wire::Conflict(conflict)) => Self::Conflict(conflict),
            None => return Err(CallError::Incomplete { missing: "outcome" }),
        })
    }
}

impl TryFrom<Option<rollback_response::Outcome>> for Outcome {
    type Error = CallError;

    fn try_from(wire: Option<rollback_response::Outcome>) -> Result<Self, CallError> {
        use rollback_response::Outcome as Wire;
        Ok(match wire {
            Some(Wire::Applied(applied)) => Self::Applied(Box::new(applied)),
            Some(Wire::Conflict(conflict)) => Self::Conflict(conflict),
            None => return Err(CallError::Incomplete { missing: "outcome" }),
        })
    }
}

/// A revision that was made, or would have been.
#[derive(Debug, Serialize)]
pub(crate) struct AppliedView {
    outcome: &'static str,
    dry_run: bool,
    previous_revision: u64,
    revision: RevisionView,
    changes: Vec<ChangeView>,
    changes_left_out: u32,
    #[serde(flatten)]
    findings: Findings,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout>,
}

#[derive(Debug, Serialize)]
struct InvalidView {
    outcome: &'static str,
    #[serde(flatten)]
    findings: Findings,
}

#[derive(Debug, Serialize)]
struct ConflictView {
    outcome: &'static str,
    expected_revision: u64,
    current_revision: u64,
    current_author: String,
}

impl AppliedView {
    fn new(
        applied: Applied,
        current: RevisionInfo,
        warnings: &[Diagnostic],
        dry_run: bool,
    ) -> Self {
        Self {
            outcome: if applied.unchanged {
                "unchanged"
            } else {
                "applied"
            },
            dry_run,
            previous_revision: applied.previous_revision,
            revision: RevisionView::from(current),
            changes: applied.changes.into_iter().map(ChangeView::from).collect(),
            changes_left_out: applied.changes_left_out,
            findings: Findings::new(warnings),
            rollout: None,
        }
    }

    /// `policy applied (revision 41 -> 42)`.
    fn line(&self) -> String {
        let (old, new) = (self.previous_revision, self.revision.revision);
        match (self.outcome, self.dry_run, old) {
            ("unchanged", true, _) => format!("policy would be unchanged (revision {new})"),
            ("unchanged", false, _) => format!("policy unchanged (revision {new})"),
            (_, true, 0) => "policy would be applied (dry run, no revision yet)".to_owned(),
            (_, true, _) => format!("policy would be applied (dry run, revision {old} stays)"),
            (_, false, 0) => format!("policy applied (revision {new})"),
            (_, false, _) => format!("policy applied (revision {old} -> {new})"),
        }
    }
}

impl View for AppliedView {
    fn text(&self, look: Look) -> String {
        let shown = self.changes.get(..SHOWN_CHANGES).unwrap_or(&self.changes);
        let rest = self.changes.len().saturating_sub(shown.len());
        let rest = u32::try_from(rest).unwrap_or(u32::MAX);
        let left_out = self.changes_left_out.saturating_add(rest);
        let changes = change_lines(shown, left_out, look);
        let indented = changes.lines().map(|line| format!("  {line}\n"));
        self.line() + "\n" + &indented.collect::<String>()
    }
}

impl View for InvalidView {
    fn text(&self, _look: Look) -> String {
        String::new()
    }
}

impl View for ConflictView {
    fn text(&self, _look: Look) -> String {
        String::new()
    }
}

/// Prints the outcome, waits for the proxies if asked to, and says how the command ends.
pub(crate) async fn conclude(
    outcome: Outcome,
    client: &Client,
    wait: &WaitArgs,
    dry_run: bool,
    output: Output,
) -> Result<Exit, Failure> {
    match outcome {
        Outcome::Applied(applied) => {
            conclude_applied(*applied, client, wait, dry_run, output).await
        }
        Outcome::Invalid(diagnostics) => {
            if !output.for_programs() {
                tell(&diagnostics, output);
                Output::words("nothing was applied\n");
            }
            output.data(&InvalidView {
                outcome: "invalid",
                findings: Findings::new(&diagnostics),
            })?;
            Ok(Exit::Invalid)
        }
        Outcome::Conflict(conflict) => {
            if !output.for_programs() {
                Output::words(&conflict_text(&conflict, output));
            }
            output.data(&ConflictView {
                outcome: "conflict",
                expected_revision: conflict.expected_revision,
                current_revision: conflict.current_revision,
                current_author: conflict.current_author,
            })?;
            Ok(Exit::Conflict)
        }
    }
}

async fn conclude_applied(
    mut applied: Applied,
    client: &Client,
    wait: &WaitArgs,
    dry_run: bool,
    output: Output,
) -> Result<Exit, Failure> {
    let missing = CallError::Incomplete { missing: "current" };
    let current = applied.current.take().ok_or(missing)?;
    let revision = current.revision;
    let warnings = received(std::mem::take(&mut applied.warnings))?;
    let mut view = AppliedView::new(applied, current, &warnings, dry_run);
    let people = !output.for_programs();
    if people {
        tell(&warnings, output);
        output.data(&view)?;
    }
    let mut exit = Exit::Ok;
    if wait.wait && !dry_run {
        let rollout = wait_for(client, revision, wait, output).await?;
        if !rollout.is_complete() {
            exit = Exit::Rollout;
        }
        if people {
            report(&rollout, wait, output)?;
        }
        view.rollout = Some(rollout);
    }
    if !people {
        output.data(&view)?;
    }
    Ok(exit)
}

/// Waits and shows on stderr how far it is: on a terminal in one line, else in a line per step.
async fn wait_for(
    client: &Client,
    revision: u64,
    wait: &WaitArgs,
    output: Output,
) -> Result<Rollout, CallError> {
    let mut shown = String::new();
    let in_place = output.color_err();
    let rollout = rollout::wait(client, revision, wait.timeout, |rollout, waited| {
        let line = rollout.line();
        let news = line != shown && (in_place || waited > LONG_WAIT);
        if news && !rollout.is_complete() && !output.for_programs() {
            let (head, tail) = if in_place {
                ("\r\x1b[K", "")
            } else {
                ("", "\n")
            };
            Output::words(&format!("{head}waiting: {line}{tail}"));
            shown = line;
        }
    })
    .await;
    if in_place && !shown.is_empty() {
        Output::words("\r\x1b[K");
    }
    rollout
}

fn report(rollout: &Rollout, wait: &WaitArgs, output: Output) -> Result<(), Failure> {
    let mut words = String::new();
    if rollout.is_complete() {
        Output::raw(&(rollout.line() + "\n"))?;
    } else {
        let label = output.label("error:", Color::Bad);
        let (line, limit) = (rollout.line(), span(wait.timeout));
        let within = if rollout.timed_out() {
            format!(" after {limit}")
        } else {
            String::new()
        };
        words = format!("{label} only {line}{within}\n");
    }
    words.push_str(&rollout.laggards());
    Output::words(&words);
    Ok(())
}

fn conflict_text(conflict: &Conflict, output: Output) -> String {
    let Conflict {
        expected_revision,
        current_revision,
        current_author,
    } = conflict;
    let label = output.label("error:", Color::Bad);
    let expected = match expected_revision {
        0 => "no policy was expected yet".to_owned(),
        revision => format!("revision {revision} was expected to be current"),
    };
    let current = match current_revision {
        0 => "there is none".to_owned(),
        revision => format!("revision {revision} is, made by {}", clean(current_author)),
    };
    let help = if *expected_revision > 0 && *current_revision > 0 {
        format!(
            "  help: see what changed with `agixctl diff --from {expected_revision} --to \
             {current_revision}`, then apply with --expect-revision {current_revision}\n"
        )
    } else {
        String::new()
    };
    format!("{label} {expected}, but {current}; nothing was applied\n{help}")
}
