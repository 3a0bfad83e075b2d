//! `agixctl dev`, from its start to its end.

use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use crate::harness::{Files, agixctl, command, limit};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `agixctl dev`, stopped at the end.
struct Dev {
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
}

impl Dev {
    fn start(args: &[&str], keys: &[(&str, &str)]) -> Self {
        let ports = PORTS.map(|flag| [flag, "127.0.0.1:0"]);
        let line = ["dev"].into_iter().chain(ports.into_iter().flatten());
        let mut command = command(line.chain(args.iter().copied()));
        command.envs(keys.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = read(BufReader::new(child.stdout.take().unwrap()));
        let errors = read(BufReader::new(child.stderr.take().unwrap()));
        Self {
            child,
            lines,
            errors,
        }
    }

    /// The next line of stdout that has this text.
    fn line(&self, text: &str) -> String {
        next(&self.lines, text)
    }

    /// The next line of stderr that has this text.
    fn error(&self, text: &str) -> String {
        next(&self.errors, text)
    }

    /// The address on the banner's line that begins with `part`.
    fn address(&self, part: &str) -> String {
        let line = self.line(part);
        let (_, rest) = line.split_once("http://").unwrap();
        rest.split(['/', ' ']).next().unwrap().to_owned()
    }

    /// Presses Ctrl-C and waits for the end.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let kill = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(kill.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read(source: impl std::io::BufRead + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1_000);
    std::thread::spawn(move || {
        for line in source.lines().map_while(Result::ok) {
            drop(sender.send(line));
        }
    });
    receiver
}

#[track_caller]
fn next(lines: &Receiver<String>, text: &str) -> String {
    let mut seen = Vec::new();
    loop {
        let Ok(line) = lines.recv_timeout(PATIENCE) else {
            panic!("no `{text}` in {seen:#?}");
        };
        if line.contains(text) {
            return line;
        }
        seen.push(line);
    }
}

/// Sends a chat request and gives the answer, head and body.
fn ask(address: &str, model: &str) -> String {
    let body =
        format!(r#"{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}"#);
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The flags of the ports that dev opens.
const PORTS: [&str; 4] = ["--listen", "--control", "--http", "--admin"];

#[test]
fn a_newcomer_sees_failover_with_the_second_request() {
    let data = Files::new();
    let dev = Dev::start(&["--data-dir", data.path().to_str().unwrap()], &[]);
    let agents = dev.address("agents");
    dev.line("simulated models");
    dev.line("Finished requests");

    let first = ask(&agents, "gpt-4o");
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    assert!(first.contains("x-agix-model: gpt-4o\r\n"), "{first}");
    assert!(first.contains("x-agix-attempts: 1\r\n"), "{first}");
    let second = ask(&agents, "gpt-4o");
    assert!(second.starts_with("HTTP/1.1 200"), "{second}");
    assert!(
        second.contains("x-agix-model: claude-opus-4-6\r\n"),
        "{second}"
    );
    assert!(second.contains("x-agix-attempts: 2\r\n"), "{second}");

    dev.line("gpt-4o  1 attempt");
    dev.line("gpt-4o -> claude-opus-4-6  2 attempts");
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn a_saved_file_is_applied_and_a_bad_one_is_not() {
    let files = Files::new();
    let data = Files::new();
    let policy = files.write("policy.yaml", &limit(1));
    let dev = Dev::start(
        &[
            "--policy",
            policy.to_str().unwrap(),
            "--data-dir",
            data.path().to_str().unwrap(),
        ],
        &[],
    );
    let control = dev.address("control plane");
    dev.line("Finished requests");

    files.write(
        "policy.yaml",
        "rate_limits:\n  batch:\n    requests_per_minute: none\n",
    );
    dev.error("policy.yaml:3:26");
    dev.error("nothing changes until it is saved again");
    files.write("policy.yaml", &limit(200));
    dev.line("policy applied (revision 1 -> 2)");
    dev.line("1 -> 200");

    let endpoint = format!("--endpoint=http://{control}");
    agixctl(["status", &endpoint])
        .exits(0)
        .says("1/1")
        .says("store embedded");
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn what_somebody_applied_is_kept_and_what_dev_made_is_renewed() {
    let data = Files::new();
    let args = ["--data-dir", data.path().to_str().unwrap()];
    let dev = Dev::start(&args, &[]);
    dev.line("simulated models");
    dev.line("Finished requests");
    assert_eq!(dev.interrupt(), Some(0));

    let key = [
        ("OPENAI_API_KEY", "sk-test"),
        ("ANTHROPIC_API_KEY", "sk-test"),
    ];
    let dev = Dev::start(&args, &key);
    dev.line("policy applied (revision 1 -> 2)");
    let control = dev.address("control plane");
    dev.line("revision 2: built in, for openai, anthropic");
    dev.line("Finished requests");
    let endpoint = format!("--endpoint=http://{control}");
    agixctl(["get", "chains", &endpoint])
        .exits(0)
        .says("gpt-4o");
    agixctl(["rollback", "1", &endpoint]).exits(0);
    assert_eq!(dev.interrupt(), Some(0));

    let dev = Dev::start(&args, &key);
    dev.line("revision 3: applied earlier and kept");
    assert_eq!(dev.interrupt(), Some(0));
}

#[test]
fn an_address_in_use_names_its_flag() {
    let data = Files::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for flag in PORTS {
        let mut line = vec!["dev", "--data-dir", data.path().to_str().unwrap()];
        for part in PORTS {
            line.extend([part, if part == flag { &taken } else { "127.0.0.1:0" }]);
        }
        agixctl(line)
            .exits(1)
            .complains(&format!("{taken} is in use by another program"))
            .complains(&format!("choose another with {flag}"));
    }
}

#[test]
fn a_policy_that_does_not_exist_is_a_usage_error() {
    let data = Files::new();
    let dir = data.path().to_str().unwrap();
    agixctl(["dev", "--data-dir", dir, "--policy", "/nonexistent.yaml"])
        .exits(2)
        .complains("/nonexistent.yaml cannot be read");
}

#[test]
fn data_that_another_dev_uses_is_left_alone() {
    let data = Files::new();
    let args = ["--data-dir", data.path().to_str().unwrap()];
    let first = Dev::start(&args, &[]);
    first.line("Finished requests");
    let mut line = vec!["dev"];
    line.extend(args);
    for flag in PORTS {
        line.extend([flag, "127.0.0.1:0"]);
    }
    agixctl(line).exits(1).complains("--data-dir");
}
