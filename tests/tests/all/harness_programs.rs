//! The test bed itself: programs are found, watched, and never left behind.

use std::net::{SocketAddr, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use agix_tests::program::Program;
use agix_tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

async fn running(home: &Path) -> (Program, SocketAddr) {
    let arguments = ["--listen", "127.0.0.1:0"];
    let mut program = Program::start("mock-provider", home, arguments, &[]);
    let address = program.addresses().await[0];
    (program, address)
}

fn listens(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

#[tokio::test]
async fn a_dropped_program_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let (program, address) = running(home.path()).await;
    assert!(listens(address));
    drop(program);
    assert!(!listens(address));
}

#[tokio::test]
async fn a_program_of_a_test_that_panics_is_gone_too() {
    let home = tempfile::tempdir().unwrap();
    let (program, address) = running(home.path()).await;
    let outcome = catch_unwind(AssertUnwindSafe(move || {
        let _held = program;
        std::panic::resume_unwind(Box::new("a failed assertion"));
    }));
    assert!(outcome.is_err());
    assert!(!listens(address));
}

#[tokio::test]
async fn output_is_collected_and_the_end_is_seen() {
    let home = tempfile::tempdir().unwrap();
    let (mut program, address) = running(home.path()).await;
    let expected = format!("mock-provider is listening on {address}");
    assert_eq!(program.lines(), [expected]);
    assert!(program.peak_memory_kib() > 0);
    program.terminate();
    assert!(!program.ended().await.success());
    let mut wrong = Program::start("mock-provider", home.path(), ["--nonsense"], &[]);
    assert_eq!(wrong.ended().await.code(), Some(2));
    until("its words are collected", PATIENCE, async || {
        wrong
            .lines()
            .iter()
            .any(|line| line.contains("--nonsense"))
            .then_some(())
    })
    .await;
}

#[test]
fn a_program_that_was_not_built_is_missed_with_advice() {
    let missing = catch_unwind(|| {
        let home = Path::new("/");
        Program::start("agix-of-nobody", home, [""; 0], &[])
    });
    let message = missing.unwrap_err();
    let message = message.downcast_ref::<String>().unwrap();
    assert!(message.contains("cargo build --bins"), "{message}");
}
