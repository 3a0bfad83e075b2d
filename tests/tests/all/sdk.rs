//! OpenAI's and Anthropic's own Python libraries against a real proxy. The tests are in `tests/python`.

use std::path::PathBuf;
use std::process::Command;

use agix_tests::test_bed::TestBed;

const POLICY: &str = "
failover:
  drop_unsupported: true
  timeouts: { connect: 1s, first_token: 5s, idle: 5s, total: 30s }
  same_model_retries: 0
  chains:
    gpt-4o: [gpt-4o-mini, claude-opus-4-6]
agents:
  guarded: { keys: [\"sha256:0db8c7cf7ec0b1952063c2e7995e6e56bf773055fb5e161d3ef94e1f5e16a845\"], models: [gpt-4o] }
";

const LIMITS: &str = "
models: { gpt-4o: { provider: openai, price: { input: 1, output: 10 } } }
rate_limits: { patient: { requests_per_minute: 3 } }
budgets: { poor: { daily_limit_usd: 0.001 } }
";

const MESSAGES: &str = "
failover:
  drop_unsupported: true
  timeouts: { connect: 1s, first_token: 5s, idle: 5s, total: 30s }
  same_model_retries: 0
  chains:
    claude-opus-4-6: [gpt-4o]
agents:
  guarded: { keys: [\"sha256:0db8c7cf7ec0b1952063c2e7995e6e56bf773055fb5e161d3ef94e1f5e16a845\"], models: [gpt-4o] }
rate_limits: { patient: { requests_per_minute: 3 } }
budgets: { poor: { daily_limit_usd: 0.001 } }
";

fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest
        .parent()
        .expect("the crate is in the repository")
        .to_owned()
}

/// Runs the tests of one file against a proxy of its own.
async fn passes(file: &str, policy: &str) {
    let python = root().join("target/python/bin/python");
    assert!(
        python.is_file(),
        "{} does not exist: make it with `scripts/test python`",
        python.display()
    );
    let bed = TestBed::start(policy).await;
    let mut command = Command::new(python);
    command
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", file])
        .current_dir(root().join("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(
            "AGIX_TEST_PROXY",
            format!("http://{}", bed.proxies[0].address),
        )
        .env("AGIX_TEST_MOCK", format!("http://{}", bed.mock.address()));
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.unwrap().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn the_openai_library_works() {
    passes("test_openai.py", POLICY).await;
}

#[tokio::test]
async fn the_openai_library_understands_limits_and_budgets() {
    passes("test_limits.py", LIMITS).await;
}

#[tokio::test]
async fn the_anthropic_library_works() {
    passes("test_anthropic.py", MESSAGES).await;
}
