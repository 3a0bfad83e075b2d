use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::dialect::{
    AnswerIds, ChatRequest, Dialect, StreamDecoder, StreamFault, StreamItem, StreamItemKind,
};

/// A decoder for a caller that asked for usage or did not.
fn decoder(asked: bool) -> StreamDecoder {
    let body =
        format!(r#"{{"model":"m","stream":true,"stream_options":{{"include_usage":{asked}}}}}"#);
    let ids = AnswerIds {
        id: "unused".to_owned(),
        created: 0,
    };
    StreamDecoder::new(
        Dialect::OpenAi,
        &ChatRequest::read(body.into()).unwrap(),
        ids,
    )
}

fn push(decoder: &mut StreamDecoder, chunk: &'static str) -> Result<Vec<StreamItem>, StreamFault> {
    let mut items = Vec::new();
    decoder.push(Bytes::from_static(chunk.as_bytes()), &mut items)?;
    Ok(items)
}

const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const HELLO: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n";

#[test]
fn what_does_not_change_is_not_copied() {
    let chunk = Bytes::from([ROLE, ": note\n\n", HELLO].concat());
    for asked in [true, false] {
        let mut items = Vec::new();
        decoder(asked).push(chunk.clone(), &mut items).unwrap();
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].bytes, chunk);
        assert_eq!(items[0].bytes.as_ptr(), chunk.as_ptr());
    }
}

#[test]
fn an_item_says_what_is_in_it() {
    let mut decoder = decoder(true);
    for (chunk, kinds) in [
        (": hello\n\n", vec![StreamItemKind::Idle]),
        ("data: {\"type\":\"ping\"}\n\n", vec![StreamItemKind::Idle]),
        (ROLE, vec![StreamItemKind::Data]),
        (HELLO, vec![StreamItemKind::Content]),
        ("data: {\"choices\":[],\"usage\":{}}\n\n", vec![]),
        (
            "data: [DONE]\n\n",
            vec![StreamItemKind::Usage, StreamItemKind::Done],
        ),
        (HELLO, vec![]),
    ] {
        let items = push(&mut decoder, chunk).unwrap();
        let found: Vec<_> = items.iter().map(|item| item.kind).collect();
        assert_eq!(found, kinds, "{chunk}");
    }
    assert!(decoder.is_done());
}

#[test]
fn what_came_before_a_fault_may_be_sent_and_nothing_after() {
    let mut decoder = decoder(false);
    let mut items = Vec::new();
    let chunk = [HELLO, "data: garbage\n\n", HELLO].concat();
    let fault = decoder.push(Bytes::from(chunk), &mut items).unwrap_err();
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].bytes, HELLO);
    let again = decoder.push(Bytes::from_static(HELLO.as_bytes()), &mut items);
    assert_eq!(again, Err(fault.clone()));
    assert_eq!(decoder.finish(&mut items), Err(fault));
    assert_eq!(items.len(), 1);
}

