//! The fleet's traffic, from what proxies report. For people who watch: it is kept in memory, and
//! nothing rests on it.
//!
//! - Reports carry sums since the start of a proxy, so that a lost or repeated one does no harm. What
//!   a proxy had counted before its first report is not counted: nobody knows when that was.
//! - Spans, requests and proxies are bounded, and so is every text of a report.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use agix_core::id::ProxyId;
use agix_core::limits::{
    FLEET_PROXIES, TRAFFIC_REQUESTS, TRAFFIC_SAMPLE, TRAFFIC_SILENCE, TRAFFIC_SPAN, TRAFFIC_SPANS,
    TRAFFIC_STEPS, TRAFFIC_TEXT_BYTES,
};
use agix_core::time::Mono;
use agix_proto::v1::{RequestSummary, TrafficCounts, TrafficSpan};

use crate::clock::Clock;

/// What is known of the traffic.
#[derive(Debug)]
pub(crate) struct Traffic {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    proxies: BTreeMap<ProxyId, Reporter>,
    /// Oldest first, without gaps; the last one is still filling.
    spans: VecDeque<Span>,
    /// Newest first.
    requests: VecDeque<RequestSummary>,
}

/// What one proxy told last.
#[derive(Debug)]
struct Reporter {
    incarnation: u64,
    counts: TrafficCounts,
    heard: Mono,
}

#[derive(Debug)]
struct Span {
    /// Its place: whole spans since the origin of the clock.
    number: u64,
    begins_unix_ms: i64,
    counts: TrafficCounts,
}

