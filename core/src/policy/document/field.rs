//! Typed access to nodes. Each reader gives the value, or reports what is wrong and gives nothing,
//! so that one pass over a document finds every error.

mod scalar;
mod secret;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use super::Reader;
use super::report::{Finding, Quoted};
use super::suggest::nearest;
use super::tree::{self, Node, Span, Value};
use crate::policy::code;

pub(super) use scalar::Whole;

/// A node and its place in the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a, 't> {
    /// The node.
    pub(super) node: &'a Node<'t>,
    /// Its place.
    pub(super) path: Path<'a>,
    /// Where its key stands; the node itself in a list.
    pub(super) key: Span,
}

/// A place in a document, as a chain of steps from the root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl<'a> Path<'a> {
    /// The place of a key of the document itself.
    pub(super) const fn top(key: &'a str) -> Self {
        Self {
            parent: None,
            step: Step::Key(key),
        }
    }

    /// The last key on the way.
    pub(super) fn name(&self) -> &'a str {
        match (self.step, self.parent) {
            (Step::Key(key), _) => key,
            (Step::Index(_), Some(parent)) => parent.name(),
            (Step::Index(_), None) => "",
        }
    }

    /// What a sentence calls the value here: `` `outcomes` ``, or `` `outcomes[3]` ``.
    pub(super) fn label(&self) -> String {
        match self.step {
            Step::Key(key) => Quoted(key).to_string(),
            Step::Index(index) => format!("`{}[{index}]`", self.name()),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            fmt::Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Key(key) if self.parent.is_some() => write!(f, ".{key}"),
            Step::Key(key) => f.write_str(key),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl<'a, 't> Field<'a, 't> {
    /// The value of an entry of the document itself.
    pub(super) fn top(entry: &'a tree::Entry<'t>) -> Self {
        Self {
            node: &entry.value,
            path: Path::top(&entry.key),
            key: entry.span,
        }
    }

    fn of(parent: &'a Path<'a>, entry: &'a tree::Entry<'t>) -> Self {
        Self {
            node: &entry.value,
            path: Path {
                parent: Some(parent),
                step: Step::Key(&entry.key),
            },
            key: entry.span,
        }
    }

    /// Reports an error at the value.
    pub(super) fn error(&self, reader: &mut Reader<'_>, code: &'static str, message: String) {
        let finding = Finding::error(code, self.span(), message);
        reader.report.push(finding.at(&self.path));
    }

    /// As [`Field::error`], with what to do about it.
    pub(super) fn error_with(
        &self,
        reader: &mut Reader<'_>,
        code: &'static str,
        message: String,
        help: impl Into<String>,
    ) {
        let finding = Finding::error(code, self.span(), message).at(&self.path);
        reader.report.push(finding.help(help));
    }

    /// Where the value stands; the key if there is nothing.
    pub(super) fn span(&self) -> Span {
        if self.node.span.start == self.node.span.end {
            self.key
        } else {
            self.node.span
        }
    }

    /// Says that another kind of value belongs here.
    pub(super) fn expected(&self, reader: &mut Reader<'_>, what: &str) {
        self.expected_with(reader, what, None);
    }

    fn expected_with(&self, reader: &mut Reader<'_>, what: &str, help: Option<&str>) {
        if matches!(self.node.value(), Value::Broken) {
            return;
        }
        let message = format!("expected {what}, found {}", self.node.kind());
        let finding = Finding::error(code::WRONG_TYPE, self.span(), message);
        reader.report.push(finding.at(&self.path).with_help(help));
    }

    /// Says that `key` is missing in this mapping, unless it is there with a typing error that was
    /// reported.
    pub(super) fn missing(&self, reader: &mut Reader<'_>, key: &str, help: &str) {
        let entries = match self.node.value() {
            Value::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let is_misspelt = |entry: &tree::Entry<'_>| {
            nearest(&entry.key, [key]).is_some() && reader.report.has(code::UNKNOWN_KEY, entry.span)
        };
        if entries.iter().any(is_misspelt) {
            return;
        }
        let message = format!("`{key}` is missing");
        let finding = Finding::error(code::MISSING, self.key, message).at(&self.path);
        reader.report.push(finding.help(help));
    }

    /// The values of the mapping's `keys`, in their order. Any other key is an error. Nothing is
    /// an empty mapping.
    pub(super) fn record<const N: usize>(
        &'a self,
        reader: &mut Reader<'_>,
        keys: [&'static str; N],
    ) -> Option<[Option<Field<'a, 't>>; N]> {
        if !(self.is_map() || self.node.is_null()) {
            self.expected(reader, "a mapping");
            reader.report.conceal(self.node);
            return None;
        }
        Some(record(std::slice::from_ref(self), reader, keys))
    }

    /// The items of a list.
    pub(super) fn items(&'a self, reader: &mut Reader<'_>) -> Option<Vec<Field<'a, 't>>> {
        let Value::List(items) = self.node.value() else {
            self.expected_with(
                reader,
                "a list",
                Some("put the items in brackets: `[ ... ]`"),
            );
            return None;
        };
        let item = |(index, node): (usize, &'a Node<'t>)| Field {
            node,
            path: Path {
                parent: Some(&self.path),
                step: Step::Index(index),
            },
            key: node.span,
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// Whether it is a mapping.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.value(), Value::Map(_))
    }
}

/// The values of `keys` in mappings that stand for one: those of several files, say. Whatever is
/// no mapping is left to the caller.
pub(super) fn record<'a, 't, const N: usize>(
    parts: &'a [Field<'a, 't>],
    reader: &mut Reader<'_>,
    keys: [&'static str; N],
) -> [Option<Field<'a, 't>>; N] {
    let mut found: [Option<Field<'a, 't>>; N] = [None; N];
    for part in parts {
        for field in fields(part) {
            let known = keys
                .iter()
                .zip(found.iter_mut())
                .find(|(key, _)| **key == field.path.name());
            match known {
                None => unknown_key(&field, reader, &keys),
                Some((_, Some(first))) => duplicate_key(&field, first.key, reader),
                Some((_, slot)) => *slot = Some(field),
            }
        }
    }
    found
}

/// The entries of mappings that stand for one, by name. A name that is there twice is an error.
pub(super) fn entries<'a, 't>(
    parts: &'a [Field<'a, 't>],
    reader: &mut Reader<'_>,
) -> Vec<Field<'a, 't>> {
    let all = all_entries(parts, reader);
    without_duplicates(all, reader)
}

/// As [`entries`], repeated names included.
pub(super) fn all_entries<'a, 't>(
    parts: &'a [Field<'a, 't>],
    reader: &mut Reader<'_>,
) -> Vec<Field<'a, 't>> {
    let mut all = Vec::new();
    for part in parts {
        if part.is_map() {
            all.extend(fields(part));
        } else if !part.node.is_null() {
            part.expected(reader, "a mapping");
            reader.report.conceal(part.node);
        }
    }
    all
}

/// `fields` without those whose name was there before, which are reported.
pub(super) fn without_duplicates<'a, 't>(
    mut fields: Vec<Field<'a, 't>>,
    reader: &mut Reader<'_>,
) -> Vec<Field<'a, 't>> {
    let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
    fields.retain(|field| match seen.entry(field.path.name()) {
        Entry::Occupied(first) => {
            duplicate_key(field, *first.get(), reader);
            false
        }
        Entry::Vacant(place) => {
            place.insert(field.key);
            true
        }
    });
    fields
}

fn fields<'a, 't>(part: &'a Field<'a, 't>) -> impl Iterator<Item = Field<'a, 't>> {
    let entries: &'a [tree::Entry<'t>] = match part.node.value() {
        Value::Map(entries) => entries,
        _ => &[],
    };
    entries.iter().map(|entry| Field::of(&part.path, entry))
}

/// Reports a key that means nothing where it is. Its value may be a misplaced secret.
pub(super) fn unknown_key(field: &Field<'_, '_>, reader: &mut Reader<'_>, keys: &[&str]) {
    reader.report.conceal(field.node);
    let name = field.path.name();
    let message = format!("unknown key {}", Quoted(name));
    let proposal = || match nearest(name, keys.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("keys known here: {}", keys.join(", ")),
    };
    let help = reader.report.has_room_for_errors().then(proposal);
    let finding = Finding::error(code::UNKNOWN_KEY, field.key, message);
    reader.report.push(finding.at(&field.path).with_help(help));
}

fn duplicate_key(field: &Field<'_, '_>, first: Span, reader: &mut Reader<'_>) {
    reader.report.conceal(field.node);
    let message = format!("{} is there twice", Quoted(field.path.name()));
    let position = || format!("it is first set at {}", reader.report.position(first));
    let help = reader.report.has_room_for_errors().then(position);
    let finding = Finding::error(code::DUPLICATE_KEY, field.key, message);
    reader.report.push(finding.at(&field.path).with_help(help));
}
