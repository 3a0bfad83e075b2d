//! Metrics as text, for those who read only the older of the two formats.
//!
//! The encoder writes OpenMetrics. Prometheus' own older text format differs in what it calls a
//! counter (by the name of its samples), and has neither units nor an end.

/// How the older format is called in HTTP.
pub const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How OpenMetrics is called in HTTP.
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The text for a reader who says that it takes `accept`, and what that text is.
pub fn negotiated(accept: Option<&str>, open_metrics: String) -> (&'static str, String) {
    if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
        return (OPEN_METRICS, open_metrics);
    }
    (PLAIN, plain(&open_metrics))
}

/// The same metrics in the older format.
fn plain(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // The help of a metric comes before its type, which says how it is called.
    let mut help = None;
    for line in open_metrics.lines() {
        match line.strip_prefix("# ").unwrap_or_default() {
            said if said.starts_with("HELP ") => help = said.strip_prefix("HELP "),
            said if said.starts_with("TYPE ") => {
                let typed = said.strip_prefix("TYPE ").and_then(|it| it.split_once(' '));
                let Some((name, kind)) = typed else { continue };
                let end = if kind == "counter" { "_total" } else { "" };
                let words = help.take().and_then(|help| help.strip_prefix(name));
                if let Some(words) = words {
                    text.extend(["# HELP ", name, end, words, "\n"]);
                }
                text.extend(["# TYPE ", name, end, " ", kind, "\n"]);
            }
            "EOF" => {}
            said if said.starts_with("UNIT ") => {}
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "\
# HELP agix_requests Finished requests.
# TYPE agix_requests counter
agix_requests_total{model=\"a # b\"} 3
# HELP agix_overhead_seconds Own time.
# TYPE agix_overhead_seconds histogram
# UNIT agix_overhead_seconds seconds
agix_overhead_seconds_count 2
# EOF
";

    #[test]
    fn the_older_format_calls_a_counter_by_its_samples() {
        let (kind, text) = negotiated(None, OPEN.to_owned());
        assert_eq!(kind, PLAIN);
        let expected = "\
# HELP agix_requests_total Finished requests.
# TYPE agix_requests_total counter
agix_requests_total{model=\"a # b\"} 3
# HELP agix_overhead_seconds Own time.
# TYPE agix_overhead_seconds histogram
agix_overhead_seconds_count 2
";
        assert_eq!(text, expected);
    }

    #[test]
    fn who_takes_openmetrics_gets_it() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
        let same = (OPEN_METRICS, OPEN.to_owned());
        assert_eq!(negotiated(Some(accept), OPEN.to_owned()), same);
    }
}
