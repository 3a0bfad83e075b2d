//! Streams of providers.

use agix_core::limits::STREAM_BYTES;
use agix_core::usage::Usage;
use agix_proxy::dialect::{
    Caller, ChatRequest, Dialect, Finish, StreamDecoder, StreamFault, StreamItemKind,
};
use bytes::Bytes;

use crate::answers::{finishes_alike, ids, is_believable};

/// How much larger than what was read what is written may be: the frame around the shortest piece.
const LARGER: usize = 64;
/// Ends of events at which a stream is ended.
const ENDS: usize = 12;
/// And what may be added to it once.
const FRAME: usize = 4_096;

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Heard {
    /// What the caller gets.
    text: String,
    fault: Option<StreamFault>,
    /// The terminator was seen before the provider closed the stream.
    done_early: bool,
    usage: Option<Usage>,
    finish: Option<Finish>,
    model: Option<String>,
}

/// Reads a stream for callers of every dialect, with and without a wish for usage.
pub(crate) fn stream(dialect: Dialect, bytes: &[u8]) {
    assert!(bytes.len() < STREAM_BYTES);
    for caller in Caller::ALL {
        for asked in [true, false] {
            let hear = |pieces: &[&[u8]]| hear(caller, dialect, asked, pieces);
            let whole = hear(&[bytes]);
            is_what_it_says(caller, asked, &whole);
            assert!(whole.text.len() <= LARGER * bytes.len() + FRAME);
            let singles: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(hear(&singles), whole, "in single bytes");
            for place in places(bytes) {
                let (head, tail) = bytes.split_at(place);
                assert_eq!(hear(&[head, tail]), whole, "cut at {place}");
                ends_early(&hear(&[head]), &whole, place);
            }
            can_be_ended(caller, dialect, asked, bytes);
        }
    }
}

/// A few places of `bytes` that depend on it.
fn places(bytes: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let length = bytes.len();
    let sum = bytes.iter().fold(length, |sum, byte| {
        sum.wrapping_mul(31) ^ usize::from(*byte)
    });
    let place = move |step: usize| (sum >> (8 * step)) % (length + 1);
    (0..4).map(place).chain([length.saturating_sub(1)])
}

/// A request of this caller for a stream; `asked` says whether it wants usage, which some always get.
pub(crate) fn request(caller: Caller, asked: bool) -> ChatRequest {
    let options = if asked {
        r#","stream_options":{"include_usage":true}"#
    } else {
        ""
    };
    let input = match caller {
        Caller::Chat | Caller::Messages => "",
        Caller::Responses => r#","input":"Hi""#,
        Caller::Completions => r#","prompt":"Hi""#,
    };
    let body = format!(r#"{{"model":"m","stream":true{input}{options}}}"#);
    let request = ChatRequest::read_as(caller, body.into());
    request.unwrap_or_else(|error| panic!("{error}"))
}

fn hear(caller: Caller, dialect: Dialect, asked: bool, pieces: &[&[u8]]) -> Heard {
    let mut decoder = StreamDecoder::new(dialect, &request(caller, asked), ids());
    let mut items = Vec::new();
    let pushed = pieces
        .iter()
        .try_for_each(|piece| decoder.push(Bytes::copy_from_slice(piece), &mut items));
    let done_early = decoder.is_done();
    let fault = pushed.and_then(|()| decoder.finish(&mut items)).err();
    assert_eq!(fault.is_none(), decoder.is_done());
    let terminators = items
        .iter()
        .filter(|item| item.kind == StreamItemKind::Done);
    assert_eq!(terminators.count(), usize::from(decoder.is_done()));
    let last = items.last().map(|item| item.kind);
    assert_eq!(last == Some(StreamItemKind::Done), decoder.is_done());
    is_believable(decoder.usage());
    let bytes: Vec<u8> = items.iter().flat_map(|item| item.bytes.to_vec()).collect();
    let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{error}"));
    Heard {
        text: plain(&text),
        fault,
        done_early,
        usage: decoder.usage(),
        finish: decoder.finish_reason(),
        model: decoder.model().map(str::to_owned),
    }
}

/// The text with all line ends alike: a CR at the edge of a piece is given an LF.
fn plain(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// The caller's own library reads what is whole as whole, and nothing else.
fn is_what_it_says(caller: Caller, asked: bool, heard: &Heard) {
    let Some(native) = caller.native() else {
        assert_eq!(ends_as_a_response(&heard.text), heard.fault.is_none());
        return;
    };
    let mut client = StreamDecoder::new(native, &request(caller, asked), ids());
    let mut items = Vec::new();
    let read = client.push(heard.text.clone().into(), &mut items);
    if heard.fault.is_some() {
        assert!(
            !client.is_done(),
            "it did not end, and looks whole: {heard:?}"
        );
        return;
    }
    assert_eq!(read, Ok(()), "{heard:?}");
    assert!(client.is_done(), "{heard:?}");
    assert!(
        finishes_alike(heard.finish, client.finish_reason()),
        "{heard:?}"
    );
}

/// Whether a client of responses takes it for a whole one. Events are numbered from zero, and only
/// the last one ends it.
fn ends_as_a_response(text: &str) -> bool {
    let mut ended = false;
    let mut next = 0;
    for event in text.split_terminator("\n\n") {
        if event.starts_with("event: keepalive\n") {
            continue;
        }
        assert!(!ended, "an event after the end: {event}");
        let number = format!("\",\"sequence_number\":{next},");
        assert!(event.contains(&number), "not the event {next}: {event}");
        next += 1;
        let ends = ["completed", "incomplete"];
        ended = ends
            .iter()
            .any(|end| event.starts_with(&format!("event: response.{end}\n")));
    }
    ended && text.ends_with("\n\n")
}

/// A stream that ended at `place` is whole only if the whole one is no longer, and tells nothing else.
fn ends_early(early: &Heard, whole: &Heard, place: usize) {
    if early.done_early {
        assert_eq!(
            (&early.text, &whole.fault),
            (&whole.text, &None),
            "ended at {place}"
        );
    } else if early.fault.is_some() {
        assert!(
            whole.text.starts_with(&early.text),
            "ended at {place}: {early:?}"
        );
    }
}

/// Wherever agix ends a stream, the caller's library reads a whole answer.
fn can_be_ended(caller: Caller, dialect: Dialect, asked: bool, bytes: &[u8]) {
    let ends = bytes
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair == b"\n\n");
    let ends = ends.map(|(place, _)| place + 2).take(ENDS);
    for place in places(bytes).take(2).chain(ends) {
        let head = bytes.get(..place).unwrap_or_default();
        let mut decoder = StreamDecoder::new(dialect, &request(caller, asked), ids());
        let mut items = Vec::new();
        let pushed = decoder.push(Bytes::copy_from_slice(head), &mut items);
        if pushed.is_err() || decoder.is_done() || items.is_empty() {
            continue;
        }
        decoder.cut(330, &mut items);
        let bytes: Vec<u8> = items.iter().flat_map(|item| item.bytes.to_vec()).collect();
        let Some(native) = caller.native() else {
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                ends_as_a_response(&text) || !text.contains("\"delta\":"),
                "ended at {place}"
            );
            continue;
        };
        let mut client = StreamDecoder::new(native, &request(caller, asked), ids());
        let read = client.push(bytes.into(), &mut Vec::new());
        let says_nothing = client.output_bytes() == 0;
        assert!(
            client.is_done() || says_nothing,
            "ended at {place}: {read:?}"
        );
    }
}
