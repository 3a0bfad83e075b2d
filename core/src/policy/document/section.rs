//! The sections of a document.

mod agents;
mod failover;
mod limits;
mod observe;
mod providers;
mod simulation;
mod webhooks;

use std::collections::BTreeMap;
use std::str::FromStr;

use super::Reader;
use super::field::{self, Field};
use super::report::{Finding, Quoted};
use super::tree::{Node, Value};
use crate::id::InvalidName;
use crate::policy::{Policy, code};

/// The names of the sections.
const NAMES: [&str; 11] = [
    "providers",
    "models",
    "pricing",
    "failover",
    "rate_limits",
    "budgets",
    "agents",
    "identity",
    "webhooks",
    "audit",
    "tracing",
];

/// The sections of all files of a document.
#[derive(Debug, Default)]
pub(super) struct Sections<'a, 't> {
    /// Each section as often as it was written.
    parts: BTreeMap<&'static str, Vec<Field<'a, 't>>>,
    /// Entries of `rate_limits` that were written outside it.
    stray_limits: Vec<Field<'a, 't>>,
}

impl<'a, 't> Sections<'a, 't> {
    /// Finds the sections in the documents of all files.
    pub(super) fn of(documents: &'a [Node<'t>], reader: &mut Reader<'_>) -> Self {
        let mut sections = Self::default();
        for document in documents {
            match document.value() {
                Value::Map(entries) => {
                    for entry in entries {
                        sections.add(Field::top(entry), reader);
                    }
                }
                Value::Broken => {}
                _ if document.is_null() => {}
                _ => {
                    let message = format!(
                        "a policy is a mapping of sections, this is {}",
                        document.kind()
                    );
                    reader.report.conceal(document);
                    let finding = Finding::error(code::WRONG_TYPE, document.span, message);
                    let help = format!("the sections are {}", NAMES.join(", "));
                    reader.report.push(finding.help(help));
                }
            }
        }
        sections
    }

    fn add(&mut self, field: Field<'a, 't>, reader: &mut Reader<'_>) {
        let name = field.path.name();
        match NAMES.iter().find(|known| **known == name) {
            Some(_) if field.node.is_null() => {}
            Some(known) if field.is_map() => self.parts.entry(known).or_default().push(field),
            Some(_) => {
                field.expected(reader, "a mapping");
                reader.report.conceal(field.node);
            }
            None if limits::are_rate_limits(field.node) => {
                let message = format!("{} holds rate limits but is no section", Quoted(name));
                let help = "it is taken as an entry of `rate_limits`: write it there";
                let finding = Finding::warning(code::STRAY_LIMITS, field.key, message);
                reader.report.push(finding.at(&field.path).help(help));
                self.stray_limits.push(field);
            }
            None => field::unknown_key(&field, reader, &NAMES),
        }
    }

    /// Every part of the section `name`.
    pub(super) fn parts(&self, name: &str) -> &[Field<'a, 't>] {
        self.parts.get(name).map_or(&[], Vec::as_slice)
    }

    /// Entries of `rate_limits` that were written outside it.
    pub(super) fn stray_limits(&self) -> &[Field<'a, 't>] {
        &self.stray_limits
    }

    /// Whether no file says anything.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.stray_limits.is_empty()
    }

    /// What the sections say, as far as it is legal.
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Policy {
        let (failover, chains) = failover::read(self.parts("failover"), reader);
        let (webhook_settings, webhooks) = webhooks::read(self.parts("webhooks"), reader);
        Policy {
            providers: providers::providers(self.parts("providers"), reader),
            models: providers::models(self.parts("models"), reader),
            pricing: providers::pricing(self.parts("pricing"), reader),
            failover,
            chains,
            rate_limits: limits::rate_limits(self.parts("rate_limits"), &self.stray_limits, reader),
            budgets: limits::budgets(self.parts("budgets"), reader),
            agents: agents::agents(self.parts("agents"), reader),
            identity: agents::identity(self.parts("identity"), reader),
            webhook_settings,
            webhooks,
            audit: observe::audit(self.parts("audit"), reader),
            tracing: observe::tracing(self.parts("tracing"), reader),
        }
    }
}

/// Reads each of `fields` as an entry named by its key.
fn named<K, V>(
    fields: &[Field<'_, '_>],
    reader: &mut Reader<'_>,
    read: impl Fn(&Field<'_, '_>, &mut Reader<'_>) -> Option<V>,
) -> BTreeMap<K, V>
where
    K: FromStr<Err = InvalidName> + Ord,
{
    let entry = |field: &Field<'_, '_>| {
        let name = field.key_name(reader);
        let value = read(field, reader);
        Some((name?, value?))
    };
    fields.iter().filter_map(entry).collect()
}

/// What `read` makes of `field`, unless there is an error in it: half an entry would only lead to
/// further errors.
fn sound<V>(
    field: &Field<'_, '_>,
    reader: &mut Reader<'_>,
    read: impl Fn(&Field<'_, '_>, &mut Reader<'_>) -> Option<V>,
) -> Option<V> {
    let before = reader.report.failures();
    read(field, reader).filter(|_| reader.report.failures() == before)
}
