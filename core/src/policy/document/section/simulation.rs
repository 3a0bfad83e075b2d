//! `simulate`, the script of a simulated provider or model.

use crate::policy::document::Reader;
use crate::policy::document::field::{Field, Whole};
use crate::policy::document::tree::{Value, is_number};
use crate::policy::{SimulatedOutcome, Simulation};

const OUTCOMES: [(&str, SimulatedOutcome); 4] = [
    ("ok", SimulatedOutcome::Answer),
    ("reset", SimulatedOutcome::Reset),
    ("stall", SimulatedOutcome::Stall),
    ("truncate", SimulatedOutcome::Truncate),
];
const STATUS: Whole = Whole {
    least: 400,
    most: 599,
};
const OUTPUT_TOKENS: Whole = Whole {
    least: 1,
    most: 1_000_000,
};

pub(super) fn read(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<Simulation> {
    let keys = ["first_token", "per_token", "output_tokens", "outcomes"];
    let [first_token, per_token, output_tokens, outcomes] = field.record(reader, keys)?;
    let default = Simulation::default();
    Some(Simulation {
        first_token: first_token
            .and_then(|field| field.duration(reader, true))
            .unwrap_or(default.first_token),
        per_token: per_token
            .and_then(|field| field.duration(reader, true))
            .unwrap_or(default.per_token),
        output_tokens: output_tokens
            .and_then(|field| field.whole_u32(reader, OUTPUT_TOKENS))
            .unwrap_or(default.output_tokens),
        outcomes: match outcomes {
            Some(field) => field
                .items(reader)?
                .iter()
                .filter_map(|item| outcome(item, reader))
                .collect(),
            None => default.outcomes,
        },
    })
}

fn outcome(field: &Field<'_, '_>, reader: &mut Reader<'_>) -> Option<SimulatedOutcome> {
    let text = match field.node.value() {
        Value::Plain(text) if is_number(text) => {
            let status = field.whole(reader, STATUS)?;
            return u16::try_from(status).ok().map(SimulatedOutcome::Status);
        }
        _ => field.text(reader)?,
    };
    let found = OUTCOMES.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let words = ["ok", "reset", "stall", "truncate", "a status such as 503"];
        field.bad_choice(reader, text, &words);
    }
    found.map(|(_, outcome)| *outcome)
}
