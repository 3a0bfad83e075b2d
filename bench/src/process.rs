//! Processes under test: each on one core, ended with the bench, measured through /proc.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use crate::clock;

/// What one tick of /proc/PID/stat is: USER_HZ, 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Time a process has to be ready.
const START_TIME: Duration = Duration::from_secs(15);
/// Pause between two looks at it.
const START_PAUSE: Duration = Duration::from_millis(50);

/// A core, by the system's number.
pub(crate) type Core = u32;

/// A running process; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

/// A process that cannot be run or measured.
#[derive(Debug, Error)]
pub(crate) enum ProcessError {
    /// The program cannot be started.
    #[error("{program} cannot be started")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It ended when it should run.
    #[error("{name} ended: {log}")]
    Ended {
        /// Which.
        name: &'static str,
        /// The end of its log.
        log: String,
    },
    /// A command failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Which.
        program: String,
        /// What it wrote on standard error.
        said: String,
    },
    /// /proc does not tell.
    #[error("/proc says nothing of {name}")]
    Unmeasured {
        /// Of whom.
        name: &'static str,
    },
    /// No free port.
    #[error("no port is free")]
    Port(#[source] io::Error),
}

impl Process {
    /// Starts `program` on `core`, its output in `log`.
    pub(crate) fn start(
        name: &'static str,
        core: Core,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Start {
            program: program.display().to_string(),
            source,
        };
        let out = fs::File::create(log).map_err(failed)?;
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(failed)?)
            .stderr(out)
            .spawn()
            .map_err(failed)?;
        Ok(Self { name, child })
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if the process has ended, with the end of `log`.
    pub(crate) fn check(&mut self, log: &Path) -> Result<(), ProcessError> {
        if matches!(self.child.try_wait(), Ok(None)) {
            return Ok(());
        }
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let log = lines
            .get(lines.len().saturating_sub(10)..)
            .unwrap_or_default()
            .join("\n");
        Err(ProcessError::Ended {
            name: self.name,
            log,
        })
    }

    /// Processor time used so far, user and system, all threads.
    pub(crate) fn processor_time(&self) -> Result<Duration, ProcessError> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        // The second field is the name in brackets; user and system time are fields 14 and 15.
        let fields = text
            .rsplit_once(") ")
            .map(|(_, rest)| rest.split_ascii_whitespace());
        let ticks = fields.and_then(|mut fields| {
            let user: u32 = fields.nth(11)?.parse().ok()?;
            let system: u32 = fields.next()?.parse().ok()?;
            Some(user + system)
        });
        Ok(TICK * ticks.ok_or(ProcessError::Unmeasured { name: self.name })?)
    }

    /// Resident memory now, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u32, ProcessError> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        resident(&text).ok_or(ProcessError::Unmeasured { name: self.name })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; either way nothing is left to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Puts this process, and what it starts from now on, on `core`. Call it before any thread starts.
pub(crate) fn pin_self(core: Core) -> Result<(), ProcessError> {
    let own = std::process::id().to_string();
    run(Path::new("taskset"), &["-cp", &core.to_string(), &own])
}

/// Puts the calling thread on `core`.
pub(crate) fn pin_thread(core: Core) -> Result<(), ProcessError> {
    let unknown = ProcessError::Unmeasured {
        name: "this thread",
    };
    let own = fs::read_link("/proc/thread-self").ok();
    let own = own.as_deref().and_then(Path::file_name);
    let own = own.ok_or(unknown)?.to_string_lossy();
    run(Path::new("taskset"), &["-cp", &core.to_string(), &own])
}

/// Resident memory of this process, in bytes.
pub(crate) fn own_resident() -> Result<u64, ProcessError> {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    resident(&text)
        .map(|kib| u64::from(kib) * 1_024)
        .ok_or(ProcessError::Unmeasured {
            name: "this process",
        })
}

/// Resident memory as /proc/PID/status tells it, in KiB.
fn resident(status: &str) -> Option<u32> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// Share of the last ten seconds, in percent, in which something waited for a core; `None` where
/// the kernel does not tell.
pub(crate) fn other_work() -> Option<f64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let (_, rest) = text.split_once("avg10=")?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Runs a command to its end.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> Result<(), ProcessError> {
    let shown = program.display().to_string();
    let output = match Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
    {
        Ok(output) => output,
        Err(source) => {
            return Err(ProcessError::Start {
                program: shown,
                source,
            });
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ProcessError::Failed {
        program: shown,
        said,
    })
}

/// Runs a command until it does not fail, for some time: what it needs may just be starting.
pub(crate) fn run_when_ready(program: &Path, arguments: &[&str]) -> Result<(), ProcessError> {
    let end = clock::now() + START_TIME;
    loop {
        match run(program, arguments) {
            Err(_) if clock::now() < end => thread::sleep(START_PAUSE),
            outcome => return outcome,
        }
    }
}

/// A free port of the loopback interface, for programs that must be told one.
pub(crate) fn free_address() -> Result<SocketAddr, ProcessError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(ProcessError::Port)?;
    listener.local_addr().map_err(ProcessError::Port)
}
