//! A YAML file as nodes that know where they stand.
//!
//! Rules this module keeps:
//! - A scalar keeps the characters of the file: no number passes through a float.
//! - An alias shares the node it names, so that repeating a node costs no memory; what aliases
//!   would come to if written out is counted and bounded all the same.
//! - What can be skipped (an unknown anchor, a tag) is reported and leaves a [`Value::Broken`];
//!   only broken syntax and passed bounds end a file.

mod build;

use std::borrow::Cow;
use std::rc::Rc;

use crate::units::{Decimal, InvalidDecimal};

pub(super) use build::parse;

/// A piece of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// Which file.
    pub(super) file: u32,
    /// First byte.
    pub(super) start: u32,
    /// First byte behind.
    pub(super) end: u32,
}

/// A node of a file.
#[derive(Debug, Clone)]
pub(super) struct Node<'t> {
    /// Where it stands; for an alias, where the alias stands.
    pub(super) span: Span,
    value: Value<'t>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum Value<'t> {
    /// Text without quotes: a number, a word, nothing at all.
    Plain(Cow<'t, str>),
    /// Text in quotes, or a block of text.
    Quoted(Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// A mapping, in the order of the file, repeated keys included.
    Map(Vec<Entry<'t>>),
    /// A node that has an anchor, or an alias of it.
    Shared(Rc<Node<'t>>),
    /// Something already reported.
    Broken,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'t> {
    /// The key's text.
    pub(super) key: Cow<'t, str>,
    /// Where the key stands.
    pub(super) span: Span,
    /// Its value.
    pub(super) value: Node<'t>,
}

impl<'t> Node<'t> {
    /// The node itself, or the one it is an alias of.
    pub(super) fn defined(&self) -> &Self {
        let mut node = self;
        while let Value::Shared(shared) = &node.value {
            node = shared;
        }
        node
    }

    /// What it is; never [`Value::Shared`].
    pub(super) fn value(&self) -> &Value<'t> {
        &self.defined().value
    }

    /// Whether nothing is written here: an empty value, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(self.value(), Value::Plain(text) if is_null(text))
    }

    /// What stands here, for a sentence. Does not quote it, for it may be a secret.
    pub(super) fn kind(&self) -> &'static str {
        match self.value() {
            Value::Plain(text) if is_null(text) => "nothing",
            Value::Plain(text) if boolean(text).is_some() => "true or false",
            Value::Plain(text) if is_number(text) => "a number",
            Value::Plain(_) | Value::Quoted(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) | Value::Shared(_) | Value::Broken => "a mapping",
        }
    }
}

/// Whether plain `text` is YAML's null.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The truth value of plain `text`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether plain `text` is meant as a number.
pub(super) fn is_number(text: &str) -> bool {
    Decimal::parse(text) != Err(InvalidDecimal::NotANumber)
        || text.starts_with("0x")
        || text.starts_with("0o")
}
