//! Where in the files a problem of the policy as a whole stands.

use super::field::Field;
use super::report::{Finding, Report};
use super::section::Sections;
use super::tree::{Entry, Node, Span, Value};
use crate::limits::POLICY_ERRORS;
use crate::policy::{Problem, ResourceKey};

/// Takes down `problems` at their places.
pub(super) fn report_problems(
    problems: &[Problem],
    sections: &Sections<'_, '_>,
    report: &mut Report<'_>,
) {
    for (index, problem) in problems.iter().enumerate() {
        // Beyond the bound they are only counted.
        let span = (index < POLICY_ERRORS)
            .then(|| {
                let whole = span(sections, &problem.resource, &problem.field);
                in_text(sections, problem, report).or(whole)
            })
            .flatten();
        let finding = match span {
            Some(span) => Finding::error(problem.code, span, &*problem.message),
            None => Finding::everywhere(problem.code, &*problem.message),
        };
        report.push(
            finding
                .at(&problem.path())
                .with_help(problem.help.as_deref()),
        );
    }
}

/// Where the line and column of a text stand that the field of a problem ends with: `[3:5]`.
///
/// YAML writes one text in many ways. What stands at that place of it is looked for where it is
/// written; it is there letter by letter, unless it is folded or escaped.
fn in_text(sections: &Sections<'_, '_>, problem: &Problem, report: &Report<'_>) -> Option<Span> {
    let (field, place) = problem.field.strip_suffix(']')?.rsplit_once('[')?;
    let (line, column) = place.split_once(':')?;
    let (line, column) = (line.parse::<usize>().ok()?, column.parse::<usize>().ok()?);
    let node = child(entry(sections, &problem.resource)?.node, field)?
        .value
        .defined();
    let (Value::Plain(text) | Value::Quoted(text)) = node.value() else {
        return None;
    };
    let lines = text.split_inclusive('\n');
    let start: usize = lines.take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(start..)?;
    let (within, _) = rest.char_indices().nth(column.checked_sub(1)?)?;
    let (before, after) = text.split_at_checked(start.checked_add(within)?)?;
    let mark = after.split(['\n', '}', '%']).next()?.trim_end();
    let earlier = before.matches(mark).count();
    let written = report.source(node.span)?;
    let (found, _) = written.match_indices(mark).nth(earlier)?;
    let start = node.span.start.checked_add(u32::try_from(found).ok()?)?;
    Some(Span {
        start,
        end: start.checked_add(u32::try_from(mark.len()).ok()?)?,
        ..node.span
    })
}

/// Where `field` of `resource` stands: its value, or what is nearest to it.
pub(super) fn span(
    sections: &Sections<'_, '_>,
    resource: &ResourceKey,
    field: &str,
) -> Option<Span> {
    let entry = entry(sections, resource);
    match entry {
        Some(Found { key, node }) => Some(within(node, field).unwrap_or(key)),
        None => span_in_section(sections, resource.kind().section(), field),
    }
}

/// Where `field` of a section stands, which may be spread over several files: its value, or else
/// the section's key.
pub(super) fn span_in_section(
    sections: &Sections<'_, '_>,
    section: &str,
    field: &str,
) -> Option<Span> {
    let parts = sections.parts(section);
    let found = parts.iter().find_map(|part| within(part.node, field));
    let stray = match section {
        "rate_limits" => sections.stray_limits(),
        _ => &[],
    };
    found.or_else(|| parts.iter().chain(stray).map(|part| part.key).next())
}

struct Found<'a, 't> {
    key: Span,
    node: &'a Node<'t>,
}

/// The entry of a resource that has a name.
fn entry<'s, 't>(sections: &'s Sections<'_, 't>, resource: &ResourceKey) -> Option<Found<'s, 't>> {
    let name = resource.name();
    if name.is_empty() {
        return None;
    }
    let (section, under) = match resource {
        ResourceKey::Chain(_) => ("failover", Some("chains")),
        ResourceKey::Webhook(_) => ("webhooks", Some("definitions")),
        _ => (resource.kind().section(), None),
    };
    let in_section = sections.parts(section).iter().find_map(|part| {
        let node = match under {
            Some(key) => &child(part.node, key)?.value,
            None => part.node,
        };
        let entry = child(node, name)?;
        Some(Found {
            key: entry.span,
            node: &entry.value,
        })
    });
    in_section.or_else(|| {
        let is_it = |field: &&Field<'_, '_>| field.path.name() == name;
        let stray = sections.stray_limits().iter().find(is_it)?;
        matches!(resource, ResourceKey::RateLimits(_)).then_some(Found {
            key: stray.key,
            node: stray.node,
        })
    })
}

fn child<'n, 't>(node: &'n Node<'t>, key: &str) -> Option<&'n Entry<'t>> {
    match node.value() {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
        _ => None,
    }
}

/// Where `field` of `node` stands; nothing if it is not written there.
fn within(node: &Node<'_>, field: &str) -> Option<Span> {
    if field.is_empty() {
        return None;
    }
    if let Some(rest) = field.strip_prefix('[') {
        let (index, rest) = rest.split_once(']')?;
        let Value::List(items) = node.value() else {
            return None;
        };
        let item = items.get(index.parse::<usize>().ok()?)?;
        return Some(within(item, rest).unwrap_or(item.span));
    }
    let Value::Map(entries) = node.value() else {
        return None;
    };
    // Keys may contain points, so the longest key that fits is the one.
    let step = field.strip_prefix('.').unwrap_or(field);
    let fits = |entry: &&Entry<'_>| {
        step.strip_prefix(&*entry.key)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let entry = entries
        .iter()
        .filter(fits)
        .max_by_key(|entry| entry.key.len())?;
    let rest = step.get(entry.key.len()..).unwrap_or_default();
    let value = entry.value.span;
    let own = if value.start == value.end || matches!(entry.value.value(), Value::Map(_)) {
        entry.span
    } else {
        value
    };
    Some(within(&entry.value, rest).unwrap_or(own))
}
