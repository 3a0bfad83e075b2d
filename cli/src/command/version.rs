//! `version`: this program's.

use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::output::{Look, Output, View};

#[derive(Debug, Serialize)]
struct Version {
    version: &'static str,
}

impl View for Version {
    fn text(&self, _look: Look) -> String {
        format!("agixctl {}\n", self.version)
    }
}

pub(crate) fn run(output: Output) -> Result<Exit, Failure> {
    output.data(&Version {
        version: env!("CARGO_PKG_VERSION"),
    })?;
    Ok(Exit::Ok)
}
