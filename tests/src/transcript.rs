//! What a stream said, and whether it was whole.

use std::collections::VecDeque;

use serde_json::Value;

use crate::caller::data;

/// A stream of a chat completion or a response, read to its end.
#[derive(Debug, Clone)]
pub struct Transcript {
    /// The events as they came.
    pub events: VecDeque<String>,
}

impl Transcript {
    /// The text of the first choice.
    pub fn text(&self) -> String {
        self.chunks()
            .filter_map(|chunk| {
                let text = chunk.pointer("/choices/0/delta/content")?.as_str()?;
                Some(text.to_owned())
            })
            .collect()
    }

    /// The text of a streamed completion of a text.
    pub fn completed_text(&self) -> String {
        self.chunks()
            .filter_map(|chunk| Some(chunk.pointer("/choices/0/text")?.as_str()?.to_owned()))
            .collect()
    }

    /// The text of a streamed response.
    pub fn response_text(&self) -> String {
        self.chunks()
            .filter(|event| event["type"] == "response.output_text.delta")
            .filter_map(|event| Some(event["delta"].as_str()?.to_owned()))
            .collect()
    }

    /// Whether it ended with the event that ends a whole response.
    pub fn is_whole_response(&self) -> bool {
        let last = self.events.back();
        last.is_some_and(|event| event.starts_with("event: response.completed\n"))
    }

    /// The models its chunks name, each once, in order.
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<String> = self
            .chunks()
            .filter_map(|chunk| Some(chunk.get("model")?.as_str()?.to_owned()))
            .collect();
        models.dedup();
        models
    }

    /// Why the first choice ended.
    pub fn finish_reason(&self) -> Option<String> {
        self.chunks().find_map(|chunk| {
            let reason = chunk.pointer("/choices/0/finish_reason")?.as_str()?;
            Some(reason.to_owned())
        })
    }

    /// The usage of the last event that has one.
    pub fn usage(&self) -> Option<Value> {
        let usages = self.chunks().filter_map(|chunk| {
            let usage = chunk.get("usage")?;
            (!usage.is_null()).then(|| usage.clone())
        });
        usages.last()
    }

    /// The error event it ended with.
    pub fn error(&self) -> Option<Value> {
        let last = data(self.events.back()?)?;
        let of_response = last.pointer("/response/error");
        let error = last.get("error").or(of_response);
        error.filter(|error| !error.is_null()).cloned()
    }

    /// Whether it ended with its terminator, as a whole answer does.
    pub fn is_whole(&self) -> bool {
        self.events
            .back()
            .is_some_and(|event| event == "data: [DONE]")
    }

    fn chunks(&self) -> impl Iterator<Item = Value> {
        self.events.iter().filter_map(|event| data(event))
    }
}
