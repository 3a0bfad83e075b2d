use super::*;

fn diagnostic() -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        code: "AGX0003".to_owned(),
        file: "policy.yaml".to_owned(),
        line: 12,
        column: 15,
        length: 5,
        path: "webhooks.w.modle".to_owned(),
        message: "unknown key `modle`".to_owned(),
        help: Some("did you mean `model`?".to_owned()),
        source_line: "  w: { a: \"ü\", modle: 5 }".to_owned(),
    }
}

#[test]
fn the_marks_stand_under_their_characters() {
    let diagnostic = Diagnostic {
        column: 16,
        ..diagnostic()
    };
    let expected = "\
error[AGX0003]: unknown key `modle`
  --> policy.yaml:12:16
   |
12 |   w: { a: \"ü\", modle: 5 }
   |                ^^^^^ webhooks.w.modle
   |
   = help: did you mean `model`?

1 error
";
    assert_eq!(render(&[diagnostic], false), expected);
}

#[test]
fn a_warning_without_a_place_has_no_picture() {
    let diagnostic = Diagnostic {
        severity: Severity::Warning,
        line: 0,
        column: 0,
        source_line: String::new(),
        help: None,
        ..diagnostic()
    };
    let expected = "warning[AGX0003]: unknown key `modle`\n\n1 warning\n";
    assert_eq!(render(&[diagnostic], false), expected);
}

#[test]
fn a_line_too_long_to_show_is_named() {
    let diagnostic = Diagnostic {
        column: 50_000,
        source_line: String::new(),
        help: None,
        ..diagnostic()
    };
    let expected = "error[AGX0003]: unknown key `modle`\n--> policy.yaml:12:50000\n\n1 error\n";
    assert_eq!(render(&[diagnostic], false), expected);
}

#[test]
fn a_mark_may_stand_behind_the_line() {
    let diagnostic = Diagnostic {
        column: 4,
        length: 9,
        source_line: "a: ".to_owned(),
        path: String::new(),
        help: None,
        ..diagnostic()
    };
    let text = render(&[diagnostic], false);
    assert!(text.contains("12 | a: \n   |    ^\n"), "{text}");
}

#[test]
fn only_colour_brings_escapes() {
    assert!(render(&[diagnostic()], true).contains("\u{1b}[1m"));
    assert!(!render(&[diagnostic()], false).contains('\u{1b}'));
}

#[test]
fn the_summary_counts_in_words() {
    let warning = Diagnostic {
        severity: Severity::Warning,
        ..diagnostic()
    };
    assert_eq!(summary(&[]), "no errors");
    assert_eq!(summary(&[diagnostic()]), "1 error");
    assert_eq!(summary(std::slice::from_ref(&warning)), "1 warning");
    let several = [diagnostic(), warning.clone(), diagnostic(), warning];
    assert_eq!(summary(&several), "2 errors, 2 warnings");
}
