//! What templates say, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::id::AgentName;
use crate::limits::{TEMPLATE_ACTIONS, TEMPLATE_DEPTH};
use crate::quota::Day;
use crate::units::AlertPercent;

const ALERT: &str = include_str!("../../../testdata/spec/budget-alerts.yaml");
const WEBHOOKS: &str = include_str!("../../../testdata/spec/webhooks.yaml");
const FEEDBACK: &str = include_str!("../../../testdata/spec/feedback-pipeline.yaml");
const ENTERPRISE: &str = include_str!("../../../testdata/spec/enterprise.yaml");

fn alert() -> BudgetAlert {
    BudgetAlert {
        agent: AgentName::new("code-reviewer").unwrap(),
        period: AlertPeriod::Day(Day::new(2026, 2, 21).unwrap()),
        percent: AlertPercent::new(80).unwrap(),
        limit: NanoUsd::from_nanos(10_000_000_000),
        spent: NanoUsd::from_nanos(8_004_999_999),
    }
}

fn with_values<T>(
    payload: &str,
    headers: &[(&str, &str)],
    then: impl FnOnce(&Values<'_>) -> T,
) -> T {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let alert = alert();
    then(&Values {
        webhook: &WebhookName::new("summarize").unwrap(),
        received: Wall::from_millis(1_771_668_900_000),
        payload,
        headers: &headers,
        alert: Some(&alert),
    })
}

fn template(text: &str) -> Template {
    Template::parse(text, Subject::Alert).unwrap()
}

fn rendered_with(text: &str, payload: &str, headers: &[(&str, &str)]) -> String {
    with_values(payload, headers, |values| {
        template(text).render(values).unwrap()
    })
}

fn rendered(text: &str) -> String {
    rendered_with(text, "<the & \"payload\">", &[("X-Id", "7"), ("x-id", "8")])
}

fn faults(text: &str) -> Vec<String> {
    let faults = Template::parse(text, Subject::Received).unwrap_err();
    let shown = |fault: Fault| format!("{} {}", fault.at, fault.message);
    faults.into_iter().map(shown).collect()
}

/// The templates of a document's webhooks.
fn templates(document: &str) -> Vec<String> {
    let files = crate::policy::document::SourceFile {
        name: "policy.yaml".to_owned(),
        text: document.to_owned(),
    };
    let policy = crate::policy::document::read(&[files], &|_| true)
        .unwrap()
        .policy;
    let templates = policy.webhooks.into_values();
    templates
        .filter_map(|webhook| webhook.prompt_template)
        .collect()
}

#[test]
fn the_templates_of_the_description_render_as_it_shows() {
    let alert = &templates(ALERT)[0];
    assert_eq!(
        rendered(alert),
        "Alert: Agent code-reviewer has reached 80% of daily budget.\n\nCurrent spend: $8.00\n\
         Daily limit: $10.00\nRemaining: $2.00\n\nTime: 2026-02-21T10:15:00Z\n"
    );
    assert_eq!(
        rendered(&templates(ENTERPRISE)[0]),
        "Alert: Agent code-reviewer at 80%\n"
    );
    let [summarize, translate] = &templates(WEBHOOKS)[..] else {
        panic!("two webhooks");
    };
    assert_eq!(
        rendered(summarize),
        "Summarize this report in 3 bullet points:\n\n<the & \"payload\">\n"
    );
    assert_eq!(
        rendered(translate),
        "Translate the following to Spanish:\n\n<the & \"payload\">\n"
    );
    assert!(rendered(&templates(FEEDBACK)[0]).contains("Feedback:\n<the & \"payload\">\n"));
}

#[test]
fn fields_may_be_written_as_in_go_or_as_in_tera() {
    for (text, output) in [
        ("${{.Spent}}", "$8.00"),
        ("{{ .WebhookName }}/{{WebhookName}}", "summarize/summarize"),
        ("{{index .Headers \"X-Id\"}}", "7"),
        ("{{ index .Headers `x-ID` }}", "7"),
        ("{{.Headers.X}}|{{index .Headers \"No\"}}|", "||"),
        ("{{Headers[\"X-Id\"]}}{{ Headers['x-id'] }}", "77"),
        ("{{.Headers}}", "{\"x-id\":\"7\"}"),
        ("a  {{- .Period -}}  b", "a2026-02-21b"),
        ("a {{/* nothing */}}b {# nothing #}c", "a b c"),
        (
            "{% if .Spent == \"8.00\" %}yes{% else %}no{% endif %}",
            "yes",
        ),
        (
            "{% if Headers[\"X-Id\"] == '8' or not .AgentName %}yes{% endif %}",
            "",
        ),
        ("{% if \"pay\" in Payload -%}\n  yes\n{%- endif %}", "yes"),
        (
            "{ \"a\": {\"b\": 1}} % } # }",
            "{ \"a\": {\"b\": 1}} % } # }",
        ),
        ("", ""),
    ] {
        assert_eq!(rendered(text), output, "{text}");
    }
}

#[test]
fn a_value_is_text_whatever_stands_in_it() {
    for payload in [
        "{{.Timestamp}}",
        "{% if %}",
        "{{",
        "<b>&amp;",
        "\u{0}\u{7f}",
        "${X}",
    ] {
        let headers = [("X", payload)];
        let text = "{{.Payload}}{{.Headers.X}}";
        let output = rendered_with(text, payload, &headers);
        assert_eq!(output, [payload, payload].concat());
    }
    let headers = [("x", "\"\\\n\t\u{1}é")];
    let output = rendered_with("{{.Headers}}", "", &headers);
    assert_eq!(output, "{\"x\":\"\\\"\\\\\\n\\t\\u0001é\"}");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, fault) in [
        ("a {{.Paylod}}", "4 there is no field `.Paylod`"),
        ("a {{ Paylod }}", "5 there is no field `.Paylod`"),
        ("{{.Spent}}", "2 `.Spent` is a field of budget alerts only"),
        ("é {{.Payload", "3 what begins with `{{` does not end"),
        ("{{}}", "0 nothing is written here"),
        ("{{.}}", "3 `.` is not a field"),
        (
            "{{.Payload.x}}",
            "10 `.Payload` is a text: it has no fields",
        ),
        (
            "{{index .Payload \"a\"}}",
            "8 `.Payload` is a text: it has no parts",
        ),
        (
            "{{index .Headers \"a b\"}}",
            "22 `a b` is not the name of a header",
        ),
        ("{{if .Payload}}", "2 `if` of Go's templates is not there"),
        ("{{.Payload | upper}}", "11 `|` means nothing in a template"),
        (
            "{{.Payload ~ .Payload}}",
            "11 `~` means nothing in a template",
        ),
        (
            "{{range(end=9)}}",
            "2 `range` of Go's templates is not there",
        ),
        (
            "{% for x in Payload %}",
            "3 `for x in Payload` is not a statement of templates",
        ),
        (
            "{% set a = Payload %}",
            "3 `set a = Payload` is not a statement of templates",
        ),
        (
            "{% include \"/etc/passwd\" %}",
            "3 `include \"/etc/passwd\"` is not a statement of templates",
        ),
        (
            "{% if get_env %}x{% endif %}",
            "6 there is no field `.get_env`",
        ),
    ] {
        assert_eq!(faults(text), [fault], "{text}");
    }
    assert_eq!(faults("{{.A}}\n{{.B}}").len(), 2);
}