impl Traffic {
    pub(crate) const fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::new(State {
                proxies: BTreeMap::new(),
                spans: VecDeque::new(),
                requests: VecDeque::new(),
            }),
        }
    }

    /// Takes a report.
    pub(crate) fn take(
        &self,
        proxy: ProxyId,
        incarnation: u64,
        counts: TrafficCounts,
        requests: Vec<RequestSummary>,
    ) {
        let now = self.clock.mono();
        let mut state = self.lock();
        self.advance(&mut state, now);
        let before = state.proxies.get(&proxy);
        let known = before.filter(|before| before.incarnation == incarnation);
        // A report that comes late has nothing new.
        let newest = known.map_or(counts, |known| each(&counts, &known.counts, u64::max));
        let more = known.map(|known| each(&newest, &known.counts, u64::saturating_sub));
        if let (Some(more), Some(span)) = (more, state.spans.back_mut()) {
            span.counts = each(&span.counts, &more, u64::saturating_add);
        }
        for request in requests.into_iter().take(most_at_once()) {
            state.requests.push_front(bounded(request, &proxy));
        }
        state.requests.truncate(TRAFFIC_REQUESTS);
        if state.proxies.len() >= FLEET_PROXIES {
            let silent = |it: &Reporter| now.since(it.heard) >= TRAFFIC_SILENCE;
            state.proxies.retain(|_, it| !silent(it));
        }
        if state.proxies.len() < FLEET_PROXIES || state.proxies.contains_key(&proxy) {
            let reporter = Reporter {
                incarnation,
                counts: newest,
                heard: now,
            };
            state.proxies.insert(proxy, reporter);
        }
    }

    /// The spans of the last hour, and how many proxies report.
    pub(crate) fn spans(&self) -> (Vec<TrafficSpan>, usize) {
        let now = self.clock.mono();
        let mut state = self.lock();
        self.advance(&mut state, now);
        let reporting = state.proxies.values();
        let reporting = reporting.filter(|it| now.since(it.heard) < TRAFFIC_SILENCE);
        let spans = state.spans.iter().map(|span| TrafficSpan {
            begins_unix_ms: span.begins_unix_ms,
            counts: Some(span.counts),
        });
        (spans.collect(), reporting.count())
    }

    /// The latest requests that `wanted` holds for, newest first.
    pub(crate) fn requests(
        &self,
        wanted: impl Fn(&RequestSummary) -> bool,
        most: usize,
    ) -> Vec<RequestSummary> {
        let state = self.lock();
        let found = state.requests.iter().filter(|it| wanted(it));
        found.take(most).cloned().collect()
    }

    /// Begins the spans that are due.
    fn advance(&self, state: &mut State, now: Mono) {
        let length = TRAFFIC_SPAN.as_nanos();
        let since_origin = now.since(Mono::default()).as_nanos();
        let place = since_origin.checked_div(length).unwrap_or(0);
        let number = u64::try_from(place).unwrap_or(u64::MAX);
        let passed = since_origin.checked_rem(length).unwrap_or(0) / 1_000_000;
        let begins = i64::try_from(passed).unwrap_or(0);
        let begins_unix_ms = self.clock.wall().as_millis().saturating_sub(begins);
        let kept = u64::try_from(TRAFFIC_SPANS).unwrap_or(u64::MAX);
        let first = number.saturating_sub(kept.saturating_sub(1));
        let next = state.spans.back().map(|last| last.number.saturating_add(1));
        for number in next.unwrap_or(first).max(first)..=number {
            state.spans.push_back(Span {
                number,
                begins_unix_ms: 0,
                counts: TrafficCounts::default(),
            });
        }
        while state.spans.len() > TRAFFIC_SPANS {
            state.spans.pop_front();
        }
        // All by the wall clock of now, so that they are in order whatever was done to it.
        let length = i64::try_from(TRAFFIC_SPAN.as_millis()).unwrap_or(i64::MAX);
        for (back, span) in (0_i64..).zip(state.spans.iter_mut().rev()) {
            span.begins_unix_ms = begins_unix_ms.saturating_sub(back.saturating_mul(length));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn most_at_once() -> usize {
    usize::try_from(TRAFFIC_SAMPLE.saturating_mul(10)).unwrap_or(usize::MAX)
}

/// A request as it is kept: with its proxy, and with no text longer than is kept.
fn bounded(mut request: RequestSummary, proxy: &ProxyId) -> RequestSummary {
    proxy.as_str().clone_into(&mut request.proxy_id);
    let texts = [
        &mut request.request_id,
        &mut request.trace_id,
        &mut request.agent,
        &mut request.model_asked,
        &mut request.model_answered,
        &mut request.provider,
        &mut request.outcome,
        &mut request.reason,
        &mut request.webhook,
    ];
    texts.into_iter().for_each(shorten);
    request.steps.truncate(TRAFFIC_STEPS);
    for step in &mut request.steps {
        let texts = [
            &mut step.model,
            &mut step.provider,
            &mut step.outcome,
            &mut step.reason,
        ];
        texts.into_iter().for_each(shorten);
    }
    request
}

fn shorten(text: &mut String) {
    text.truncate(text.floor_char_boundary(TRAFFIC_TEXT_BYTES));
}

fn each(
    one: &TrafficCounts,
    other: &TrafficCounts,
    join: impl Fn(u64, u64) -> u64,
) -> TrafficCounts {
    TrafficCounts {
        answered: join(one.answered, other.answered),
        failed: join(one.failed, other.failed),
        refused: join(one.refused, other.refused),
        caller_left: join(one.caller_left, other.caller_left),
        failovers: join(one.failovers, other.failovers),
        attempts: join(one.attempts, other.attempts),
        attempts_failed: join(one.attempts_failed, other.attempts_failed),
        input_tokens: join(one.input_tokens, other.input_tokens),
        output_tokens: join(one.output_tokens, other.output_tokens),
        cost_nano_usd: join(one.cost_nano_usd, other.cost_nano_usd),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(answered: u64) -> TrafficCounts {
        TrafficCounts {
            answered,
            ..TrafficCounts::default()
        }
    }

    fn total(traffic: &Traffic) -> u64 {
        let (spans, _) = traffic.spans();
        spans
            .iter()
            .filter_map(|it| it.counts)
            .map(|it| it.answered)
            .sum()
    }

    fn proxy(name: &str) -> ProxyId {
        ProxyId::new(name).unwrap()
    }

    #[test]
    fn what_came_since_the_last_report_is_counted_once() {
        let traffic = Traffic::new(Clock::start());
        let report = |incarnation, counts| {
            traffic.take(proxy("a"), incarnation, answered(counts), Vec::new());
        };
        report(1, 100);
        assert_eq!(total(&traffic), 0, "nobody knows when those were");
        report(1, 103);
        report(1, 103);
        report(1, 101);
        report(1, 104);
        assert_eq!(total(&traffic), 4);
        report(2, 7);
        report(2, 9);
        assert_eq!(total(&traffic), 6);
        assert_eq!(traffic.spans().1, 1);
    }

    #[test]
    fn spans_go_back_an_hour_without_gaps() {
        let traffic = Traffic::new(Clock::start());
        let mut state = State::default();
        traffic.advance(&mut state, Mono::from_nanos(0));
        traffic.advance(&mut state, Mono::default().after(TRAFFIC_SPAN * 5));
        let numbers =
            |state: &State| -> Vec<u64> { state.spans.iter().map(|span| span.number).collect() };
        assert_eq!(numbers(&state), [0, 1, 2, 3, 4, 5]);
        traffic.advance(&mut state, Mono::default().after(TRAFFIC_SPAN * 10_000));
        assert_eq!(state.spans.len(), TRAFFIC_SPANS);
        assert_eq!(numbers(&state).last(), Some(&10_000));
        let begins: Vec<i64> = state.spans.iter().map(|it| it.begins_unix_ms).collect();
        assert!(begins.windows(2).all(|two| two[1] - two[0] == 10_000));
    }

    #[test]
    fn requests_are_bounded_in_number_and_text() {
        let traffic = Traffic::new(Clock::start());
        for number in 0..TRAFFIC_REQUESTS + 5 {
            let request = RequestSummary {
                request_id: format!("{number}"),
                agent: "é".repeat(TRAFFIC_TEXT_BYTES),
                proxy_id: "forged".to_owned(),
                ..RequestSummary::default()
            };
            traffic.take(proxy("a"), 1, TrafficCounts::default(), vec![request]);
        }
        let kept = traffic.requests(|_| true, usize::MAX);
        assert_eq!(kept.len(), TRAFFIC_REQUESTS);
        let newest = kept.first().unwrap();
        assert_eq!(newest.request_id, format!("{}", TRAFFIC_REQUESTS + 4));
        assert_eq!(newest.proxy_id, "a");
        assert!(newest.agent.len() <= TRAFFIC_TEXT_BYTES);
        assert_eq!(traffic.requests(|it| it.request_id == "3", 9).len(), 0);
        assert_eq!(traffic.requests(|it| it.request_id == "9", 9).len(), 1);
    }
}
