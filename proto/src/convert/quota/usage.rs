//! Sums of usage.

use agix_core::units::NanoUsd;
use agix_core::usage::UsageTotals;

use crate::v1;

impl From<&UsageTotals> for v1::UsageTotals {
    fn from(totals: &UsageTotals) -> Self {
        let UsageTotals {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost,
        } = *totals;
        Self {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost_nano_usd: cost.as_nanos(),
        }
    }
}

impl From<v1::UsageTotals> for UsageTotals {
    fn from(wire: v1::UsageTotals) -> Self {
        let v1::UsageTotals {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost_nano_usd,
        } = wire;
        Self {
            requests,
            estimated,
            unpriced,
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            cost: NanoUsd::from_nanos(cost_nano_usd),
        }
    }
}
