//! Figures of one round, and what is shown of several.

use std::time::Duration;

use serde::Serialize;

/// Median and 99th percentile of one round, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Percentiles {
    /// Median, in microseconds.
    pub p50_us: f64,
    /// 99th percentile, in microseconds.
    pub p99_us: f64,
}

/// Ranks of many short spans, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Ranks {
    /// Median.
    pub p50: u32,
    /// 99th percentile.
    pub p99: u32,
    /// One in a thousand takes longer.
    pub p999: u32,
    /// The longest.
    pub max: u32,
}

/// The smallest, the middle and the largest figure of several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

/// The percentiles of `samples`; `None` without samples.
pub(crate) fn percentiles(mut samples: Vec<Duration>) -> Option<Percentiles> {
    samples.sort_unstable();
    let at = |percent: usize| {
        let index = (samples.len().checked_sub(1)?) * percent / 100;
        samples.get(index).map(|sample| sample.as_secs_f64() * 1e6)
    };
    Some(Percentiles {
        p50_us: at(50)?,
        p99_us: at(99)?,
    })
}

/// The ranks of `samples`, in nanoseconds; `None` without samples.
pub(crate) fn ranks(mut samples: Vec<u32>) -> Option<Ranks> {
    samples.sort_unstable();
    let at = |thousandth: usize| {
        let index = (samples.len().checked_sub(1)?) * thousandth / 1_000;
        samples.get(index).copied()
    };
    Some(Ranks {
        p50: at(500)?,
        p99: at(990)?,
        p999: at(999)?,
        max: at(1_000)?,
    })
}

/// A span in nanoseconds, for [`ranks`].
pub(crate) fn nanos(span: Duration) -> u32 {
    u32::try_from(span.as_nanos()).unwrap_or(u32::MAX)
}

/// The spread of `figures`; `None` without figures.
pub(crate) fn spread(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    let median = match half.checked_sub(1).and_then(|index| sorted.get(index)) {
        Some(lower) if sorted.len().is_multiple_of(2) => f64::midpoint(*lower, upper),
        _ => upper,
    };
    Some(Spread {
        min: *sorted.first()?,
        median,
        max: *sorted.last()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks_of_the_samples() {
        let samples = (1..=101).rev().map(Duration::from_micros).collect();
        let found = percentiles(samples).unwrap();
        assert!((found.p50_us - 51.0).abs() < 1e-9 && (found.p99_us - 100.0).abs() < 1e-9);
        assert!(percentiles(Vec::new()).is_none());
    }

    #[test]
    fn ranks_go_up_to_the_longest() {
        let found = ranks((0..=2_000).rev().collect()).unwrap();
        assert_eq!(
            (found.p50, found.p99, found.p999, found.max),
            (1_000, 1_980, 1_998, 2_000)
        );
        assert!(ranks(Vec::new()).is_none());
        assert_eq!(nanos(Duration::from_secs(100)), u32::MAX);
    }

    #[test]
    fn a_spread_names_the_middle_of_the_rounds() {
        assert_eq!(
            spread([3.0, 1.0, 2.0]),
            Some(Spread {
                min: 1.0,
                median: 2.0,
                max: 3.0
            })
        );
        assert_eq!(
            spread([4.0, 1.0, 2.0, 3.0]).map(|found| found.median),
            Some(2.5)
        );
        assert_eq!(spread([]), None);
    }
}
