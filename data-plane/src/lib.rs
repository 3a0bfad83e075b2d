//! placeholder

pub mod dialect;
