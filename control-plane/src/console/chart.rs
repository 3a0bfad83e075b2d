//! Bars over time, as an image of lines and rectangles.

use agix_core::limits::{TRAFFIC_SPAN, TRAFFIC_SPANS};
use agix_proto::v1::{TrafficCounts, TrafficSpan};
use serde::Serialize;

use super::view::clock_time;

/// Height of a chart, in its own units.
const HEIGHT: u64 = 100;
/// Width of one bar and of the gap after it.
const BAR: u64 = 8;
const GAP: u64 = 2;
/// Spans that are drawn as one bar.
const TOGETHER: usize = 3;

/// A chart.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    title: &'static str,
    /// The sum over the whole time.
    total: String,
    /// The value at the top.
    top: String,
    width: u64,
    bars: Vec<Stack>,
    /// The names of the colours, if there are several.
    series: Vec<Series>,
    /// The first and the last moment.
    from: String,
    to: String,
}

/// What one part of a bar counts.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Series {
    /// Its style.
    style: &'static str,
    name: &'static str,
    #[serde(skip)]
    value: fn(&TrafficCounts) -> u64,
}

/// A bar.
#[derive(Debug, Serialize)]
struct Stack {
    /// What it says when it is pointed at.
    label: String,
    x: u64,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Part {
    style: &'static str,
    y: u64,
    height: u64,
}

impl Series {
    pub(super) const fn new(
        style: &'static str,
        name: &'static str,
        value: fn(&TrafficCounts) -> u64,
    ) -> Self {
        Self { style, name, value }
    }
}

impl Chart {
    /// A chart of `series`, whose values `text` writes for people.
    pub(super) fn new(
        title: &'static str,
        series: &[Series],
        spans: &[TrafficSpan],
        text: fn(u64) -> String,
    ) -> Self {
        let groups: Vec<(i64, Vec<u64>)> = spans
            .chunks(TOGETHER)
            .map(|group| (begin(group), sums(group, series)))
            .collect();
        let totals = groups.iter().map(|(_, values)| sum(values));
        let top = totals.clone().max().unwrap_or(0).max(1);
        // The newest bar stands at the right, where a short time leaves room before it.
        let most = TRAFFIC_SPANS.div_ceil(TOGETHER);
        let before = most.saturating_sub(groups.len());
        let width = u64::try_from(most).unwrap_or(1);
        let first = u64::try_from(before).unwrap_or(0);
        let bars = (first..).zip(&groups).map(|(place, (begins, values))| {
            let named = series.iter().zip(values);
            let named: Vec<String> = named
                .map(|(series, value)| format!("{} {}", text(*value), series.name))
                .collect();
            Stack {
                label: format!("{}: {}", clock_time(*begins), named.join(", ")),
                x: place.saturating_mul(BAR.saturating_add(GAP)),
                parts: parts(series, values, top),
            }
        });
        let bars: Vec<Stack> = bars.collect();
        Self {
            title,
            total: text(totals.fold(0, u64::saturating_add)),
            top: text(top),
            width: width.saturating_mul(BAR.saturating_add(GAP)).max(1),
            from: groups
                .last()
                .map_or_else(String::new, |it| clock_time(it.0.saturating_sub(hour()))),
            to: groups
                .last()
                .map_or_else(String::new, |it| clock_time(it.0)),
            bars,
            series: series.to_vec(),
        }
    }
}

/// Milliseconds of all spans.
fn hour() -> i64 {
    let span = i64::try_from(TRAFFIC_SPAN.as_millis()).unwrap_or(i64::MAX);
    span.saturating_mul(i64::try_from(TRAFFIC_SPANS).unwrap_or(i64::MAX))
}

fn begin(group: &[TrafficSpan]) -> i64 {
    group.first().map_or(0, |span| span.begins_unix_ms)
}

fn sums(group: &[TrafficSpan], series: &[Series]) -> Vec<u64> {
    let of = |series: &Series| {
        let counts = group.iter().filter_map(|span| span.counts.as_ref());
        counts.map(series.value).fold(0, u64::saturating_add)
    };
    series.iter().map(of).collect()
}

fn sum(values: &[u64]) -> u64 {
    values.iter().copied().fold(0, u64::saturating_add)
}

/// The parts of a bar from the ground up. Something is never drawn as nothing.
fn parts(series: &[Series], values: &[u64], top: u64) -> Vec<Part> {
    let mut y = HEIGHT;
    let mut parts = Vec::new();
    for (series, value) in series.iter().zip(values).filter(|(_, value)| **value > 0) {
        let share = u128::from(*value).saturating_mul(HEIGHT.into());
        let height = share.checked_div(top.into()).unwrap_or(0);
        let height = u64::try_from(height).unwrap_or(HEIGHT).clamp(1, y.max(1));
        y = y.saturating_sub(height);
        parts.push(Part {
            style: series.style,
            y,
            height,
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_add_up_and_stay_within_the_chart() {
        let span = |number: i64, answered, failed| TrafficSpan {
            begins_unix_ms: number * 10_000,
            counts: Some(TrafficCounts {
                answered,
                failed,
                ..TrafficCounts::default()
            }),
        };
        let series = [
            Series::new("answered", "answered", |it| it.answered),
            Series::new("failed", "failed", |it| it.failed),
        ];
        let spans = [
            span(0, 100, 0),
            span(1, 800, 0),
            span(2, 98, 2),
            span(3, 0, 1),
        ];
        let chart = Chart::new("Requests", &series, &spans, |it| it.to_string());
        assert_eq!((chart.total.as_str(), chart.top.as_str()), ("1001", "1000"));
        let first = &chart.bars[0];
        assert_eq!(first.label, "00:00:00: 998 answered, 2 failed");
        assert_eq!((first.parts[0].y, first.parts[0].height), (1, 99));
        assert_eq!((first.parts[1].y, first.parts[1].height), (0, 1));
        assert_eq!(chart.bars[1].parts.len(), 1, "one failure is seen");
        assert_eq!(chart.bars[1].x, 1_190, "the newest at the right");
        assert_eq!(
            Chart::new("Nothing", &series, &[], |it| it.to_string()).width,
            1_200
        );
    }
}
