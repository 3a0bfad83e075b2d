//! The days and months of a time zone, from the database this program was built with.
//!
//! A day begins with its first moment, which is not midnight where the clocks go forward then, and
//! may last 23 or 25 hours.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::policy::TimeZoneName;
use crate::quota::Day;
use crate::time::Wall;

/// The day of a moment in a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DaySpan {
    /// The day.
    pub day: Day,
    /// When it began.
    pub begins: Wall,
    /// When the next day begins.
    pub ends: Wall,
    /// When the next month begins.
    pub month_ends: Wall,
}

impl DaySpan {
    /// The day of `at` in `zone`. A zone the database does not have, which no policy can name, is
    /// taken for UTC.
    pub fn of(zone: &TimeZoneName, at: Wall) -> Self {
        let zone = TimeZoneDatabase::bundled()
            .get(zone.as_str())
            .unwrap_or(TimeZone::UTC);
        let moment = Timestamp::from_millisecond(at.as_millis()).unwrap_or(Timestamp::UNIX_EPOCH);
        let date = zone.to_datetime(moment).date();
        let tomorrow = date.tomorrow().unwrap_or(Date::MAX);
        let next_month = date.last_of_month().tomorrow().unwrap_or(Date::MAX);
        Self {
            day: day_of(date),
            begins: beginning(date, &zone),
            ends: beginning(tomorrow, &zone),
            month_ends: beginning(next_month, &zone),
        }
    }

    /// Time from `now` to the end of the day.
    pub fn ends_in(&self, now: Wall) -> Duration {
        until(now, self.ends)
    }

    /// Time from `now` to the end of the month.
    pub fn month_ends_in(&self, now: Wall) -> Duration {
        until(now, self.month_ends)
    }
}

/// The day so many days before this one.
pub fn days_before(day: Day, days: u32) -> Day {
    let number = day.number();
    let parts = (
        i16::try_from(number.div_euclid(10_000)),
        i8::try_from(number.div_euclid(100).rem_euclid(100)),
        i8::try_from(number.rem_euclid(100)),
    );
    let (Ok(year), Ok(month), Ok(of_month)) = parts else {
        return Day::FIRST;
    };
    Date::new(year, month, of_month)
        .and_then(|date| date.checked_sub(jiff::Span::new().days(i64::from(days))))
        .map_or(Day::FIRST, day_of)
}

fn until(now: Wall, end: Wall) -> Duration {
    let millis = end.as_millis().saturating_sub(now.as_millis());
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn day_of(date: Date) -> Day {
    let year = u16::try_from(date.year()).unwrap_or(0);
    let month = u8::try_from(date.month()).unwrap_or(1);
    let day = u8::try_from(date.day()).unwrap_or(1);
    Day::new(year, month, day).unwrap_or(Day::FIRST)
}

fn beginning(date: Date, zone: &TimeZone) -> Wall {
    let moment = date
        .to_zoned_datetime(zone.clone())
        .and_then(|midnight| midnight.start_of_day())
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp());
    Wall::from_millis(moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(text: &str) -> Wall {
        Wall::from_millis(text.parse::<Timestamp>().unwrap().as_millisecond())
    }

    fn span(zone: &str, at: &str) -> DaySpan {
        DaySpan::of(&TimeZoneName::new(zone, |_| true).unwrap(), wall(at))
    }

    #[test]
    fn the_same_moment_lies_in_different_days() {
        let at = "2026-11-30T23:30:00Z";
        let utc = span("UTC", at);
        assert_eq!(utc.day.number(), 20_261_130);
        assert_eq!(utc.ends, wall("2026-12-01T00:00:00Z"));
        assert_eq!(utc.month_ends, wall("2026-12-01T00:00:00Z"));
        let tokyo = span("Asia/Tokyo", at);
        assert_eq!(tokyo.day.number(), 20_261_201);
        assert_eq!(tokyo.ends, wall("2026-12-01T15:00:00Z"));
        assert_eq!(tokyo.month_ends, wall("2026-12-31T15:00:00Z"));
        assert_eq!(tokyo.ends_in(wall(at)).as_secs(), 15 * 3_600 + 1_800);
    }

    #[test]
    fn a_day_begins_with_its_first_moment_and_may_be_short_or_long() {
        // Cairo has no midnight on 24 April 2026: the day begins at one.
        let cairo = span("Africa/Cairo", "2026-04-23T20:00:00Z");
        assert_eq!(cairo.day.number(), 20_260_423);
        assert_eq!(cairo.ends, wall("2026-04-23T22:00:00Z"));
        let next = span("Africa/Cairo", "2026-04-23T22:00:00Z");
        assert_eq!(next.day.number(), 20_260_424);
        assert_eq!(
            next.ends_in(wall("2026-04-23T22:00:00Z")).as_secs(),
            23 * 3_600
        );
        // Berlin gets an hour more on 25 October 2026.
        let berlin = span("Europe/Berlin", "2026-10-24T22:00:00Z");
        assert_eq!(berlin.day.number(), 20_261_025);
        assert_eq!(
            berlin.ends_in(wall("2026-10-24T22:00:00Z")).as_secs(),
            25 * 3_600
        );
    }

    #[test]
    fn days_are_counted_back_over_months_and_leap_years() {
        let day = |number| Day::from_number(number).unwrap();
        assert_eq!(days_before(day(20_280_301), 1), day(20_280_229));
        assert_eq!(days_before(day(20_270_101), 62), day(20_261_031));
        assert_eq!(days_before(day(20_270_101), 0), day(20_270_101));
        assert_eq!(days_before(day(20_270_231), 1), Day::FIRST, "no such day");
    }

    #[test]
    fn an_unknown_zone_is_utc() {
        assert_eq!(
            span("Europe/Atlantis", "2026-11-30T23:30:00Z").day.number(),
            20_261_130
        );
    }
}
