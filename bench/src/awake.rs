//! Keeps cores from sleeping while latency is measured: to wake a sleeping core, a virtual one most
//! of all, takes longer than the proxies under test.
//!
//! The load core polls for events instead of waiting for them. On the core of the process measured
//! the kernel's idle loop polls, if it can be asked to; otherwise a loop of idle priority holds it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use thiserror::Error;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::process::Core;

/// Held open with a bound on the latency of waking up, it makes the kernel keep to the bound.
const LATENCY_BOUND: &str = "/dev/cpu_dma_latency";
/// Which driver chooses how a core idles; without one the bound has no effect.
const IDLE_DRIVER: &str = "/sys/devices/system/cpu/cpuidle/current_driver";

/// Cores that do not sleep until this is dropped.
#[derive(Debug)]
pub(crate) struct Awake {
    _held: Held,
    _poll: DropGuard,
}

/// What keeps the core of the process measured awake.
#[derive(Debug)]
enum Held {
    /// The kernel's own idle loop.
    Kernel(#[expect(dead_code, reason = "held open, not read")] File),
    /// A process that wants whatever nobody else wants.
    Process(Child),
}

/// A core that would fall asleep.
#[derive(Debug, Error)]
#[error("core {core} cannot be kept awake: neither {LATENCY_BOUND} nor `chrt --idle` works")]
pub(crate) struct AwakeError {
    core: Core,
    source: io::Error,
}

impl Awake {
    /// Keeps `core` and the core of the current runtime awake.
    ///
    /// # Errors
    /// When the machine allows neither way.
    pub(crate) fn start(core: Core) -> Result<Self, AwakeError> {
        let held = match bound_latency() {
            Ok(file) => Held::Kernel(file),
            Err(_) => {
                Held::Process(start_spin(core).map_err(|source| AwakeError { core, source })?)
            }
        };
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        TaskTracker::new().spawn(async move {
            while !stopped.is_cancelled() {
                // The runtime looks for events each time, and never waits for them.
                tokio::task::yield_now().await;
                // Who shares the core would not run at all if the bench goes before everything else.
                std::thread::yield_now();
            }
        });
        Ok(Self {
            _held: held,
            _poll: stop.drop_guard(),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self::Process(child) = self {
            // It may have ended already; either way nothing is left to do.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn bound_latency() -> io::Result<File> {
    if fs::read_to_string(IDLE_DRIVER)?.trim() == "none" {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let mut file = OpenOptions::new().write(true).open(LATENCY_BOUND)?;
    file.write_all(&0_i32.to_ne_bytes())?;
    Ok(file)
}

fn start_spin(core: Core) -> io::Result<Child> {
    Command::new("chrt")
        .args(["--idle", "0", "taskset", "-c", &core.to_string()])
        .arg(std::env::current_exe()?)
        .arg("spin")
        .stdin(Stdio::piped())
        .spawn()
}

/// Uses the core until standard input closes: whoever started this process holds the other end.
pub(crate) fn spin() {
    let done = Arc::new(AtomicBool::new(false));
    let closed = Arc::clone(&done);
    std::thread::spawn(move || {
        io::stdin().read_to_end(&mut Vec::new()).ok();
        closed.store(true, Ordering::Relaxed);
    });
    while !done.load(Ordering::Relaxed) {
        std::hint::spin_loop();
    }
}
