//! The policy to start on when no file is given.
//!
//! A policy that somebody applied is kept. What dev itself made is brought up to date: a policy for
//! the providers whose keys are in the environment, or else one with simulated models.

use std::path::PathBuf;

use agix_proto::v1::{ApplyStart, Document, SourceFile, StatusRequest};

use crate::client::{CallError, Client};
use crate::command::apply::submit;
use crate::command::outcome::{Outcome, conclude};
use crate::exit::Failure;
use crate::output::Output;

/// The author of policies that dev makes.
const AUTHOR: &str = "agixctl dev";
/// The policy for those who have no key.
const SIMULATED: &str = include_str!("../../../../examples/simulated.yaml");

/// Where the policy in force comes from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A file or a directory that is watched.
    File(PathBuf),
    /// Somebody applied it earlier.
    Store,
    /// Built in, with simulated models.
    Simulated,
    /// Made for the providers whose keys are there. Holds a model to ask.
    Keys {
        /// The providers, by name.
        providers: Vec<&'static str>,
        /// A model to ask.
        model: &'static str,
    },
}

/// A provider for which a policy can be made.
#[derive(Debug, Clone, Copy)]
struct Known {
    name: &'static str,
    key: &'static str,
    large: &'static str,
    small: &'static str,
}

const KNOWN: [Known; 4] = [
    Known {
        name: "openai",
        key: "OPENAI_API_KEY",
        large: "gpt-4o",
        small: "gpt-4o-mini",
    },
    Known {
        name: "anthropic",
        key: "ANTHROPIC_API_KEY",
        large: "claude-opus-4-6",
        small: "claude-haiku-4-5-20251001",
    },
    Known {
        name: "gemini",
        key: "GEMINI_API_KEY",
        large: "gemini-2.5-pro",
        small: "gemini-2.5-flash",
    },
    Known {
        name: "deepseek",
        key: "DEEPSEEK_API_KEY",
        large: "deepseek-v4-pro",
        small: "deepseek-v4-flash",
    },
];

/// Sees to it that there is a policy.
pub(super) async fn settle(client: &Client, output: Output) -> Result<Origin, Failure> {
    let status = client.call(client.fleet().status(StatusRequest {})).await?;
    let current = status.into_inner().current.filter(|info| info.revision > 0);
    if current.is_some_and(|info| info.author != AUTHOR) {
        return Ok(Origin::Store);
    }
    let set = |name: &str| std::env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let known: Vec<Known> = KNOWN.into_iter().filter(|one| set(one.key)).collect();
    let (origin, name, text) = match known.first() {
        None => (Origin::Simulated, "simulated.yaml", SIMULATED.to_owned()),
        Some(first) => {
            let origin = Origin::Keys {
                providers: known.iter().map(|one| one.name).collect(),
                model: first.small,
            };
            (origin, "dev.yaml", policy(&known))
        }
    };
    let outcome = apply(client, name, text).await?;
    if !matches!(&outcome, Outcome::Applied(applied) if applied.unchanged) {
        let wait = super::watch::wait();
        // How it ended is printed; dev runs on in any case.
        let _exit = conclude(outcome, client, &wait, false, output).await?;
    }
    Ok(origin)
}

async fn apply(client: &Client, name: &str, text: String) -> Result<Outcome, CallError> {
    let start = ApplyStart {
        author: AUTHOR.to_owned(),
        message: "built-in policy".to_owned(),
        expected_revision: None,
        dry_run: false,
    };
    let file = SourceFile {
        name: name.to_owned(),
        text,
    };
    submit(client, start, Document { files: vec![file] }).await
}

/// A policy for these providers: each model falls back to the smaller one of its provider, then to
/// its like at the others.
fn policy(known: &[Known]) -> String {
    let names: Vec<_> = known.iter().map(|one| one.name).collect();
    let mut chains = Vec::new();
    for one in known {
        let others = || known.iter().filter(|other| other.name != one.name);
        let large: Vec<_> = std::iter::once(one.small)
            .chain(others().map(|other| other.large))
            .collect();
        let small: Vec<_> = others().map(|other| other.small).collect();
        for (model, targets) in [(one.large, large), (one.small, small)] {
            if !targets.is_empty() {
                chains.push(format!("    {model}: [{}]\n", targets.join(", ")));
            }
        }
    }
    format!(
        "# Made by `agixctl dev` for the providers whose keys are in the environment: {}.\n\
         # Models are routed by their names: gpt-*, claude-*, gemini-*, deepseek-*.\n\
         failover:\n  max_retries: 2\n  chains:\n{}",
        names.join(", "),
        chains.concat(),
    )
}

#[cfg(test)]
mod tests {
    use agix_core::policy::document;

    use super::*;

    fn read(text: String) -> document::Checked {
        let file = document::SourceFile {
            name: "dev.yaml".to_owned(),
            text,
        };
        document::read(&[file], &|_zone| true).unwrap()
    }

    #[test]
    fn the_policy_for_any_set_of_keys_is_legal_and_without_warnings() {
        for set in 1_usize..1 << KNOWN.len() {
            let chosen = KNOWN.iter().enumerate();
            let known: Vec<Known> = chosen
                .filter(|(index, _)| set & (1 << index) != 0)
                .map(|(_, one)| *one)
                .collect();
            let checked = read(policy(&known));
            assert_eq!(checked.warnings, [], "{known:?}");
            assert!(!checked.policy.chains.is_empty());
            for chain in checked.policy.chains.values() {
                for model in &chain.targets {
                    let provider = checked.policy.route(model).unwrap().provider;
                    assert!(known.iter().any(|one| one.name == provider.as_str()));
                }
            }
        }
    }

    #[test]
    fn the_built_in_example_is_legal_and_without_warnings() {
        assert_eq!(read(SIMULATED.to_owned()).warnings, []);
    }
}