/// One event of a provider.
#[derive(Debug, Clone)]
enum Sent {
    Text(&'static str, Option<Value>),
    UsageAlone(Value),
    Comment,
}

fn usage() -> impl Strategy<Value = Value> {
    (1_u32..99, 1_u32..99).prop_map(
        |(prompt, completion)| json!({ "prompt_tokens": prompt, "completion_tokens": completion }),
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    let text = prop::sample::select(vec!["a", "\"usage\":", "é\n", "\\", "{}"]);
    let member = prop_oneof![Just(None), Just(Some(Value::Null)), usage().prop_map(Some)];
    prop_oneof![
        4 => (text, member).prop_map(|(text, usage)| Sent::Text(text, usage)),
        1 => usage().prop_map(Sent::UsageAlone),
        1 => Just(Sent::Comment),
    ]
}

fn written(sent: &Sent, pretty: bool) -> String {
    let event = match sent {
        Sent::Comment => return ": note\n\n".to_owned(),
        Sent::UsageAlone(usage) => json!({ "id": "1", "choices": [], "usage": usage }),
        Sent::Text(text, usage) => {
            let mut event = json!({ "id": "1", "choices": [{ "delta": { "content": text } }] });
            if let Some(usage) = usage {
                event["usage"] = usage.clone();
            }
            event
        }
    };
    if pretty {
        let lines = serde_json::to_string_pretty(&event).unwrap();
        return lines
            .lines()
            .fold(String::new(), |all, line| all + "data: " + line + "\n")
            + "\n";
    }
    format!("data: {event}\n\n")
}

proptest! {
    /// Whatever a provider does about usage, a caller that did not ask sees nothing of it, and one
    /// that did sees the last report once, at the end; the text is the same for both.
    #[test]
    fn usage_comes_once_or_not_at_all(
        sent in prop::collection::vec(sent(), 0..12),
        asked in any::<bool>(),
        pretty in any::<bool>(),
    ) {
        let mut stream: String = sent.iter().map(|sent| written(sent, pretty)).collect();
        stream += HELLO;
        stream += "data: [DONE]\n\n";
        let mut items = Vec::new();
        let mut decoder = decoder(asked);
        decoder.push(Bytes::from(stream), &mut items).unwrap();
        prop_assert!(decoder.is_done());

        let bytes: Vec<u8> = items.iter().flat_map(|item| item.bytes.to_vec()).collect();
        let text = String::from_utf8(bytes).unwrap();
        let events: Vec<Value> = text
            .split("\n\n")
            .map(|event| event.split('\n').filter_map(|line| line.strip_prefix("data: ")).collect::<String>())
            .filter(|data| !data.is_empty() && data != "[DONE]")
            .map(|data| serde_json::from_str(&data).unwrap())
            .collect();
        let said: String = events
            .iter()
            .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
            .collect();
        let meant: String = sent
            .iter()
            .filter_map(|sent| match sent {
                Sent::Text(text, _) => Some(*text),
                Sent::UsageAlone(_) | Sent::Comment => None,
            })
            .chain(["Hello"])
            .collect();
        prop_assert_eq!(said, meant);

        let last = sent.iter().rev().find_map(|sent| match sent {
            Sent::Text(_, usage) => usage.clone().filter(|usage| !usage.is_null()),
            Sent::UsageAlone(usage) => Some(usage.clone()),
            Sent::Comment => None,
        });
        if asked {
            let reports: Vec<_> = events.iter().filter(|event| event["usage"].is_object()).collect();
            prop_assert_eq!(reports.len(), usize::from(last.is_some()));
            if let Some(last) = last {
                let report = events.last().unwrap();
                prop_assert_eq!(&report["usage"], &last);
                prop_assert_eq!(&report["choices"], &json!([]));
            }
        } else {
            prop_assert!(events.iter().all(|event| event.get("usage").is_none()));
            prop_assert!(events.iter().all(|event| event["choices"] != json!([])));
        }
        prop_assert!(text.ends_with("data: [DONE]\n\n"));
    }
}

fn cut(decoder: &mut StreamDecoder) -> Vec<StreamItem> {
    let mut items = Vec::new();
    decoder.cut(330, &mut items);
    items
}

fn text(items: &[StreamItem]) -> String {
    let bytes: Vec<u8> = items.iter().flat_map(|item| item.bytes.to_vec()).collect();
    String::from_utf8(bytes).unwrap()
}

const NAMED: &str = concat!(
    r#"data: {"id":"c1","object":"chat.completion.chunk","created":7,"model":"m","#,
    r#""choices":[{"index":0,"delta":{"content":"Hello"}}]}"#,
    "\n\n"
);

#[test]
fn a_stream_that_is_cut_ends_as_at_a_bound_on_its_length() {
    let mut decoder = decoder(true);
    push(&mut decoder, NAMED).unwrap();
    let items = cut(&mut decoder);
    let kinds: Vec<_> = items.iter().map(|item| item.kind).collect();
    assert_eq!(
        kinds,
        [
            StreamItemKind::Content,
            StreamItemKind::Usage,
            StreamItemKind::Done
        ]
    );
    let head = r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m""#;
    assert_eq!(
        text(&items[..1]),
        format!(
            "data: {head},\"choices\":[{{\"index\":0,\"delta\":{{}},\"logprobs\":null,\
             \"finish_reason\":\"length\"}}],\"usage\":null}}\n\n"
        )
    );
    let usage = text(&items[1..2]);
    let event: Value = serde_json::from_str(usage.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(event["id"], "c1");
    assert_eq!(event["choices"], json!([]));
    // 330 bytes of request, and 5 bytes of text.
    assert_eq!(event["usage"]["prompt_tokens"], 100);
    assert_eq!(event["usage"]["completion_tokens"], 2);
    assert_eq!(text(&items[2..]), "data: [DONE]\n\n");
    assert_eq!(push(&mut decoder, HELLO), Err(StreamFault::Truncated));
    assert!(cut(&mut decoder).is_empty());
}

#[test]
fn only_the_choices_that_go_on_are_cut() {
    let mut decoder = decoder(false);
    for event in [
        r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        r#"data: {"id":"c","choices":[{"index":2,"delta":{"content":"b"}}]}"#,
        r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    ] {
        let chunk = Bytes::from(format!("{event}\n\n"));
        decoder.push(chunk, &mut Vec::new()).unwrap();
    }
    assert_eq!(
        text(&cut(&mut decoder)),
        "data: {\"id\":\"c\",\"choices\":[{\"index\":2,\"delta\":{},\"logprobs\":null,\
         \"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n"
    );
}

#[test]
fn a_stream_that_is_whole_cannot_be_cut() {
    let mut decoder = decoder(false);
    push(&mut decoder, NAMED).unwrap();
    push(&mut decoder, "data: [DONE]\n\n").unwrap();
    assert!(cut(&mut decoder).is_empty());
}
