//! A small generator of random numbers: the same seed gives the same numbers on every machine.

/// xoshiro256**, seeded by splitmix64.
#[derive(Debug, Clone)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Self {
        let mut x = seed;
        let mut next = || {
            x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        };
        Self {
            state: [next(), next(), next(), next()],
        }
    }

    /// A generator of its own, so that one more number here changes nothing there.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.bits())
    }

    /// 64 random bits.
    pub const fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below((high - low).saturating_add(1))
    }

    /// An index of something that has `length` elements.
    pub fn index(&mut self, length: usize) -> usize {
        let bound = u64::try_from(length).unwrap_or(0);
        usize::try_from(self.below(bound)).unwrap_or(0)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }

    /// True so many times out of a thousand.
    pub fn permille(&mut self, times: u64) -> bool {
        self.below(1_000) < times
    }

    /// A pause of a process that has no memory, with this mean; at most sixteen times as long.
    pub fn pause(&mut self, mean: u64) -> u64 {
        // -ln(u), with the logarithm of the mantissa taken for a straight line.
        let bits = self.bits() | 1;
        let whole = u64::from(bits.leading_zeros());
        let mantissa = (bits << whole) << 1;
        let log2 = (u128::from(whole + 1) << 64) - u128::from(mantissa);
        let nats = log2 * 693 / 1_000;
        let pause = (u128::from(mean) * (nats >> 32)) >> 32;
        u64::try_from(pause)
            .unwrap_or(u64::MAX)
            .min(mean.saturating_mul(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..100).map(|_| random.bits()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn pauses_have_the_mean_that_was_asked_for() {
        let mut random = Random::new(1);
        let sum: u64 = (0..100_000).map(|_| random.pause(1_000_000)).sum();
        let mean = sum / 100_000;
        assert!((950_000..1_050_000).contains(&mean), "{mean}");
    }

    #[test]
    fn a_number_lies_within_its_bounds_and_reaches_them() {
        let mut random = Random::new(2);
        let mut seen = [0_u32; 4];
        for _ in 0..1_000 {
            seen[random.index(4)] += 1;
            assert!((5..=6).contains(&random.between(5, 6)));
        }
        assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
        assert_eq!(random.below(0), 0);
    }
}
