//! Makes one call, as its case wants it, and reads the cost from the answer.

use std::time::Duration;

use agix_tests::caller::{Caller, Stream, data};
use agix_tests::mock_provider::{Behaviour, Fault, Outcome, Reply, Script, UsageReport};
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use http::Method;
use serde_json::{Value, json};

use super::prices::{Case, Provider};

/// Bytes of every request: 100 tokens by estimate.
const BYTES: usize = 330;
/// Most output tokens that requests ask for.
const MOST: u64 = 20;
/// 33 bytes in ten pieces: ten tokens either way.
const TEXT: &str = "its its its it it it it it it it ";
/// Pieces of that text.
const PIECES: u32 = 10;
/// The longest a call may take to arrive, or its end to be noticed.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    Chat,
    Messages,
    Responses,
    Completions,
    Embeddings,
}

impl Endpoint {
    pub(super) const ALL: [Self; 5] = [
        Self::Chat,
        Self::Messages,
        Self::Responses,
        Self::Completions,
        Self::Embeddings,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    pub(super) fn streams(self) -> bool {
        self != Self::Embeddings
    }

    /// Whether it is in the protocol of that provider.
    pub(super) fn is_own_of(self, provider: &str) -> bool {
        match self {
            Self::Messages => provider == "anthropic",
            Self::Chat | Self::Responses | Self::Completions | Self::Embeddings => {
                matches!(provider, "openai" | "deepseek")
            }
        }
    }

    /// A request of [`BYTES`] bytes.
    fn request(self, model: &str, stream: bool) -> String {
        let body = |padding: usize| {
            let text = "x".repeat(padding);
            let mut body = match self {
                Self::Embeddings => return json!({ "model": model, "input": text }),
                Self::Chat => json!({ "max_completion_tokens": MOST }),
                Self::Messages | Self::Completions => json!({ "max_tokens": MOST }),
                Self::Responses => json!({ "max_output_tokens": MOST }),
            };
            body["model"] = json!(model);
            let (name, text) = match self {
                Self::Responses => ("input", json!(text)),
                Self::Completions => ("prompt", json!(text)),
                Self::Chat | Self::Messages | Self::Embeddings => {
                    ("messages", json!([{ "role": "user", "content": text }]))
                }
            };
            body[name] = text;
            if stream {
                body["stream"] = json!(true);
            }
            if stream && matches!(self, Self::Chat | Self::Completions) {
                body["stream_options"] = json!({ "include_usage": true });
            }
            body
        };
        let bare = body(0).to_string().len();
        let request = body(BYTES - bare).to_string();
        assert_eq!(request.len(), BYTES, "{request}");
        request
    }
}

/// Calls as `agent`; the cost that the answer says, unless the caller was gone or it says none.
pub(super) async fn make(
    bed: &TestBed,
    agent: &str,
    (endpoint, stream): (Endpoint, bool),
    provider: &Provider,
    case: Case,
) -> Option<u64> {
    let model = provider.model;
    let behaviour = behaviour(case, stream, provider);
    bed.mock.script(model, Script::always(behaviour));
    bed.mock.reply(model, reply(case));
    let asked = match case {
        Case::FailedOver => format!("down-{model}"),
        _ => model.to_owned(),
    };
    let request = endpoint.request(&asked, stream);
    let caller = bed.caller().with("x-agent-name", agent);
    match (case, stream) {
        (Case::Left, false) => {
            let earlier = bed.mock.log().len();
            tokio::select! {
                answer = caller.call(Method::POST, endpoint.path(), request) => {
                    panic!("nobody answers: {answer:?}")
                }
                () = until("the call arrives", PATIENCE, async || {
                    let last = bed.mock.log().split_off(earlier).pop()?;
                    last.behaviour.map(|_met| ())
                }) => {}
            }
            noticed(bed).await;
            None
        }
        (Case::Left, true) => {
            let answer = caller.open(Method::POST, endpoint.path(), request).await;
            listen(answer.unwrap()).await;
            noticed(bed).await;
            None
        }
        (_, true) => {
            let said = streamed(&caller, endpoint, request).await;
            // A provider that reports nothing may leave no usage to say it in.
            assert!(
                said.is_some() || case == Case::Missing,
                "{agent} says no cost"
            );
            said
        }
        (_, false) => {
            let answer = caller.call(Method::POST, endpoint.path(), request).await;
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{agent}: {answer:?}");
            Some(nanos(answer.header("x-cost-usd")))
        }
    }
}

fn behaviour(case: Case, stream: bool, provider: &Provider) -> Behaviour {
    match (case, stream) {
        (Case::Left, false) => Behaviour::SilenceBeforeHeaders,
        (Case::Left, true) => Behaviour::Fault {
            // What comes before the text, in each protocol.
            after_events: PIECES
                + match provider.name {
                    "anthropic" => 3,
                    "gemini" => 0,
                    _ => 1,
                },
            fault: Fault::Silence,
        },
        (Case::Missing, _) => Behaviour::Usage(UsageReport::Missing),
        _ => Behaviour::Ok,
    }
}

fn reply(case: Case) -> Reply {
    Reply {
        text: Some(TEXT.to_owned()),
        usage: Some(case.usage()),
        ..Reply::default()
    }
}

/// Reads until all of the text was said, and leaves.
async fn listen(mut stream: Stream) {
    let mut said = String::new();
    while said.len() < TEXT.len() {
        let event = stream.event().await.unwrap().unwrap();
        let event = data(&event).unwrap_or_default();
        let places = [
            "/choices/0/delta/content",
            "/choices/0/text",
            "/delta/text",
            "/delta",
        ];
        let text = places.iter().find_map(|place| event.pointer(place));
        said.push_str(text.and_then(Value::as_str).unwrap_or_default());
    }
    assert_eq!(said, TEXT);
}

/// Waits until the provider knows that the caller is gone.
async fn noticed(bed: &TestBed) {
    until("the provider notices", PATIENCE, async || {
        let last = bed.mock.log().pop()?;
        matches!(last.outcome, Outcome::CallerLeft { .. }).then_some(())
    })
    .await;
}

/// The cost in the usage of a stream.
async fn streamed(caller: &Caller, endpoint: Endpoint, request: String) -> Option<u64> {
    let answer = caller.open(Method::POST, endpoint.path(), request).await;
    let mut answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = answer.events().await.unwrap();
    let costs = said.events.iter().filter_map(|event| {
        let event = data(event)?;
        let places = ["/usage/cost_usd", "/response/usage/cost_usd"];
        let cost = places.iter().find_map(|place| event.pointer(place))?;
        Some(cost.to_string())
    });
    let costs: Vec<_> = costs.collect();
    assert!(costs.len() <= 1, "it is said once: {said:?}");
    costs.first().map(|cost| nanos(cost))
}

/// Dollars as billionths of one, digit by digit.
fn nanos(dollars: &str) -> u64 {
    let (whole, part) = dollars.split_once('.').unwrap_or((dollars, ""));
    assert!(part.len() <= 9, "{dollars}");
    let whole: u64 = whole.parse().unwrap();
    let part: u64 = format!("{part:0<9}").parse().unwrap();
    whole * 1_000_000_000 + part
}
