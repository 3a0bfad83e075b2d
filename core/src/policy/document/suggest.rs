//! "Did you mean": the name nearest to a misspelt one.

/// The candidate that most resembles `name`, if any does.
pub(in crate::policy) fn nearest<'c>(
    name: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let wanted = name.to_ascii_lowercase();
    let most = allowed(wanted.chars().count());
    candidates
        .into_iter()
        .filter(|candidate| *candidate != name)
        .filter(|candidate| candidate.len().abs_diff(wanted.len()) <= most)
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Most edits by which a name of `length` characters may differ: a third of it, at least one.
fn allowed(length: usize) -> usize {
    length.div_ceil(3).clamp(1, 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_word() {
        let keys = ["requests_per_minute", "requests_per_hour", "max_concurrent"];
        for (typed, meant) in [
            ("request_per_minute", Some("requests_per_minute")),
            ("requests_per_hours", Some("requests_per_hour")),
            ("Max_Concurrent", Some("max_concurrent")),
            ("prompt", None),
        ] {
            assert_eq!(nearest(typed, keys), meant, "{typed}");
        }
    }
}
