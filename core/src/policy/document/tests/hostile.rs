use proptest::prelude::*;

use super::*;
use crate::limits::{POLICY_DOCUMENT_BYTES, POLICY_FILES};

/// Whatever is said must be sayable: places within the text, nothing that steers a terminal.
fn check_diagnostics(text: &str, diagnostics: &[Diagnostic]) -> Result<(), TestCaseError> {
    let lines = text.lines().count().max(1);
    let number = |value: u32| usize::try_from(value).unwrap_or(usize::MAX);
    for one in diagnostics {
        prop_assert!(number(one.line) <= lines, "{one:?}");
        prop_assert!(one.length >= 1, "{one:?}");
        prop_assert!(one.line == 0 || one.column >= 1, "{one:?}");
        prop_assert!(!one.message.contains(char::is_control), "{one:?}");
        prop_assert!(!one.path.contains(char::is_control), "{one:?}");
        let shown = one.source_line.chars().count();
        let last = number(one.column) + number(one.length);
        // One past the end of the line, where something is missing.
        prop_assert!(one.source_line.is_empty() || last <= shown + 2, "{one:?}");
    }
    let rendered = render(diagnostics, false);
    prop_assert!(
        !rendered.contains(|c: char| c.is_control() && c != '\n'),
        "{rendered:?}"
    );
    Ok(())
}

fn outcome(text: &str) -> Vec<Diagnostic> {
    read_text(text).map_or_else(|errors| errors, |checked| checked.warnings)
}

/// Text made of what a policy is made of.
fn near_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("rate_limits"),
        Just("failover"),
        Just("chains"),
        Just("providers"),
        Just("webhooks"),
        Just("definitions"),
        Just("secret"),
        Just("budgets"),
        Just("daily_limit_usd"),
        Just("requests_per_minute"),
        Just("gpt-4o"),
        Just("simulate"),
        Just("outcomes"),
        Just(": "),
        Just(":\n  "),
        Just(":\n    "),
        Just("\n"),
        Just("- "),
        Just(", "),
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("\""),
        Just("'"),
        Just("|\n   "),
        Just("&a "),
        Just("*a"),
        Just("<<"),
        Just("!!str "),
        Just("!x "),
        Just("---\n"),
        Just("# c\n"),
        Just("5"),
        Just("-1.5"),
        Just("~"),
        Just("true"),
        Just("${X}"),
        Just("${"),
        Just("\t"),
        Just("ü"),
        Just("\u{0}"),
        Just("\u{1b}[31m"),
        Just("\u{feff}"),
        Just("\r\n"),
        Just("? "),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        check_diagnostics(&text, &outcome(&text))?;
    }

    #[test]
    fn anything_near_a_policy_is_read_or_refused(text in near_yaml()) {
        check_diagnostics(&text, &outcome(&text))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_changed_byte_is_read_or_refused(place in 0..FULL.len(), byte in any::<u8>()) {
        let mut bytes = FULL.as_bytes().to_vec();
        bytes[place] = byte;
        if let Ok(text) = String::from_utf8(bytes) {
            check_diagnostics(&text, &outcome(&text))?;
        }
    }

    #[test]
    fn a_cut_document_is_read_or_refused(from in 0..FULL.len(), length in 0..200_usize) {
        let end = (from + length).min(FULL.len());
        let text = format!("{}{}", &FULL[..from], &FULL[end..]);
        check_diagnostics(&text, &outcome(&text))?;
    }
}

#[test]
fn aliases_that_multiply_are_refused() {
    use std::fmt::Write;
    let mut text = String::from("a0: &a0 [1, 1]\n");
    for level in 1..60 {
        let below = level - 1;
        writeln!(text, "a{level}: &a{level} [*a{below}, *a{below}]").unwrap();
    }
    let diagnostics = outcome(&text);
    assert!(
        diagnostics.iter().any(|one| one.code == "AGX0002"),
        "{diagnostics:?}"
    );
    let mut text = String::from("a0: &a0 { x: 1 }\n");
    for level in 1..60 {
        let below = level - 1;
        writeln!(
            text,
            "a{level}: &a{level} {{ x: *a{below}, y: *a{below}, <<: *a{below} }}"
        )
        .unwrap();
    }
    assert!(outcome(&text).iter().any(|one| one.code == "AGX0002"));
}

#[test]
fn a_chain_of_aliases_does_not_exhaust_the_stack() {
    use std::fmt::Write;
    let mut text = String::from("a0: &a0 [1]\n");
    for level in 1..100_000 {
        writeln!(text, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    assert!(outcome(&text).iter().any(|one| one.code == "AGX0002"));
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("a: {}", "{a: ".repeat(10_000)),
        (0..10_000).fold(String::new(), |text, depth| {
            text + &" ".repeat(depth) + "a:\n"
        }),
        "- ".repeat(10_000),
        format!("? {}", "? ".repeat(10_000)),
    ] {
        let diagnostics = outcome(&text);
        assert!(
            diagnostics
                .iter()
                .any(|one| matches!(one.code.as_str(), "AGX0001" | "AGX0002")),
            "{}",
            &text[..40]
        );
    }
}

#[test]
fn a_document_has_its_bounds() {
    let large = file("large.yaml", &"#".repeat(POLICY_DOCUMENT_BYTES));
    let small = file("small.yaml", "#");
    assert!(read_files(std::slice::from_ref(&large)).is_ok());
    assert_eq!(
        read_files(&[large, small.clone()]).unwrap_err()[0].code,
        "AGX0002"
    );
    let many = vec![small; POLICY_FILES + 1];
    assert!(read_files(&many[1..]).is_ok());
    assert_eq!(read_files(&many).unwrap_err()[0].code, "AGX0002");
}

/// The time to find a column grows with the line, so no mistake beyond the bound may ask for one.
#[test]
fn a_line_full_of_mistakes_is_read_in_time() {
    let text = format!("rate_limits: {{ {} }}", "a: { x: 1 }, ".repeat(30_000));
    let diagnostics = outcome(&text);
    assert_eq!(diagnostics.len(), crate::limits::POLICY_ERRORS + 1);
}
