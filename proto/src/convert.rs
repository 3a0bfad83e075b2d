//! Conversions between the wire and the rules.
