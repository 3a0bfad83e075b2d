//! The program itself: started, killed and stopped as a process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::plane::{Operator, limit};
use crate::quota::{Asking, DOLLAR, POLICY, spend_a_cent, verified};

/// A process that is killed if a test leaves it behind.
struct Program {
    child: Child,
    address: SocketAddr,
}

impl Program {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_agix-control-plane"))
            .args(["--listen", "127.0.0.1:0", "--store"])
            .arg(format!("embedded:{}", directory.display()))
            .args(["--log", "error"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
        Self { child, address }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_has_lost_nothing_that_was_acknowledged() {
    let directory = TempDir::new().unwrap();
    let mut acknowledged = 0;
    for round in 0..5_u32 {
        let mut program = Program::start(directory.path());
        let operator = Operator::at(program.address).await;
        let (found, more) = operator.history(0, None).await;
        let newest = found.first().copied().unwrap_or(0);
        assert!(
            newest >= acknowledged,
            "{newest} of {acknowledged} acknowledged revisions"
        );
        assert!(!more && (1..=newest).rev().eq(found));
        for revision in 1..=newest {
            operator.get(Some(revision)).await.unwrap();
        }
        acknowledged = newest;
        // Killed in the middle of an apply: at once, or after a few that were acknowledged.
        for n in 0..round {
            let revision = operator.apply(&limit(100 * round + n + 1)).await;
            acknowledged = revision.current.unwrap().revision;
        }
        let last = limit(100 * round + 99);
        let under_way = operator.try_apply(crate::plane::by("ann"), &last);
        let kill = async {
            tokio::task::yield_now().await;
            program.child.kill().unwrap();
        };
        let (outcome, ()) = tokio::join!(under_way, kill);
        if let Ok(outcome) = outcome {
            acknowledged = crate::plane::applied(outcome).current.unwrap().revision;
        }
    }
    assert!(acknowledged >= 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_has_lost_no_spend_that_was_confirmed() {
    let directory = TempDir::new().unwrap();
    let mut confirmed = 0;
    for round in 0..5_u64 {
        let mut program = Program::start(directory.path());
        let operator = Operator::at(program.address).await;
        if round == 0 {
            operator.apply(POLICY).await;
        }
        let before = verified(&operator).await.spent_nano_usd;
        assert!(before >= confirmed, "{before} of {confirmed} confirmed");
        let mut asking = Asking::new(&operator, &format!("proxy-{round}")).await;
        asking.fill().await;
        confirmed = before;
        for _ in 0..=round {
            confirmed = before + spend_a_cent(&mut asking).await.unwrap();
        }
        // Killed in the middle of a commit.
        let under_way = spend_a_cent(&mut asking);
        let kill = async {
            tokio::task::yield_now().await;
            program.child.kill().unwrap();
        };
        if let (Some(spent), ()) = tokio::join!(under_way, kill) {
            confirmed = before + spent;
        }
    }
    assert!(confirmed >= DOLLAR / 10);
}

#[test]
fn wrong_usage_has_an_exit_code_of_its_own() {
    let run = |args: &[&str]| {
        let program = env!("CARGO_BIN_EXE_agix-control-plane");
        let output = Command::new(program).args(args).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code(), told)
    };
    let (code, told) = run(&["--store", "etcd:127.0.0.1:2379"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("not an endpoint of etcd"), "{told}");
    let unreachable = ["--store", "etcd:http://127.0.0.1:1"];
    let (code, told) = run(&unreachable);
    assert_eq!(code, Some(1));
    assert!(told.contains("--seal-key-file"), "{told}");
    let (code, told) = run(&[&unreachable[..], &["--unsealed"]].concat());
    assert_eq!(code, Some(1));
    assert!(told.contains("etcd store cannot be reached"), "{told}");
    let (code, told) = run(&["--store", "memory", "--listen", "0.0.0.0:0"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("--insecure"), "{told}");
    let (code, told) = run(&["--store", "embedded:/proc/agix"]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("/proc/agix") && told.contains("caused by"),
        "{told}"
    );
}
