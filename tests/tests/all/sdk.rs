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

const RESPONSES: &str = "
failover:
  drop_unsupported: true
  timeouts: { connect: 1s, first_token: 5s, idle: 5s, total: 30s }
  same_model_retries: 0
  chains:
    gpt-4o: [gpt-4o-mini, claude-opus-4-6]
agents:
  guarded: { keys: [\"sha256:0db8c7cf7ec0b1952063c2e7995e6e56bf773055fb5e161d3ef94e1f5e16a845\"], models: [gpt-4o] }
rate_limits: { patient: { requests_per_minute: 3 } }
budgets: { poor: { daily_limit_usd: 0.001 } }
";

const COMPLETIONS: &str = "
models:
  base-model: { provider: openai }
  chat-model: { provider: openai }
failover:
  drop_unsupported: true
  timeouts: { connect: 1s, first_token: 5s, idle: 5s, total: 30s }
  same_model_retries: 0
  chains:
    base-model: [claude-opus-4-6]
    chat-model: [claude-opus-4-6]
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

/// A file of the repository.
pub(crate) fn file(path: &str) -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().expect("the crate is in the repository");
    root.join(path)
}

/// Python with the libraries, in the directory of their tests.
pub(crate) fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new(file("target/python/bin/python"));
    command
        .args(arguments)
        .current_dir(file("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs the tests that `command` starts against a proxy of their own; what they said.
///
/// `step` of `scripts/test` makes the program.
pub(crate) async fn passes(mut command: Command, step: &str, policy: &str) -> String {
    let program = PathBuf::from(command.get_program());
    assert!(
        program.is_file(),
        "{} does not exist: make it with `scripts/test {step}`",
        program.display()
    );
    let bed = TestBed::start(policy).await;
    command
        .env(
            "AGIX_TEST_PROXY",
            format!("http://{}", bed.proxies[0].address),
        )
        .env("AGIX_TEST_MOCK", format!("http://{}", bed.mock.address()));
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Runs the tests of one file of Python.
async fn file_passes(name: &str, policy: &str) {
    let arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", name];
    passes(python(&arguments), "python", policy).await;
}

#[tokio::test]
async fn the_openai_library_works() {
    file_passes("test_openai.py", POLICY).await;
}

#[tokio::test]
async fn the_openai_library_works_with_responses() {
    file_passes("test_responses.py", RESPONSES).await;
}

#[tokio::test]
async fn the_openai_library_works_with_completions() {
    file_passes("test_completions.py", COMPLETIONS).await;
}

#[tokio::test]
async fn the_openai_library_understands_limits_and_budgets() {
    file_passes("test_limits.py", LIMITS).await;
}

#[tokio::test]
async fn the_anthropic_library_works() {
    file_passes("test_anthropic.py", MESSAGES).await;
}
