//! Prometheus' own opinion of metrics and rules.
//!
//! The program is the machine's, or the one `scripts/test tools` fetches.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What `promtool check metrics` says of a text; nothing if it has no complaint.
///
/// # Panics
/// The program is not there.
pub fn complaints_of_metrics(text: &str) -> Option<String> {
    run(&["check", "metrics"], text)
}

/// What `promtool check rules` says of a file; nothing if it has no complaint.
///
/// # Panics
/// The program is not there.
pub fn complaints_of_rules(file: &Path) -> Option<String> {
    run(&["check", "rules", &file.display().to_string()], "")
}

fn run(arguments: &[&str], input: &str) -> Option<String> {
    let mut child = Command::new(program())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts; scripts/test tools fetches it");
    if let Some(mut stdin) = child.stdin.take() {
        // It may have complained before it read everything.
        drop(stdin.write_all(input.as_bytes()));
    }
    let said = child.wait_with_output().expect("promtool ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (!said.status.success()).then(|| text(&said.stdout) + &text(&said.stderr))
}

fn program() -> PathBuf {
    let fetched = "../target/tools/prometheus/usr/bin/promtool";
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join(fetched);
    if fetched.is_file() {
        fetched
    } else {
        "promtool".into()
    }
}
