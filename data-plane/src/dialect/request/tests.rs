use proptest::prelude::*;

use super::*;
use crate::dialect::splice::splice;

fn read(body: &str) -> Result<ChatRequest, InvalidRequest> {
    ChatRequest::read(Bytes::copy_from_slice(body.as_bytes()))
}

fn refused(body: &str) -> InvalidRequest {
    read(body).expect_err(body)
}

fn asking(body: &str) -> serde_json::Value {
    let request = read(body).unwrap();
    let edit = request.ask_usage();
    serde_json::from_slice(&splice(request.body(), edit.as_slice())).unwrap()
}

#[test]
fn reads_what_routing_needs() {
    let request = read(
        r#" { "messages" : [] , "model" : "gpt-4o" , "stream":true,"n":3,"max_tokens":5,
            "max_completion_tokens":9,"stream_options":{"include_usage":true},"x":{"model":1}} "#,
    )
    .unwrap();
    assert_eq!(request.model().as_str(), "gpt-4o");
    assert_eq!(&request.body()[request.model_span()], br#""gpt-4o""#);
    assert!(request.stream());
    assert!(request.include_usage());
    assert_eq!(request.choices(), 3);
    assert_eq!(request.output_bound(), Some(9));
    assert_eq!(request.max_output_tokens(), Some(9));
}

#[test]
fn what_is_absent_or_null_has_its_default() {
    for body in [
        r#"{"model":"m"}"#,
        r#"{"model":"m","stream":null,"n":null,"max_tokens":null,"stream_options":null}"#,
        r#"{"model":"m","stream":false,"n":1}"#,
    ] {
        let request = read(body).unwrap();
        assert!(!request.stream() && !request.include_usage(), "{body}");
        assert_eq!(request.choices(), 1);
        assert_eq!(request.output_bound(), None);
        assert_eq!(request.ask_usage(), None);
    }
}