#[test]
fn what_does_not_fit_together_is_said_with_its_place() {
    for (text, at) in [
        ("x{{.Payload .Payload}}", "1 "),
        ("{% if .Payload %}", "17 "),
        ("ab\n\u{e9}{% endif %}", "5 "),
    ] {
        let found = faults(text);
        assert!(found[0].starts_with(at), "{text}: {found:?}");
    }
}

#[test]
fn templates_and_prompts_have_bounds() {
    let deep = "{% if .Payload %}".repeat(TEMPLATE_DEPTH + 1);
    assert!(faults(&deep)[0].contains("nested more than"));
    let many = "{{.Payload}}".repeat(TEMPLATE_ACTIONS + 1);
    assert!(faults(&many)[0].contains("fields and conditions"));
    let long = format!("{{{{ {} .Payload }}}}", "not ".repeat(100));
    assert!(faults(&long)[0].contains("words and signs"));
    let payload = "x".repeat(WEBHOOK_RENDERED_BYTES / 2);
    let twice = "{{.Payload}}{{.Payload}}";
    assert_eq!(
        rendered_with(twice, &payload, &[]).len(),
        WEBHOOK_RENDERED_BYTES
    );
    let more = template("{{.Payload}}{{.Payload}}.");
    let more = with_values(&payload, &[], |values| more.render(values));
    assert_eq!(more, Err(NotRendered::TooLong));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_renders(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(&[
                    "{{", "}}", "{%", "%}", "{#", "#}", ".Payload", "Payload", ".Headers", "[\"a\"]",
                    "index", "\"X-Id\"", " ", "-", "if", "endif", "else", "==", "or", "not", "in",
                    "'", "1", "é", "\n", "<", "true",
                ][..]).prop_map(str::to_owned),
                "\\PC{0,4}",
            ],
            0..20,
        ),
    ) {
        let text = pieces.concat();
        match Template::parse(&text, Subject::Received) {
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                for fault in faults {
                    prop_assert!(text.is_char_boundary(fault.at), "{fault:?}");
                }
            }
            Ok(template) => {
                let values = Values {
                    webhook: &WebhookName::new("w").unwrap(),
                    received: Wall::from_millis(0),
                    payload: "p",
                    headers: &[],
                    alert: None,
                };
                prop_assert!(template.render(&values).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn text_without_fields_is_left_as_it_is(text in "[^{]{0,60}") {
        prop_assert_eq!(rendered(&text), text);
    }
}
