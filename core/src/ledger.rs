//! The ledger: the only authority over requests and money.
//!
//! It is a state machine over its log. [`Books`] are what a log adds up to: [`Books::apply`] takes
//! an [`Entry`] and decides nothing, so that a replay comes to the same books whatever version of
//! agix made the log. [`Ledger`] decides: it takes what proxies say, appends entries, and has
//! something to tell them.
//!
//! Rules this module keeps:
//! - **The log comes first.** What [`Ledger::drain`] hands out is told only after its batch has been
//!   committed.
//! - **Conservation.** For every account: `free + held + cooling = limit`. A permit cools from its
//!   use, or from the end of the lease of a session that is lost, for the length of its window.
//! - **Settling is never refused.** What was spent beyond what was granted is debt.
//! - **Nothing is reset.** A period is a new account; a limit that changes moves the ceiling alone.
//! - Time is an argument and logical: it advances at the owner's rate and is carried in the log.
//! - What is not in the log (who waits for what, on which stream) may be forgotten: proxies repeat it.

mod books;
mod claims;
mod decide;
mod entry;
mod housekeeping;
mod intake;
mod machine;
mod standing;
mod succession;
mod tell;
mod verify;

#[cfg(test)]
mod tests;

pub use books::{AgentBooks, Books, Corrupt, Holding, Money, Part, Purse, SessionBook, UsageRow};
pub use entry::{AlertPeriod, Batch, Entry, LedgerTime};
pub use machine::{Drained, Input, Ledger};
pub use standing::{AgentState, PeriodState};
pub use succession::{ClockMark, elapsed};
pub use verify::{Finding, check, within_limits};
