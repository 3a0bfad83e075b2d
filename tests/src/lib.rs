//! The test bed of agix: real processes, a mock provider, and a caller that sees every byte.
//!
//! Nothing here sleeps to wait for something: waits look for what they wait for, and have a
//! deadline. Ports are chosen by the system and directories are temporary, so tests run at once.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test bed reports what goes wrong by failing the test"
)]

pub mod agixctl;
pub mod ask;
pub mod authority;
pub mod callback_receiver;
pub mod caller;
mod clock;
pub mod collector;
pub mod crowd;
pub mod etcd;
pub mod history;
pub mod mock_provider;
pub mod network;
pub mod program;
pub mod promtool;
pub mod replicas;
pub mod test_bed;
pub mod transcript;
pub mod wait;
