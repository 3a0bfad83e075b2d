//! Puts a behaviour on top of an answer: which head is sent, and which steps the body takes.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::behaviour::{Behaviour, Fault};
use super::body::{Break, Step};
use super::gzip;
use super::rendering::{Part, Refused, Rendering};

/// What a plain answer calls itself.
const JSON: &str = "application/json";
/// Bytes of one part of an endless line.
const LINE_PART_BYTES: u64 = 64 * 1024;

/// An answer ready to be sent.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) steps: VecDeque<Step>,
}

impl Staged {
    fn ok(content_type: &'static str, steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", content_type.to_owned())],
            steps: steps.into_iter().collect(),
        }
    }
}

impl From<Refused> for Staged {
    fn from(refused: Refused) -> Self {
        let body = Bytes::from(refused.body.to_string());
        let mut headers = refused.headers;
        headers.push(("content-type", "application/json".to_owned()));
        headers.push(("content-length", body.len().to_string()));
        Self {
            status: refused.status,
            headers,
            steps: VecDeque::from([Step::Send(body)]),
        }
    }
}

/// The steps of an answer that meets `behaviour`, with a pause before each part of a stream.
pub(super) fn stage(behaviour: &Behaviour, rendering: &Rendering, pause: Duration) -> Staged {
    let kind = rendering.content_type;
    let plain = kind == JSON;
    match behaviour {
        Behaviour::Fault {
            after_events,
            fault,
        } => {
            let mut steps = begun(&rendering.parts, *after_events, plain, pause);
            fail(&mut steps, *fault, rendering, pause);
            Staged::ok(kind, steps)
        }
        Behaviour::CutAtByte(at) => Staged::ok(kind, cut(&rendering.parts, *at)),
        Behaviour::Drip { pause_ms } => {
            let pause = Duration::from_millis(*pause_ms);
            let bytes = rendering.parts.iter().flat_map(|part| part.bytes.to_vec());
            let single: Vec<Part> = bytes.map(|byte| Part::frame(vec![byte])).collect();
            Staged::ok(kind, paced(&single, pause))
        }
        Behaviour::GzipBomb { bytes } => {
            let mut staged = Staged::ok(kind, gzip::zeros(*bytes));
            staged.headers.push(("content-encoding", "gzip".to_owned()));
            staged
        }
        Behaviour::ShortOfContentLength => {
            let whole: usize = rendering.parts.iter().map(|part| part.bytes.len()).sum();
            let mut staged = Staged::ok(kind, paced(&rendering.parts, pause));
            let promised = whole.saturating_mul(2).to_string();
            staged.headers.push(("content-length", promised));
            staged.steps.push_back(Step::Break(Break::Close));
            staged
        }
        Behaviour::HugeHeaders { bytes } => {
            let mut staged = Staged::ok(kind, paced(&rendering.parts, pause));
            let length = usize::try_from(*bytes).unwrap_or(usize::MAX);
            staged.headers.push(("x-padding", "x".repeat(length)));
            staged
        }
        _ => {
            let mut staged = Staged::ok(kind, paced(&rendering.parts, pause));
            if let [only] = rendering.parts.as_slice() {
                let length = only.bytes.len().to_string();
                staged.headers.push(("content-length", length));
            }
            staged
        }
    }
}

fn step(part: &Part) -> Step {
    if part.text {
        Step::Text(part.bytes.clone())
    } else {
        Step::Send(part.bytes.clone())
    }
}

fn paced(parts: &[Part], pause: Duration) -> impl Iterator<Item = Step> {
    parts.iter().flat_map(move |part| {
        let wait = (!pause.is_zero()).then_some(Step::Pause(pause));
        wait.into_iter().chain([step(part)])
    })
}

/// The part of an answer sent before it goes wrong.
fn begun(parts: &[Part], events: u32, plain: bool, pause: Duration) -> VecDeque<Step> {
    if !plain {
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        return paced(parts.get(..events).unwrap_or(parts), pause).collect();
    }
    let whole: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
    let half = if events == 0 { 0 } else { whole.len() / 2 };
    let first = Bytes::copy_from_slice(whole.get(..half).unwrap_or_default());
    VecDeque::from([Step::Send(first)])
}

fn fail(steps: &mut VecDeque<Step>, fault: Fault, rendering: &Rendering, pause: Duration) {
    let plain = rendering.content_type == JSON;
    match fault {
        Fault::Reset => steps.push_back(Step::Break(Break::Reset)),
        Fault::End => {}
        Fault::Silence => steps.push_back(Step::Silence),
        Fault::ErrorEvent => {
            if !pause.is_zero() {
                steps.push_back(Step::Pause(pause));
            }
            steps.push_back(Step::Send(rendering.error.clone()));
        }
        Fault::Garbage => {
            let text: &'static [u8] = if plain {
                b"<html><body><h1>It works!</h1></body></html>"
            } else {
                b"data: {\"id\":\"chatcmpl-\x00\xff\xfe, oops\n\ndata: <html>\n\n"
            };
            steps.push_back(Step::Send(Bytes::from_static(text)));
        }
        Fault::EndlessLine { bytes } => {
            let start: &'static [u8] = if plain {
                b"{\"id\":\""
            } else {
                b"data: {\"id\":\""
            };
            steps.push_back(Step::Send(Bytes::from_static(start)));
            let part = Bytes::from(vec![b'x'; usize::try_from(LINE_PART_BYTES).unwrap_or(1)]);
            steps.push_back(Step::Repeat(part, bytes / LINE_PART_BYTES));
        }
        Fault::EndlessEvents { bytes } => {
            if let Some(part) = rendering.parts.iter().rev().find(|part| part.text) {
                let length = u64::try_from(part.bytes.len()).unwrap_or(u64::MAX).max(1);
                steps.push_back(Step::Repeat(part.bytes.clone(), bytes / length));
            }
        }
    }
}

/// The parts up to a byte.
fn cut(parts: &[Part], at: u64) -> VecDeque<Step> {
    let mut left = usize::try_from(at).unwrap_or(usize::MAX);
    let mut steps = VecDeque::new();
    for part in parts {
        let length = part.bytes.len().min(left);
        left = left.saturating_sub(length);
        if length > 0 {
            let bytes = part.bytes.slice(..length);
            steps.push_back(step(&Part {
                bytes,
                text: part.text,
            }));
        }
    }
    steps
}
