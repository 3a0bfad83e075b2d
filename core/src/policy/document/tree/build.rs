//! From parser events to nodes.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use granit_parser::{
    ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, StrInput, Tag,
};

use super::{Entry, Node, Span, Value};
use crate::limits::{POLICY_ALIASED_NODES, POLICY_DEPTH, POLICY_NODES};
use crate::policy::code;
use crate::policy::document::report::{Finding, Quoted, Report};

type Spanned<'t> = (Event<'t>, Span);

/// Reads the documents of one file. Nothing if it had to be given up; the report says why.
pub(in crate::policy::document) fn parse<'t>(
    file: u32,
    text: &'t str,
    report: &mut Report<'_>,
) -> Option<Vec<Node<'t>>> {
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options()),
        file,
        nodes: 0,
        aliased: 0,
        anchors: BTreeMap::new(),
        report,
    };
    match builder.stream() {
        Ok(documents) => Some(documents),
        Err(finding) => {
            report.push(*finding);
            None
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    options.flow_nesting_limit = POLICY_DEPTH;
    options.block_nesting_limit = POLICY_DEPTH;
    options.set_emit_comments(false);
    options
}

struct Builder<'t, 'b, 'r> {
    parser: Parser<'t, StrInput<'t>>,
    file: u32,
    /// Nodes so far.
    nodes: usize,
    /// Nodes that aliases so far stand for.
    aliased: usize,
    anchors: BTreeMap<usize, Anchored<'t>>,
    report: &'b mut Report<'r>,
}

/// What an anchor names.
enum Anchored<'t> {
    /// A node still being read: an alias of it would contain itself.
    Open,
    /// A node, and how many nodes it comes to with its aliases written out.
    Whole(Rc<Node<'t>>, usize),
}

/// What a tag makes of a node.
enum Tagged {
    /// There is none that matters.
    Not,
    /// A text, whatever it looks like.
    Text,
    /// Nothing that is known.
    Unknown,
}

