//! Every client library against a provider of each protocol: text, tools with their results,
//! pictures, JSON of a schema, errors, streams that break and streams that are left.
//!
//! The cells are in `tests/python/test_matrix.py` and `tests/node/matrix.js`, the libraries behind
//! them in `callers` beside these. Each test prints its part of the table.
#![expect(clippy::print_stdout, reason = "the table is what these tests show")]

use std::process::Command;

use crate::sdk::{file, passes, python};

const POLICY: &str = "
failover:
  drop_unsupported: true
  timeouts: { connect: 1s, first_token: 5s, idle: 5s, total: 30s }
  same_model_retries: 0
agents:
  guarded: { keys: [\"sha256:0db8c7cf7ec0b1952063c2e7995e6e56bf773055fb5e161d3ef94e1f5e16a845\"], models: [gpt-4o] }
";

/// The cells of one library in Python.
async fn in_python(caller: &str) {
    let arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
    let mut command = python(&arguments);
    command
        .arg("test_matrix.py")
        .env("AGIX_TEST_CALLER", caller);
    println!("{}", passes(command, "python", POLICY).await);
}

/// The cells of one library in Node.
async fn in_node(caller: &str) {
    let mut command = Command::new(file("target/node/bin/node"));
    command
        .args(["--test-reporter=dot", "matrix.js"])
        .current_dir(file("tests/node"))
        .env("NODE_PATH", file("target/node/node_modules"))
        .env("AGIX_TEST_CALLER", caller);
    println!("{}", passes(command, "node", POLICY).await);
}

#[tokio::test]
async fn openai_for_python_works_with_every_provider() {
    in_python("openai_chat").await;
}

#[tokio::test]
async fn openais_responses_for_python_work_with_every_provider() {
    in_python("openai_responses").await;
}

#[tokio::test]
async fn langchain_with_openais_responses_works_with_every_provider() {
    in_python("langchain_openai_responses").await;
}

#[tokio::test]
async fn openais_responses_for_node_work_with_every_provider() {
    in_node("openai-responses").await;
}

#[tokio::test]
async fn vercels_library_over_openais_responses_works_with_every_provider() {
    in_node("vercel-openai-responses").await;
}

#[tokio::test]
async fn anthropic_for_python_works_with_every_provider() {
    in_python("anthropic_messages").await;
}

#[tokio::test]
async fn langchain_with_openai_works_with_every_provider() {
    in_python("langchain_openai_chat").await;
}

#[tokio::test]
async fn langchain_with_anthropic_works_with_every_provider() {
    in_python("langchain_anthropic_messages").await;
}

#[tokio::test]
async fn openai_for_node_works_with_every_provider() {
    in_node("openai-chat").await;
}

#[tokio::test]
async fn anthropic_for_node_works_with_every_provider() {
    in_node("anthropic-messages").await;
}

#[tokio::test]
async fn vercels_library_over_openai_works_with_every_provider() {
    in_node("vercel-openai-chat").await;
}

#[tokio::test]
async fn vercels_library_over_anthropic_works_with_every_provider() {
    in_node("vercel-anthropic").await;
}
