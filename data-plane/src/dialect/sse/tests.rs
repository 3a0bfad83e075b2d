use proptest::prelude::*;

use super::*;

/// The events of a stream that arrives in these chunks, and what is left.
fn frame<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<Bytes>, Bytes), TooLarge> {
    let mut framer = Framer::default();
    let mut events = Vec::new();
    for chunk in chunks {
        let mut chunk = Bytes::copy_from_slice(chunk);
        while let Some(event) = framer.next(&mut chunk)? {
            events.push(event);
        }
        assert!(chunk.is_empty());
    }
    Ok((events, framer.rest()))
}

fn whole(stream: &[u8]) -> Vec<Bytes> {
    frame([stream]).unwrap().0
}

#[test]
fn an_event_ends_with_an_empty_line_however_lines_end() {
    for (stream, events) in [
        ("data: a\n\ndata: b\n\n", vec!["data: a\n\n", "data: b\n\n"]),
        (
            "data: a\r\n\r\ndata: b\r\n\r\n",
            vec!["data: a\r\n\r\n", "data: b\r\n\r\n"],
        ),
        (
            "data: a\r\rdata: b\r\r",
            vec!["data: a\r\r", "data: b\r\r\n"],
        ),
        (
            "data: a\n\r\ndata: b\r\n\n",
            vec!["data: a\n\r\n", "data: b\r\n\n"],
        ),
        (
            "data: a\r\n\rdata: b\n\n",
            vec!["data: a\r\n\r", "data: b\n\n"],
        ),
        ("\n\r\n\r\r", vec!["\n", "\r\n", "\r", "\r\n"]),
        ("a\nb\n\n", vec!["a\nb\n\n"]),
        ("data: a\n", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(whole(stream.as_bytes()), events, "{stream:?}");
    }
}

#[test]
fn a_byte_order_mark_is_taken_away_only_at_the_beginning() {
    assert_eq!(whole(b"\xef\xbb\xbfdata: a\n\n"), ["data: a\n\n"]);
    assert_eq!(
        whole(b"data: a\n\n\xef\xbb\xbfdata: b\n\n"),
        [&b"data: a\n\n"[..], b"\xef\xbb\xbfdata: b\n\n"]
    );
    assert_eq!(whole(b"\xef\xbbdata: a\n\n"), [&b"\xef\xbbdata: a\n\n"[..]]);
    assert_eq!(whole(b"\xef\n\n"), [&b"\xef\n\n"[..]]);
}

#[test]
fn an_event_within_a_chunk_is_a_piece_of_it() {
    let mut chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata");
    let start = chunk.as_ptr();
    let mut framer = Framer::default();
    let first = framer.next(&mut chunk).unwrap().unwrap();
    assert_eq!(first.as_ptr(), start);
    let second = framer.next(&mut chunk).unwrap().unwrap();
    assert_eq!(second.as_ptr(), start.wrapping_add(9));
}

#[test]
fn the_fields_of_an_event_are_read() {
    let read = |event: &'static str| Event::read(event.as_bytes());
    assert_eq!(
        read("event: ping\r\ndata:{}\r\nid: 7\nretry: 3\n: note\n\n"),
        Ok(Event {
            name: "ping",
            data: Data::Line("{}")
        })
    );
    assert_eq!(
        read("data:  a\rdata\ndata: b\n\n").unwrap().data.text(),
        " a  b"
    );
    assert_eq!(read(": comment\n\n").unwrap().data, Data::Absent);
    assert_eq!(read("\n").unwrap().data, Data::Absent);
    assert_eq!(read("<html>\n\n"), Err(NotAnEvent));
    assert_eq!(Event::read(b": \xff\n\n"), Err(NotAnEvent));
    assert_eq!(read("{\"error\":1}\n\n"), Err(NotAnEvent));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let line = vec![b'x'; 64 * 1024];
    let endless = std::iter::repeat_n(line.as_slice(), 1_000_000);
    assert_eq!(
        frame(endless).unwrap_err(),
        TooLarge("stream has an event larger than agix takes")
    );
    let mut event = line.clone();
    event.extend_from_slice(b"\n\n");
    let many = std::iter::repeat_n(event.as_slice(), 1_000_000);
    assert_eq!(
        frame(many).unwrap_err(),
        TooLarge("stream is larger than agix takes")
    );
    // The same bound whether the event comes at once or in parts.
    let mut large = vec![b'x'; STREAM_EVENT_BYTES - 2];
    large.extend_from_slice(b"\n\n");
    assert_eq!(whole(&large).len(), 1);
    assert_eq!(frame(large.chunks(1_000)).unwrap().0.len(), 1);
    large.insert(0, b'x');
    frame([large.as_slice()]).unwrap_err();
    frame(large.chunks(1_000)).unwrap_err();
}

/// A stream, and places to cut it.
fn cut_stream() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let part = prop::sample::select(vec![
        "data: a", "event: b", ":", "x", "\n", "\r", "\r\n", "\n\n", "\r\n\r\n", "é", "\u{feff}",
    ]);
    let stream = prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat().into_bytes());
    (
        stream,
        prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    )
        .prop_map(|(stream, cuts)| {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            (stream, cuts)
        })
}

fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let edges: Vec<usize> = std::iter::once(0)
        .chain(cuts.iter().copied())
        .chain([stream.len()])
        .collect();
    edges
        .windows(2)
        .map(|edge| &stream[edge[0]..edge[1]])
        .collect()
}

/// The lines of an event, without what ends them.
fn lines(event: &Bytes) -> Vec<String> {
    let text = String::from_utf8_lossy(event)
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    text.lines().map(ToOwned::to_owned).collect()
}

proptest! {
    #[test]
    fn the_events_are_the_same_however_the_bytes_are_cut((stream, cuts) in cut_stream()) {
        let (uncut, uncut_rest) = frame([stream.as_slice()]).unwrap();
        let (cut, cut_rest) = frame(pieces(&stream, &cuts)).unwrap();
        prop_assert_eq!(
            uncut.iter().map(lines).collect::<Vec<_>>(),
            cut.iter().map(lines).collect::<Vec<_>>()
        );
        prop_assert_eq!(uncut_rest, cut_rest);
    }

    #[test]
    fn no_byte_is_lost_or_added_where_lines_end_as_usual((stream, cuts) in cut_stream()) {
        let text = String::from_utf8(stream).unwrap();
        let usual = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
        let (events, rest) = frame(pieces(usual.as_bytes(), &cuts.iter().map(|cut| (*cut).min(usual.len())).collect::<Vec<_>>())).unwrap();
        let mut joined = events.concat();
        joined.extend_from_slice(&rest);
        prop_assert_eq!(
            String::from_utf8(joined).unwrap(),
            usual.strip_prefix('\u{feff}').unwrap_or(&usual)
        );
    }
}
