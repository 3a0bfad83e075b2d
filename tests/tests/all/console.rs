//! The web console in a real browser, over a running fleet. The tests are in `tests/python`.

use std::path::{Path, PathBuf};
use std::process::Command;

use agix_tests::test_bed::TestBed;

const POLICY: &str = "
models:
  gpt-4o: { provider: openai, price: { input: 2.5, output: 10 } }
  gpt-4o-mini: { provider: openai, price: { input: 0.15, output: 0.6 } }
  claude-opus-4-6: { provider: anthropic, price: { input: 5, output: 25 } }
failover: { same_model_retries: 0, chains: { gpt-4o: [claude-opus-4-6] } }
rate_limits:
  batch: { requests_per_minute: 5, requests_per_hour: 100, max_concurrent: 4 }
budgets:
  code-reviewer: { daily_limit_usd: 10.0, monthly_limit_usd: 200.0, alert_at_percent: 80 }
webhooks:
  enabled: true
  definitions:
    summarize-report:
      secret: webhook-canary-7d1f
      model: gpt-4o-mini
      prompt_template: 'Summarize: {{.Payload}}'
";

fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let parent = manifest.parent().expect("the crate is in the repository");
    parent.to_owned()
}

#[tokio::test]
async fn every_page_works_in_a_browser_and_nothing_is_loaded_from_elsewhere() {
    let python = root().join("target/python/bin/python");
    assert!(
        python.is_file(),
        "{} does not exist: make it with `scripts/test python`",
        python.display()
    );
    let bed = TestBed::with_proxies(POLICY, 2).await;
    let stricter = POLICY.replace("requests_per_minute: 5", "requests_per_minute: 3");
    bed.agixctl.apply(&bed.document(&stricter), &[]).await;
    let mut command = Command::new(python);
    let at = |address: std::net::SocketAddr| format!("http://{address}");
    command
        .args([
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "test_console.py",
        ])
        .current_dir(root().join("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AGIX_TEST_CONSOLE", at(bed.control_plane.console))
        .env("AGIX_TEST_PROXY", at(bed.proxies[0].address))
        .env("AGIX_TEST_SECOND_PROXY", at(bed.proxies[1].address))
        .env("AGIX_TEST_MOCK", at(bed.mock.address()))
        .env("AGIX_TEST_TOOLS", root().join("target/tools"));
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
