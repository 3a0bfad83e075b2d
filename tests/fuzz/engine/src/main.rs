//! Runs the parser named by `AGIX_FUZZ_PARSER` on what libFuzzer makes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static PARSER: LazyLock<agix_fuzz::Parser> = LazyLock::new(|| {
    let name = std::env::var("AGIX_FUZZ_PARSER").unwrap_or_default();
    agix_fuzz::find(&name).expect("AGIX_FUZZ_PARSER names a parser")
});

fuzz_target!(|bytes: &[u8]| (PARSER.check)(bytes));
