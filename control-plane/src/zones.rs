//! The time zones a policy may name: those of the IANA database this program was built with, so
//! that a policy is legal or not on every machine alike.

use jiff::tz::TimeZoneDatabase;

/// Whether there is a time zone of this name.
pub(crate) fn exists(name: &str) -> bool {
    TimeZoneDatabase::bundled().get(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::exists;

    #[test]
    fn zones_are_known_without_the_files_of_the_machine() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Ushuaia",
            "Asia/Kolkata",
        ] {
            assert!(exists(zone), "{zone}");
        }
        for zone in ["", "Europe/Atlantis", "Local", "../../etc/passwd"] {
            assert!(!exists(zone), "{zone}");
        }
    }
}
