use proptest::prelude::*;

use super::*;

/// Documents with a secret where one belongs or where one may have gone by mistake.
const DOCUMENTS: &[&str] = &[
    "providers: { openai: { api_key: SECRET, headers: { X: SECRET }, nonsense: 1 } }",
    "providers: { openai: { api_kye: SECRET } }",
    "providers: { openai: SECRET }",
    "providers: SECRET",
    "providers: [SECRET]",
    "SECRET",
    "- SECRET",
    "api_key: SECRET",
    "providers: { openai: { api_key: [SECRET], headers: [SECRET] } }",
    "providers: { openai: { api_key: { fille: SECRET } } }",
    "providers: { openai: { api_key: { SECRET: SECRET } } }",
    "providers: { openai: { api_key: \"${SECRET\" } }",
    "providers: { openai: { api_key: SECRET, api_key: SECRET } }",
    "providers: { openai: { headers: { X: SECRET, X: SECRET } } }",
    "providers: { openai: { base_url: \"http://me:SECRET@host/\" } }",
    "providers: { openai: { simulate: SECRET } }",
    "providers: { openai: { api_key: SECRET ], models: 1 } }",
    "providers:\n  openai:\n    api_key: @SECRET\n",
    "providers:\n  openai:\n    api_key: SECRET: x\n",
    "webhooks: { definitions: { w: { secret: SECRET, modle: 1 } } }",
    "webhooks: { definitions: { w: { secrt: SECRET, model: 1 } } }",
    "webhooks: { definitions: { w: SECRET } }",
    "webhooks: { secret: SECRET }",
    "webhooks:\n  definitions:\n    w:\n      secret: \"SECRET\n      model: x\n",
    "webhooks:\n  definitions:\n    w:\n      secret: |\n        SECRET\n       SECRET\n",
    "x: &s SECRET\nwebhooks: { definitions: { w: { secret: *s, modle: 1 } } }",
    "agents: { a: { keys: [SECRET] } }",
    "agents: { a: { keys: SECRET } }",
    "budgets: { a: { api_key: SECRET } }",
];

#[test]
fn no_diagnostic_shows_a_secret() {
    for secret in ["hunter2-hunter2", "hünter2", "123456789012345"] {
        for template in DOCUMENTS {
            let text = template.replace("SECRET", secret);
            let diagnostics = read_text(&text).unwrap_err();
            let shown = format!("{diagnostics:?}{}", render(&diagnostics, false));
            // A key's name is shown; only a value is taken for a secret.
            let shown = shown.replace(&format!("{secret}: "), "");
            let shown = shown.replace(&format!("unknown key `{secret}`"), "");
            let shown = shown.replace(&format!("api_key.{secret}"), "");
            assert!(!shown.contains(secret), "{text}\n{shown}");
        }
    }
}

#[test]
fn redacted_files_keep_everything_but_the_secrets() {
    let checked = read_text(FULL).unwrap();
    let redacted = &checked.redacted[0].text;
    for secret in ["literal-", "literal block", "two lines", "literal-token"] {
        assert!(!redacted.contains(secret), "{redacted}");
    }
    for kept in [
        "# Every field of a policy.",
        "   # kept",
        "api_key: { file: /run/secrets/local }",
        "\"${OPENAI_BASE:-https://api.openai.com/v1}\"",
        "keys: [sha256:0f0f",
    ] {
        assert!(redacted.contains(kept), "{kept}\n{redacted}");
    }
}

#[test]
fn a_redacted_document_lacks_only_its_secrets() {
    let checked = read_text(FULL).unwrap();
    let errors = read_files(&checked.redacted).unwrap_err();
    assert_eq!(
        places(&errors, Severity::Error),
        [
            "10:15 AGX0012 providers.local.headers.X-Team",
            "11:22 AGX0012 providers.local.headers.Authorization",
            "84:15 AGX0012 webhooks.definitions.summarize.secret",
            "89:24 AGX0012 webhooks.definitions.summarize.previous_secret",
            "103:9 AGX0012 webhooks.definitions.alert.secret",
        ]
    );
}

#[test]
fn a_default_of_a_reference_is_a_literal_secret() {
    let checked = read_text("providers: { openai: { api_key: \"${KEY:-hunter2}\" } }").unwrap();
    assert!(!checked.redacted[0].text.contains("hunter2"));
    let checked = read_text("providers: { openai: { api_key: \"${KEY:-}\" } }").unwrap();
    assert!(checked.redacted[0].text.contains("${KEY:-}"));
}

/// A secret as a person may write it in YAML.
fn written() -> impl Strategy<Value = String> {
    let line = "[a-zA-Z0-9 ü]{0,8}[a-z]";
    prop_oneof![
        line.prop_map(|text| format!("x{text}")),
        line.prop_map(|text| format!("\"x{text}\"")),
        line.prop_map(|text| format!("'x{text}'")),
        line.prop_map(|text| format!("!!str x{text}")),
        line.prop_map(|text| format!("&anchor x{text}")),
        (line, line).prop_map(|(a, b)| format!("x{a}\n        y{b}")),
        (line, line).prop_map(|(a, b)| format!("|\n        x{a}\n          y{b}")),
        (line, line).prop_map(|(a, b)| format!(">-\n        x{a}\n\n        y{b}\n")),
        line.prop_map(|a| format!("|+ # comment\n\n        x{a}\n\n\n")),
        line.prop_map(|a| format!("|2\n          x{a}")),
    ]
}

proptest! {
    #[test]
    fn redaction_changes_nothing_but_secrets(first in written(), second in written()) {
        let text = format!(
            "webhooks:\n  definitions:\n    a:\n      secret: {first}\n      \
             callback_url: https://h\n    b:\n      secret: {}\n      callback_url: https://i\n",
            second.replace("&anchor", "&other"),
        );
        let checked = read_text(&text).map_err(|errors| {
            TestCaseError::fail(render(&errors, false))
        })?;
        let errors = read_files(&checked.redacted).unwrap_err();
        let errors: Vec<&Diagnostic> = errors
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .collect();
        prop_assert_eq!(errors.len(), 2, "{}", checked.redacted[0].text);
        for error in errors {
            prop_assert_eq!(&error.code, "AGX0012", "{}", checked.redacted[0].text);
        }
    }
}