#[test]
fn the_larger_bound_counts() {
    let both = read(r#"{"model":"m","max_tokens":900,"max_completion_tokens":9}"#).unwrap();
    assert_eq!(both.output_bound(), Some(900));
    assert_eq!(both.max_output_tokens(), Some(9));
}

#[test]
fn a_member_that_decides_must_be_unmistakable() {
    for (extra, param) in [
        (r#""model":"b""#, "model"),
        (r#""mod\u0065l":"b""#, "model"),
        (r#""Model":"b""#, "model"),
        (r#""ſtream":true,"stream":false"#, "stream"),
        (r#""stream":true,"stream":true"#, "stream"),
        (r#""STREAM_OPTIONS":{}"#, "stream_options"),
        (r#""n":1,"N":5"#, "n"),
        (r#""max_tokens":1,"max_tokens":1000000"#, "max_tokens"),
        (r#""max_to\u212aens":1"#, "max_tokens"),
        (r#""Max_Completion_Tokens":1"#, "max_completion_tokens"),
    ] {
        let error = refused(&format!(r#"{{"model":"a",{extra}}}"#));
        assert_eq!(error.param, Some(param), "{extra}: {error}");
    }
    let twice = r#"{"model":"a","stream":true,"stream_options":{"include_usage":true,"include_usage":false}}"#;
    assert_eq!(refused(twice).param, Some("stream_options"));
    // Other members may stand there as they like.
    read(r#"{"model":"a","Metadata":{},"metadata":{},"User":1,"K":1}"#).unwrap();
}

#[test]
fn what_is_not_a_request_is_refused_with_the_field_and_the_reason() {
    for (body, param, words) in [
        ("", None, "must be a JSON object"),
        ("[]", None, "must be a JSON object"),
        (r#""model""#, None, "must be a JSON object"),
        (r#"{"model":"m""#, None, "not valid JSON"),
        (r#"{"model":"m"} {}"#, None, "not valid JSON"),
        (r#"{"model":"m","x":tru}"#, None, "not valid JSON"),
        (r#"{"model":"m","x":01}"#, None, "not valid JSON"),
        ("{}", Some("model"), "must name a `model`"),
        (r#"{"model":null}"#, Some("model"), "must be a text"),
        (r#"{"model":["m"]}"#, Some("model"), "must be a text"),
        (r#"{"model":""}"#, Some("model"), "must not be empty"),
        (r#"{"model":"a b"}"#, Some("model"), "may contain"),
        (
            r#"{"model":"m","stream":1}"#,
            Some("stream"),
            "true or false",
        ),
        (
            r#"{"model":"m","stream":"true"}"#,
            Some("stream"),
            "true or false",
        ),
        (r#"{"model":"m","n":0}"#, Some("n"), "between 1 and 128"),
        (r#"{"model":"m","n":129}"#, Some("n"), "between 1 and 128"),
        (r#"{"model":"m","n":-1}"#, Some("n"), "whole number"),
        (r#"{"model":"m","n":1.0}"#, Some("n"), "whole number"),
        (
            r#"{"model":"m","max_tokens":1e9}"#,
            Some("max_tokens"),
            "whole number",
        ),
        (
            r#"{"model":"m","max_tokens":99999999999999999999}"#,
            Some("max_tokens"),
            "whole number",
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":"yes"}"#,
            Some("stream_options"),
            "must be an object",
        ),
        (
            r#"{"model":"m","stream":true,"stream_options":{"include_usage":1}}"#,
            Some("stream_options"),
            "true or false",
        ),
    ] {
        let error = refused(body);
        assert_eq!(error.param, param, "{body}");
        assert!(error.message.contains(words), "{body}: {error}");
    }
    let not_text = ChatRequest::read(Bytes::from_static(b"{\"model\":\"\xff\"}"));
    assert!(not_text.unwrap_err().message.contains("UTF-8"));
}

#[test]
fn nesting_is_bounded_and_brackets_in_texts_do_not_count() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"model":"m","x":{open}{close}}}"#)
    };
    read(&nested(REQUEST_DEPTH - 1)).unwrap();
    assert!(
        refused(&nested(REQUEST_DEPTH))
            .message
            .contains("64 levels")
    );
    assert!(refused(&nested(1_000_000)).message.contains("64 levels"));
    let text = r#"[[\"\\"#.repeat(1_000);
    read(&format!(r#"{{"model":"m","x":"{text}"}}"#)).unwrap();
    let flat = "{},".repeat(1_000);
    read(&format!(r#"{{"model":"m","x":[{flat}{{}}]}}"#)).unwrap();
}

#[test]
fn a_stream_always_asks_for_usage_and_keeps_its_other_options() {
    use serde_json::json;
    for (options, expected) in [
        ("", json!({"include_usage": true})),
        (r#""stream_options":null,"#, json!({"include_usage": true})),
        (r#""stream_options": { } ,"#, json!({"include_usage": true})),
        (
            r#""stream_options":{"include_usage":false},"#,
            json!({"include_usage": true}),
        ),
        (
            r#""stream_options":{"include_usage" : null , "a":[1]},"#,
            json!({"include_usage": true, "a": [1]}),
        ),
        (
            r#""stream_options":{ "include_obfuscation":false},"#,
            json!({"include_usage": true, "include_obfuscation": false}),
        ),
        (
            r#""stream_options":{"include_usage":true,"a":1},"#,
            json!({"include_usage": true, "a": 1}),
        ),
    ] {
        let body = format!(r#" {{{options}"model":"m","stream":true}}"#);
        assert_eq!(
            asking(&body),
            json!({"model": "m", "stream": true, "stream_options": expected}),
            "{body}"
        );
    }
}

#[test]
fn an_embeddings_request_needs_only_its_model() {
    let body = Bytes::from_static(br#"{"input":["a"],"model":"text-embedding-3-small"}"#);
    let request = EmbeddingsRequest::read(body).unwrap();
    assert_eq!(request.model().as_str(), "text-embedding-3-small");
    let twice = Bytes::from_static(br#"{"model":"a","model":"b"}"#);
    assert_eq!(
        EmbeddingsRequest::read(twice).unwrap_err().param,
        Some("model")
    );
}

fn any_json(depth: u32) -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(depth, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map("[a-z_]{0,6}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn a_conversation_that_a_provider_would_hold_is_refused() {
    let messages = |thread: &str| {
        let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[],"thread":{thread}}}"#);
        ChatRequest::read_as(Caller::Messages, Bytes::from(body))
    };
    for thread in [
        r#"{"type":"create"}"#,
        r#"{"type":"continue","previous_message_id":"msg_1"}"#,
    ] {
        assert_eq!(messages(thread).unwrap_err().param, Some("thread"));
    }
    assert!(messages("null").is_ok());
}

proptest! {
    /// Asking for usage changes nothing else, whatever else the body holds.
    #[test]
    fn asking_for_usage_changes_nothing_else(
        extra in prop::collection::btree_map("[a-z_]{2,9}", any_json(3), 0..6),
        options in prop::option::of(prop::collection::btree_map("[a-z_]{0,9}", any_json(2), 0..4)),
        pretty in any::<bool>(),
    ) {
        let mut body: serde_json::Map<_, _> = extra.into_iter().collect();
        for member in Guarded::ALL {
            body.remove(member.name());
        }
        body.insert("model".into(), "m".into());
        body.insert("stream".into(), true.into());
        if let Some(options) = options {
            body.insert("stream_options".into(), options.into_iter().collect());
        }
        let text = if pretty {
            serde_json::to_string_pretty(&body)
        } else {
            serde_json::to_string(&body)
        };
        let asked = asking(&text.unwrap());
        let options = body
            .entry("stream_options")
            .or_insert_with(|| serde_json::json!({}))
            .as_object_mut()
            .unwrap();
        options.insert("include_usage".into(), true.into());
        prop_assert_eq!(asked, serde_json::Value::Object(body));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _outcome = ChatRequest::read(Bytes::from(bytes));
    }

    #[test]
    fn a_damaged_request_is_read_or_refused(place in 0_usize..120, byte in any::<u8>()) {
        let mut body = br#"{"model":"gpt-4o","stream":true,"stream_options":{"a":1},"n":2,"max_tokens":7,"x":[{"y":"\u00e9"}]}"#.to_vec();
        let place = place % body.len();
        body[place] = byte;
        if let Ok(request) = ChatRequest::read(Bytes::from(body)) {
            let asked = splice(request.body(), request.ask_usage().as_slice());
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&asked).is_ok());
        }
    }
}
