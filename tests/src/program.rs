//! One program of agix as a process: started, watched, stopped, and never left behind.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// The longest a program may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// The word before the addresses in the line a program prints when it is up.
const LISTENING: &str = "listening on ";

/// A running program. Dropped, it is killed; if the test failed, its output is printed.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Program {
    /// Starts `name` from the directory of built programs, with an environment of its own.
    ///
    /// # Panics
    /// It has not been built, or cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        name: &str,
        home: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(String, String)],
    ) -> Self {
        let mut child = command(name, home)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lines = Arc::default();
        collect(child.stdout.take(), &lines);
        collect(child.stderr.take(), &lines);
        Self {
            name: name.to_owned(),
            child,
            lines,
        }
    }

    /// The addresses the program says it listens on, once it does.
    ///
    /// # Panics
    /// It ends, or says nothing in time.
    pub async fn addresses(&mut self) -> Vec<SocketAddr> {
        let what = format!("{} says where it listens", self.name);
        until(&what, PATIENCE, async || {
            let ended = self.child.try_wait().expect("the state of a child");
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            let lines = self.lines();
            let line = lines.iter().find_map(|line| line.split_once(LISTENING))?.1;
            let words =
                line.split(|letter: char| !letter.is_ascii_digit() && !".:".contains(letter));
            let found = words.map(|word| word.trim_matches(':'));
            Some(found.filter_map(|word| word.parse().ok()).collect())
        })
        .await
    }

    /// What it printed so far, both streams together.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.clone()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end, as `kill` does.
    ///
    /// # Panics
    /// There is no such process.
    pub fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).expect("the program runs");
    }

    /// Stops it without ending it, as a machine that hangs does.
    ///
    /// # Panics
    /// There is no such process.
    pub fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).expect("the program runs");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// There is no such process.
    pub fn resume(&self) {
        kill_process(self.pid(), Signal::CONT).expect("the program runs");
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, once it has.
    ///
    /// # Panics
    /// It does not end in time.
    pub async fn ended(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        until(&what, PATIENCE, async || {
            self.child.try_wait().expect("the state of a child")
        })
        .await
    }

    /// The most memory it ever held, in KiB.
    ///
    /// # Panics
    /// There is no such process.
    pub fn peak_memory_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(status).expect("the program runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("a number of KiB")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!(
                "---- output of {} ----\n{}",
                self.name,
                self.lines().join("\n")
            );
        }
    }
}

/// A command that runs a built program with nothing of our environment but the path.
///
/// # Panics
/// The program has not been built.
pub(crate) fn command(name: &str, home: &Path) -> Command {
    let program = directory().join(name);
    assert!(
        program.is_file(),
        "{} does not exist: build the programs first, with `cargo build --bins`",
        program.display()
    );
    let mut command = Command::new(program);
    command
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        .env("USER", "tester")
        .env("NO_COLOR", "1")
        .current_dir(home);
    command
}

/// Where cargo puts programs: tests run from `deps` below it.
fn directory() -> PathBuf {
    let here = std::env::current_exe().expect("a test knows its own file");
    let above = here.ancestors().nth(2);
    above
        .expect("tests run from the target directory")
        .to_owned()
}

fn collect(stream: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    let stream = stream.expect("the stream is piped");
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line);
        }
    });
}
