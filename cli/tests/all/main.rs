//! agixctl as its users see it: exit codes, what is on stdout, what is on stderr.

#[cfg(test)]
mod dev;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod rollout;
