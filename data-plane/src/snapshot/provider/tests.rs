use agix_core::policy::{Policy, Secret};

use super::*;

fn provider(api: Api, base_url: &str, key: Option<&str>) -> Provider {
    Provider {
        api,
        base_url: Some(Reference::parse(base_url).unwrap()),
        api_key: key.map(|key| Secret::new(Reference::parse(key).unwrap())),
        headers: std::collections::BTreeMap::new(),
        simulate: None,
    }
}

fn here() -> ProviderName {
    ProviderName::new("here").unwrap()
}

fn resolve(provider: &Provider) -> Result<ProviderRuntime, Unresolved> {
    ProviderRuntime::resolve(&here(), provider)
}

fn chat_url(api: Api, base_url: &str) -> String {
    url_of(api, base_url, Endpoint::Chat, false)
}

fn url_of(api: Api, base_url: &str, endpoint: Endpoint, stream: bool) -> String {
    let runtime = resolve(&provider(api, base_url, None)).unwrap();
    runtime
        .url(endpoint, "a model", stream)
        .unwrap()
        .to_string()
}

#[test]
fn google_has_an_address_for_each_model() {
    let base = "https://a.example/v1beta/";
    assert_eq!(
        chat_url(Api::Gemini, base),
        "https://a.example/v1beta/models/a%20model:generateContent"
    );
    assert_eq!(
        url_of(Api::Gemini, base, Endpoint::Chat, true),
        "https://a.example/v1beta/models/a%20model:streamGenerateContent?alt=sse"
    );
}

#[test]
fn azure_has_two_ways_to_write_an_address() {
    for base in [
        "https://a.openai.azure.com",
        "https://a.openai.azure.com/openai/v1/",
    ] {
        assert_eq!(
            chat_url(Api::Azure, base),
            "https://a.openai.azure.com/openai/v1/chat/completions"
        );
    }
    let versioned = "https://a.openai.azure.com?api-version=2024-10-21";
    assert_eq!(
        chat_url(Api::Azure, versioned),
        "https://a.openai.azure.com/openai/deployments/a%20model/chat/completions\
         ?api-version=2024-10-21"
    );
    assert_eq!(
        url_of(Api::Azure, versioned, Endpoint::Embeddings, false),
        "https://a.openai.azure.com/openai/deployments/a%20model/embeddings?api-version=2024-10-21"
    );
    for wrong in [
        "https://a.openai.azure.com?key=x",
        "https://a.openai.azure.com?api-version=1&key=x",
    ] {
        assert!(resolve(&provider(Api::Azure, wrong, None)).is_err());
    }
}

#[test]
fn endpoints_follow_the_base_address() {
    let openai = chat_url(Api::OpenAi, "https://api.example.com/v1");
    assert_eq!(openai, "https://api.example.com/v1/chat/completions");
    let slash = chat_url(Api::OpenAi, "http://127.0.0.1:9/v1/");
    assert_eq!(slash, "http://127.0.0.1:9/v1/chat/completions");
    for base in ["https://api.example.com", "https://api.example.com/v1/"] {
        assert_eq!(
            chat_url(Api::Anthropic, base),
            "https://api.example.com/v1/messages"
        );
    }
}

#[test]
fn each_api_gets_its_key_in_its_own_header() {
    let openai = resolve(&provider(Api::OpenAi, "http://a", Some("k"))).unwrap();
    assert_eq!(openai.headers.get("authorization").unwrap(), "Bearer k");
    let anthropic = resolve(&provider(Api::Anthropic, "http://a", Some("k"))).unwrap();
    assert_eq!(anthropic.headers.get("x-api-key").unwrap(), "k");
    assert!(anthropic.headers.get("x-api-key").unwrap().is_sensitive());
    let google = resolve(&provider(Api::Gemini, "http://a", Some("k"))).unwrap();
    assert_eq!(google.headers.get("x-goog-api-key").unwrap(), "k");
    let azure = resolve(&provider(Api::Azure, "http://a", Some("k"))).unwrap();
    assert_eq!(azure.headers.get("api-key").unwrap(), "k");
}

#[test]
fn a_reference_without_a_value_is_named_with_its_field() {
    let missing = provider(Api::OpenAi, "http://a", Some("${AGIX_TEST_UNSET_VARIABLE}"));
    let unresolved = resolve(&missing).unwrap_err();
    assert_eq!(unresolved.field, "api_key");
    assert!(
        unresolved.message.contains("AGIX_TEST_UNSET_VARIABLE"),
        "{}",
        unresolved.message
    );
}

#[test]
fn a_key_that_may_be_absent_marks_its_provider_as_lacking_one() {
    let optional = provider(
        Api::OpenAi,
        "http://a",
        Some("${AGIX_TEST_UNSET_VARIABLE:-}"),
    );
    assert!(resolve(&optional).unwrap().lacks_key);
    assert!(
        !resolve(&provider(Api::OpenAi, "http://a", None))
            .unwrap()
            .lacks_key
    );
}

#[test]
fn an_address_that_is_none_is_refused_and_a_key_is_never_shown() {
    for base in ["ftp://a", "http://a?q=1", "not an address"] {
        assert_eq!(
            resolve(&provider(Api::OpenAi, base, None))
                .unwrap_err()
                .field,
            "base_url"
        );
    }
    let broken = resolve(&provider(Api::OpenAi, "http://a", Some("hunter2\nhunter2"))).unwrap_err();
    assert!(!format!("{broken:?}").contains("hunter2"));
}

#[test]
fn every_built_in_provider_can_be_resolved() {
    for name in Policy::built_in_providers() {
        let built_in = Policy::default().provider(&name).unwrap();
        assert!(
            resolve(&built_in)
                .unwrap()
                .url(Endpoint::Chat, "m", false)
                .is_some(),
            "{name}"
        );
    }
}

#[test]
fn a_script_is_played_in_turn_and_from_the_start_again() {
    let outcomes = vec![SimulatedOutcome::Answer, SimulatedOutcome::Status(503)];
    let script = Script::new(Simulation {
        outcomes,
        ..Simulation::default()
    });
    let played: Vec<_> = (0..3).map(|_turn| script.next()).collect();
    assert_eq!(
        played,
        [
            SimulatedOutcome::Answer,
            SimulatedOutcome::Status(503),
            SimulatedOutcome::Answer
        ]
    );
}
