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
