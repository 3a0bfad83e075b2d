//! Moments and spans of time as text.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What is shown for a moment that cannot be told.
const UNKNOWN: &str = "-";

/// A moment of the wire, for programs: RFC 3339 in UTC; nothing if there is none.
pub(crate) fn rfc3339(unix_ms: i64) -> Option<String> {
    moment(unix_ms).map(|at| at.to_string())
}

/// A moment of the wire, for people: date and time where they are.
pub(crate) fn local(unix_ms: i64) -> String {
    here(unix_ms, "%Y-%m-%d %H:%M:%S")
}

/// A moment of the wire, for people: date and time to the minute where they are.
pub(crate) fn local_minute(unix_ms: i64) -> String {
    here(unix_ms, "%Y-%m-%d %H:%M")
}

/// A moment of the wire, for people: the time of day where they are.
pub(crate) fn local_time(unix_ms: i64) -> String {
    here(unix_ms, "%H:%M:%S")
}

#[expect(
    clippy::disallowed_methods,
    reason = "people read times in the zone of their machine"
)]
fn here(unix_ms: i64, format: &str) -> String {
    moment(unix_ms).map_or_else(
        || UNKNOWN.to_owned(),
        |at| {
            let here = at.to_zoned_datetime(TimeZone::system());
            here.strftime(format).to_string()
        },
    )
}

/// How long before `now` a moment of the wire was, in its largest unit: `5s`, `12m`, `3h`, `9d`.
pub(crate) fn ago(unix_ms: i64, now: Timestamp) -> String {
    let Some(at) = moment(unix_ms) else {
        return UNKNOWN.to_owned();
    };
    let seconds = now.duration_since(at).as_secs().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What is left of a time, in its two largest units, begun ones counted: `45s`, `12m5s`, `5h12m`,
/// `23d4h`.
pub(crate) fn remaining(millis: u64) -> String {
    let seconds = millis.div_ceil(1_000);
    let minutes = seconds.div_ceil(60);
    let hours = minutes.div_ceil(60);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => two(seconds, 60, "m", "s"),
        3_600..86_400 => two(minutes, 60, "h", "m"),
        _ => two(hours, 24, "d", "h"),
    }
}

fn two(count: u64, each: u64, large: &str, small: &str) -> String {
    match (count / each, count % each) {
        (whole, 0) => format!("{whole}{large}"),
        (whole, rest) => format!("{whole}{large}{rest}{small}"),
    }
}

/// A span of time as it is written after a flag: `60s`, `1m30s`, `250ms`.
pub(crate) fn span(span: Duration) -> String {
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    match (seconds, millis) {
        (_, 1..) => format!("{}ms", span.as_millis()),
        (120.., 0) if seconds % 60 == 0 => format!("{}m", seconds / 60),
        (120.., 0) => format!("{}m{}s", seconds / 60, seconds % 60),
        _ => format!("{seconds}s"),
    }
}

/// The wire says 0 for no moment.
fn moment(unix_ms: i64) -> Option<Timestamp> {
    Timestamp::from_millisecond(unix_ms)
        .ok()
        .filter(|_| unix_ms != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit_and_is_never_negative() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let before = |seconds: i64| ago((1_000_000 - seconds) * 1_000, now);
        assert_eq!(before(-5), "0s");
        assert_eq!(before(59), "59s");
        assert_eq!(before(3_599), "59m");
        assert_eq!(before(7_200), "2h");
        assert_eq!(before(10 * 86_400), "10d");
        assert_eq!(ago(0, now), "-");
    }

    #[test]
    fn what_remains_has_two_units_and_is_never_shown_too_short() {
        for (millis, text) in [
            (0, "0s"),
            (1, "1s"),
            (59_001, "1m"),
            (61_000, "1m1s"),
            (3_600_000, "1h"),
            (3_600_001, "1h1m"),
            (86_399_999, "1d"),
            (86_400_000 * 23 + 1, "23d1h"),
        ] {
            assert_eq!(remaining(millis), text);
        }
    }

    #[test]
    fn a_span_is_shown_as_it_is_written() {
        for (millis, text) in [
            (250, "250ms"),
            (60_000, "60s"),
            (90_000, "90s"),
            (120_000, "2m"),
            (150_000, "2m30s"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