impl<'t> Builder<'t, '_, '_> {
    fn stream(&mut self) -> Result<Vec<Node<'t>>, Box<Finding>> {
        let mut documents = Vec::new();
        while let Some((event, span)) = self.next()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                event => documents.push(self.node((event, span))?),
            }
        }
        Ok(documents)
    }

    fn next(&mut self) -> Result<Option<Spanned<'t>>, Box<Finding>> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let span = Span {
                    file: self.file,
                    start: offset(&span.start),
                    end: offset(&span.end),
                };
                Ok(Some((event, span)))
            }
            Some(Err(error)) => Err(Box::new(self.refused(&error))),
        }
    }

    /// The next event of a collection, which has an end.
    fn next_inside(&mut self) -> Result<Spanned<'t>, Box<Finding>> {
        let end = Span {
            file: self.file,
            start: u32::MAX,
            end: u32::MAX,
        };
        self.next()?.ok_or_else(|| {
            Box::new(Finding::error(
                code::SYNTAX,
                end,
                "the file ends in the middle",
            ))
        })
    }

    fn node(&mut self, (event, span): Spanned<'t>) -> Result<Node<'t>, Box<Finding>> {
        self.count(span)?;
        let before = self.written_out();
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(text, style, tag.as_deref(), span), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(anchor);
                let (items, end) = self.list()?;
                return Ok(self.closed(span, end, Value::List(items), anchor, before));
            }
            Event::MappingStart(_, anchor, tag) => {
                self.tag(tag.as_deref(), span);
                self.open(anchor);
                let (entries, end) = self.map()?;
                return Ok(self.closed(span, end, Value::Map(entries), anchor, before));
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::UnresolvedAlias(name) => {
                let message = format!("no anchor {} stands before this alias", Quoted(&name));
                self.report
                    .push(Finding::error(code::UNUSED_YAML, span, message));
                (Value::Broken, 0)
            }
            _ => (Value::Broken, 0),
        };
        Ok(self.closed(span, span.end, value, anchor, before))
    }

    fn list(&mut self) -> Result<(Vec<Node<'t>>, u32), Box<Finding>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next_inside()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok((items, span.end));
            }
            items.push(self.node((event, span))?);
        }
    }

    fn map(&mut self) -> Result<(Vec<Entry<'t>>, u32), Box<Finding>> {
        let mut entries = Vec::new();
        let mut merges = Vec::new();
        loop {
            let (event, span) = self.next_inside()?;
            if matches!(event, Event::MappingEnd) {
                if !merges.is_empty() {
                    let mut keys = entries
                        .iter()
                        .map(|own: &Entry<'t>| own.key.clone())
                        .collect();
                    for merge in &merges {
                        self.merge(&mut entries, &mut keys, merge)?;
                    }
                }
                return Ok((entries, span.end));
            }
            let key = self.node((event, span))?;
            let next = self.next_inside()?;
            let value = self.node(next)?;
            match key.value() {
                Value::Plain(text) if text == "<<" => merges.push(value),
                Value::Plain(text) | Value::Quoted(text) => entries.push(Entry {
                    key: text.clone(),
                    span: key.span,
                    value,
                }),
                Value::Broken => {}
                Value::List(_) | Value::Map(_) | Value::Shared(_) => {
                    let message = "a key must be a text, not a list or a mapping";
                    self.report
                        .push(Finding::error(code::UNUSED_YAML, key.span, message));
                }
            }
        }
    }

    /// Adds what `<<` names, as far as the mapping does not say otherwise itself.
    fn merge(
        &mut self,
        entries: &mut Vec<Entry<'t>>,
        keys: &mut BTreeSet<Cow<'t, str>>,
        from: &Node<'t>,
    ) -> Result<(), Box<Finding>> {
        match from.value() {
            Value::Map(defaults) => {
                for entry in defaults {
                    self.count_aliased(weight(&entry.value), from.span)?;
                    if keys.insert(entry.key.clone()) {
                        entries.push(entry.clone());
                    }
                }
                Ok(())
            }
            Value::List(several) => several
                .iter()
                .try_for_each(|one| self.merge(entries, keys, one)),
            Value::Broken => Ok(()),
            Value::Plain(_) | Value::Quoted(_) | Value::Shared(_) => {
                let message = "`<<` takes an alias of a mapping, or a list of them";
                self.report
                    .push(Finding::error(code::WRONG_TYPE, from.span, message));
                Ok(())
            }
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node<'t>, Box<Finding>> {
        let value = match self.anchors.get(&anchor) {
            Some(Anchored::Whole(node, weight)) => {
                let (node, weight) = (Rc::clone(node), *weight);
                self.count_aliased(weight, span)?;
                Value::Shared(node)
            }
            Some(Anchored::Open) | None => {
                let message = "this alias stands inside what it names";
                self.report
                    .push(Finding::error(code::UNUSED_YAML, span, message));
                Value::Broken
            }
        };
        Ok(Node { span, value })
    }

    fn open(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored::Open);
        }
    }

    fn closed(
        &mut self,
        span: Span,
        end: u32,
        value: Value<'t>,
        anchor: usize,
        before: usize,
    ) -> Node<'t> {
        let span = Span {
            end: end.max(span.start),
            ..span
        };
        let node = Node { span, value };
        if anchor == 0 {
            return node;
        }
        let weight = self.written_out().saturating_sub(before).max(1);
        let shared = Rc::new(node);
        self.anchors
            .insert(anchor, Anchored::Whole(Rc::clone(&shared), weight));
        Node {
            span,
            value: Value::Shared(shared),
        }
    }

    /// Nodes so far, with aliases written out.
    fn written_out(&self) -> usize {
        self.nodes.saturating_add(self.aliased)
    }

    fn count(&mut self, span: Span) -> Result<(), Box<Finding>> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes <= POLICY_NODES {
            return Ok(());
        }
        let message = format!("the file has more than {POLICY_NODES} values");
        Err(Box::new(Finding::error(code::TOO_LARGE, span, message)))
    }

    fn count_aliased(&mut self, weight: usize, span: Span) -> Result<(), Box<Finding>> {
        self.aliased = self.aliased.saturating_add(weight);
        if self.aliased <= POLICY_ALIASED_NODES {
            return Ok(());
        }
        let message = format!(
            "the aliases of this file stand for more than {POLICY_ALIASED_NODES} values when \
             written out"
        );
        Err(Box::new(Finding::error(code::TOO_LARGE, span, message)))
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Value<'t> {
        match self.tag(tag, span) {
            Tagged::Unknown => Value::Broken,
            Tagged::Not if style == ScalarStyle::Plain => {
                // The parser writes `~` for a value that is not there.
                let is_absent = span.start == span.end;
                Value::Plain(if is_absent { Cow::Borrowed("") } else { text })
            }
            Tagged::Not | Tagged::Text => Value::Quoted(text),
        }
    }

    /// What a node's tag says. Only YAML's own tags are known, and of them only the one for texts
    /// makes a difference.
    fn tag(&mut self, tag: Option<&Tag>, span: Span) -> Tagged {
        let Some(tag) = tag else {
            return Tagged::Not;
        };
        match tag.core_suffix() {
            Some("str") => Tagged::Text,
            Some(_) => Tagged::Not,
            None if tag.original() == "!" => Tagged::Text,
            None => {
                let message = format!("the tag {} has no meaning here", Quoted(&tag.original()));
                self.report
                    .push(Finding::error(code::UNUSED_YAML, span, message));
                Tagged::Unknown
            }
        }
    }

    fn refused(&self, error: &ScanError) -> Finding {
        let start = offset(error.marker());
        let span = Span {
            file: self.file,
            start,
            end: start.saturating_add(1),
        };
        if *error.kind() == ErrorKind::RecursionLimitExceeded {
            let message = format!("the file is nested deeper than {POLICY_DEPTH} levels");
            return Finding::error(code::TOO_LARGE, span, message);
        }
        let finding = Finding::error(code::SYNTAX, span, format!("not YAML: {}", error.info()));
        finding.with_help(advice(error.kind())).in_broken_syntax()
    }
}

