//! What must be true of books at every moment, whatever the log says happened.

use crate::id::AgentName;
use crate::ledger::{AgentBooks, Books, LedgerTime};
use crate::quota::Pool;
use crate::rate::Cooling;

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Finding {
    /// Which invariant is broken.
    pub invariant: &'static str,
    /// How.
    pub what: String,
}

/// Everything that is wrong with these books.
///
/// A limit that was lowered may be passed by what was granted and used before: that is not wrong and
/// is found out by comparing with the books before the change, which [`Books::replay`] does not keep.
/// So what is checked here is what holds at any limit.
pub fn check(books: &Books, now: LedgerTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (agent, of_agent) in &books.agents {
        check_cooling(agent, of_agent, now, &mut findings);
        check_holders(agent, books, of_agent, &mut findings);
        check_purses(agent, books, of_agent, &mut findings);
    }
    for (session, book) in &books.sessions {
        if session.number() > books.sessions_opened {
            findings.push(Finding {
                invariant: "I7",
                what: format!("session {session} was never opened"),
            });
        }
        for agent in &book.agents {
            if !books.agents.contains_key(agent) {
                findings.push(Finding {
                    invariant: "log",
                    what: format!("session {session} is booked for {agent}, which has no books"),
                });
            }
        }
    }
    findings
}

/// Whether what an agent holds and has used is within its limits. True of every grant: the ledger
/// grants only what is free.
pub fn within_limits(books: &Books, agent: &AgentName, now: LedgerTime) -> Vec<Finding> {
    let Some(of_agent) = books.agents.get(agent) else {
        return Vec::new();
    };
    let mut of_agent = AgentBooks::clone(of_agent);
    of_agent.advance(now);
    let terms = &of_agent.terms;
    let held = of_agent.held(Pool::Requests);
    let counts = [
        (
            "requests of a minute",
            terms.requests_per_minute,
            held,
            of_agent.minute.total(),
        ),
        (
            "requests of an hour",
            terms.requests_per_hour,
            held,
            of_agent.hour.total(),
        ),
        (
            "places",
            terms.max_concurrent,
            of_agent.held(Pool::Slots),
            0,
        ),
    ];
    counts
        .into_iter()
        .filter_map(|(what, limit, held, cooling)| {
            let limit = limit?;
            let all = held.saturating_add(cooling);
            (all > limit).then(|| Finding {
                invariant: "I2",
                what: format!(
                    "{agent}: {held} held and {cooling} cooling are more than {limit} {what}"
                ),
            })
        })
        .collect()
}

fn check_cooling(
    agent: &AgentName,
    books: &AgentBooks,
    now: LedgerTime,
    findings: &mut Vec<Finding>,
) {
    let windows = [
        ("minute", &books.minute, 60_u64),
        ("hour", &books.hour, 3_600),
        ("minute of tokens", &books.tokens, 60),
    ];
    for (name, cooling, seconds) in windows {
        let sum = cooling
            .releases()
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(count));
        if sum != cooling.total() {
            findings.push(Finding {
                invariant: "I2",
                what: format!(
                    "{agent}: {sum} cool in the {name}, but {} are counted",
                    cooling.total()
                ),
            });
        }
        if let Some(last) = last(cooling)
            && last.since(now).as_secs()
                > seconds
                    .saturating_add(seconds.div_ceil(100))
                    .saturating_add(11)
        {
            findings.push(Finding {
                invariant: "I1",
                what: format!("{agent}: a use in the {name} cools longer than its window"),
            });
        }
    }
}

fn last(cooling: &Cooling) -> Option<LedgerTime> {
    cooling.releases().last().map(|(at, _)| at)
}

fn check_holders(
    agent: &AgentName,
    books: &Books,
    of_agent: &AgentBooks,
    findings: &mut Vec<Finding>,
) {
    for pool in Pool::ALL {
        for (session, holding) in of_agent.pool(pool) {
            let is_open = books.sessions.get(session).is_some_and(|book| book.open);
            if !is_open {
                findings.push(Finding {
                    invariant: "I7",
                    what: format!("{agent}: session {session} is closed and holds {pool:?}"),
                });
            }
            if holding.returned > holding.granted {
                findings.push(Finding {
                    invariant: "I5",
                    what: format!(
                        "{agent}: session {session} returned {} of {} granted {pool:?}",
                        holding.returned, holding.granted
                    ),
                });
            }
        }
    }
}

fn check_purses(
    agent: &AgentName,
    books: &Books,
    of_agent: &AgentBooks,
    findings: &mut Vec<Finding>,
) {
    for (day, purse) in &of_agent.purses {
        for (session, part) in &purse.parts {
            if session.number() > books.sessions_opened {
                findings.push(Finding {
                    invariant: "I5",
                    what: format!(
                        "{agent}: money of {day} is with session {session}, never opened"
                    ),
                });
            }
            let given_back = part.released.saturating_add(part.spent);
            if !of_agent.terms.soft
                && part.released > part.granted
                && given_back > part.granted
                && part.granted > part.spent
            {
                findings.push(Finding {
                    invariant: "I4",
                    what: format!("{agent}: session {session} gave back more of {day} than it had"),
                });
            }
        }
    }
}
