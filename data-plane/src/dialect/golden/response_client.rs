//! A client of responses that believes nothing: it follows a stream event by event, as the protocol
//! wants it, and says what it was told.

use serde_json::Value;

/// What a stream said.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The names of its events, in order.
    pub(super) events: Vec<String>,
    /// What was said of each item by pieces: its type, its text or arguments.
    pub(super) items: Vec<(String, String)>,
    /// The last state of the response.
    pub(super) response: Value,
}

impl Told {
    /// Reads events.
    ///
    /// # Panics
    /// They are not in order, or contradict each other.
    pub(super) fn read(stream: &str) -> Self {
        let mut told = Self::default();
        let mut done: Vec<Option<Value>> = Vec::new();
        let mut number = 0;
        for event in stream.split_terminator("\n\n") {
            let (name, data) = event.split_once("\ndata: ").expect(event);
            let name = name.strip_prefix("event: ").expect(event);
            let data: Value = serde_json::from_str(data).expect(event);
            assert_eq!(data["type"], name);
            if name == "keepalive" {
                continue;
            }
            assert_eq!(data["sequence_number"], number, "{event}");
            number += 1;
            assert!(!told.is_over(), "an event after the end: {event}");
            match told.events.len() {
                0 => assert_eq!(name, "response.created"),
                1 => assert_eq!(name, "response.in_progress"),
                _ => {}
            }
            told.events.push(name.to_owned());
            told.event(name, &data, &mut done);
        }
        told
    }

    /// Whether the response came to an end.
    pub(super) fn is_over(&self) -> bool {
        let last = self.events.last().map(String::as_str);
        matches!(
            last,
            Some("response.completed" | "response.incomplete" | "response.failed")
        )
    }

    fn event(&mut self, name: &str, data: &Value, done: &mut Vec<Option<Value>>) {
        if let Some(response) = data.get("response") {
            self.response = response.clone();
            assert_eq!(response["object"], "response");
            let status = name.strip_prefix("response.").unwrap();
            let status = if status == "created" {
                "in_progress"
            } else {
                status
            };
            assert_eq!(response["status"], status);
            if self.is_over() && name != "response.failed" {
                let items: Vec<_> = done.iter().map(|item| item.clone().unwrap()).collect();
                assert_eq!(response["output"], Value::from(items));
            }
            return;
        }
        if name == "error" {
            return;
        }
        let index = usize::try_from(data["output_index"].as_u64().unwrap()).unwrap();
        if name == "response.output_item.added" {
            assert_eq!(index, self.items.len());
            let kind = data["item"]["type"].as_str().unwrap();
            self.items.push((kind.to_owned(), String::new()));
            done.push(None);
            return;
        }
        assert!(done[index].is_none(), "an item goes on after its end");
        let (kind, text) = &mut self.items[index];
        let speaks = kind == "message";
        match name {
            "response.content_part.added" => assert!(speaks && text.is_empty()),
            "response.output_text.delta" => {
                assert!(speaks);
                text.push_str(data["delta"].as_str().unwrap());
            }
            "response.function_call_arguments.delta" => {
                assert!(!speaks);
                text.push_str(data["delta"].as_str().unwrap());
            }
            "response.output_text.done" => assert_eq!(data["text"], *text),
            "response.content_part.done" => assert_eq!(data["part"]["text"], *text),
            "response.function_call_arguments.done" => assert_eq!(data["arguments"], *text),
            "response.output_item.done" => {
                let item = &data["item"];
                let whole = if speaks {
                    &item["content"][0]["text"]
                } else {
                    &item["arguments"]
                };
                assert_eq!(*whole, *text);
                done[index] = Some(item.clone());
            }
            other => panic!("an event that is not of the protocol: {other}"),
        }
    }
}