/// How many nodes `node` comes to with its aliases written out.
fn weight(node: &Node<'_>) -> usize {
    let inside: usize = match node.value() {
        Value::List(items) => items.iter().map(weight).fold(0, usize::saturating_add),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| weight(&entry.value).saturating_add(1))
            .fold(0, usize::saturating_add),
        Value::Plain(_) | Value::Quoted(_) | Value::Shared(_) | Value::Broken => 0,
    };
    inside.saturating_add(1)
}

fn offset(marker: &Marker) -> u32 {
    marker
        .byte_offset()
        .and_then(|offset| u32::try_from(offset).ok())
        .unwrap_or(u32::MAX)
}

/// What usually helps against a syntax error.
fn advice(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::MappingValueNotAllowed => {
            "a text with `: ` in it must be quoted, and keys of one mapping start in one column"
        }
        ErrorKind::InvalidColonPlacement => "close the bracket or the quote before it",
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey => {
            "each line of a mapping is `key: value`, and all its keys start in one column"
        }
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::UnclosedFlowCollection { .. } => {
            "a comma is missing, or a bracket opened before is not closed"
        }
        ErrorKind::UnexpectedCharacter { character } if "@`%&*!|>{}[]#,".contains(*character) => {
            "a text must be quoted if it starts with one of @ ` % & * ! | > { } [ ] # ,"
        }
        ErrorKind::UnclosedQuotedScalar => "the quote opened here is never closed",
        ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabNotAllowed => "indent with spaces",
        ErrorKind::UnknownQuotedScalarEscape => {
            "write `\\\\` for a backslash, or use single quotes"
        }
        _ => return None,
    })
}
