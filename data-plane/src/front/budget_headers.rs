//! What an answer's head says of its agent's budget.

use agix_core::quota::{PeriodStanding, Standing};
use http::{HeaderMap, HeaderName, HeaderValue};

const DAILY: HeaderName = HeaderName::from_static("x-budget-daily-percent");
const MONTHLY: HeaderName = HeaderName::from_static("x-budget-monthly-percent");

/// Says how much of each limit on spend is used up, as far as this proxy knows.
pub(super) fn announce(headers: &mut HeaderMap, standing: Option<Standing>) {
    let Some(Standing { day, month }) = standing else {
        return;
    };
    for (name, period) in [(DAILY, day), (MONTHLY, month)] {
        let percent = period.map(|period| percent(&period));
        if let Some(value) = percent.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
}

/// With one digit after the point, rounded down: a hundred percent are not said before they are spent.
fn percent(period: &PeriodStanding) -> String {
    let spent = u128::from(period.spent.as_nanos());
    let limit = u128::from(period.limit.as_nanos()).max(1);
    let permille = spent.saturating_mul(1_000) / limit;
    format!("{}.{}", permille / 10, permille % 10)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agix_core::units::NanoUsd;

    use super::*;

    fn period(limit: u64, spent: u64) -> PeriodStanding {
        PeriodStanding {
            limit: NanoUsd::from_nanos(limit),
            spent: NanoUsd::from_nanos(spent),
            unsettled: NanoUsd::ZERO,
            held: NanoUsd::ZERO,
            resets_in: Duration::ZERO,
        }
    }

    #[test]
    fn a_percentage_is_rounded_down() {
        for (limit, spent, said) in [
            (10_000_000_000, 0, "0.0"),
            (10_000_000_000, 8_000_000_000, "80.0"),
            (10_000_000_000, 9_999_999_999, "99.9"),
            (10_000_000_000, 10_000_000_001, "100.0"),
            (3, 1, "33.3"),
            (u64::MAX, u64::MAX, "100.0"),
        ] {
            assert_eq!(percent(&period(limit, spent)), said);
        }
    }

    #[test]
    fn only_limits_that_exist_are_told() {
        let mut headers = HeaderMap::new();
        announce(&mut headers, None);
        assert!(headers.is_empty());
        let standing = Standing {
            day: None,
            month: Some(period(200, 50)),
        };
        announce(&mut headers, Some(standing));
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["x-budget-monthly-percent"], "25.0");
    }
}
