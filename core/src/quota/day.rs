//! Days and months of the calendar, as the books name them.

use std::fmt;

/// A day of the Gregorian calendar, in whatever time zone its agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    year: u16,
    month: u8,
    of_month: u8,
}

/// A month of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u16,
    month: u8,
}

/// A number that is no day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a day written as year, month and day")]
pub struct InvalidDay(pub u32);

impl Day {
    /// The first day there is.
    pub const FIRST: Self = Self {
        year: 0,
        month: 1,
        of_month: 1,
    };

    /// The day, if its parts are within their ranges.
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let legal = year <= 9_999 && (1..=12).contains(&month) && (1..=31).contains(&day);
        legal.then_some(Self {
            year,
            month,
            of_month: day,
        })
    }

    /// Reads `20261125`.
    pub fn from_number(number: u32) -> Result<Self, InvalidDay> {
        let year = u16::try_from(number.div_euclid(10_000));
        let month = u8::try_from(number.div_euclid(100).rem_euclid(100));
        let day = u8::try_from(number.rem_euclid(100));
        match (year, month, day) {
            (Ok(year), Ok(month), Ok(day)) => Self::new(year, month, day).ok_or(InvalidDay(number)),
            _ => Err(InvalidDay(number)),
        }
    }

    /// Writes `20261125`, which sorts as the day does.
    pub fn number(self) -> u32 {
        u32::from(self.year)
            .saturating_mul(10_000)
            .saturating_add(u32::from(self.month).saturating_mul(100))
            .saturating_add(u32::from(self.of_month))
    }

    /// The month it belongs to.
    pub const fn month(self) -> Month {
        Month {
            year: self.year,
            month: self.month,
        }
    }
}

impl Month {
    /// Its first day.
    pub const fn first_day(self) -> Day {
        Day {
            year: self.year,
            month: self.month,
            of_month: 1,
        }
    }

    /// The last day a month can have.
    pub const fn last_day(self) -> Day {
        Day {
            year: self.year,
            month: self.month,
            of_month: 31,
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.of_month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_as_it_was_written() {
        let day = Day::new(2026, 11, 25).unwrap();
        assert_eq!(day.number(), 20_261_125);
        assert_eq!(Day::from_number(20_261_125), Ok(day));
        assert_eq!(day.to_string(), "2026-11-25");
        assert_eq!(day.month().to_string(), "2026-11");
        for wrong in [0, 20_261_301, 20_261_132, 20_260_001, 120_260_101] {
            assert_eq!(Day::from_number(wrong), Err(InvalidDay(wrong)));
        }
    }
}
