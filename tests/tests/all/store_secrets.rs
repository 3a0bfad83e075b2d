//! Secrets of a policy and what webhooks carry are in no file of a store, in no log and in nothing
//! agixctl shows: not as they are, not in base64, not in hexadecimal.

use std::path::{Path, PathBuf};

use agix_tests::agixctl::Agixctl;
use agix_tests::etcd::Member;
use agix_tests::program::Program;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

const API_KEY: &str = "sk-Wq8vN2xLr5TzJd7Y";
const HEADER: &str = "hd-Zk3pB9mGf6CsXa1H";
const WEBHOOK: &str = "wh-Ut4yE7nVb2RjKo8Q";
const NEW_WEBHOOK: &str = "wh-Lm5cD8sAh1PgIx3W";
const PAYLOAD: &str = "pl-Fe6uT9wOy4BiNk2S";
const SECRETS: [&str; 5] = [API_KEY, HEADER, WEBHOOK, NEW_WEBHOOK, PAYLOAD];
const SEAL_KEY: &str = "a3f1c5e7092b4d6f8a0c1e3f5a7b9d1e3f5b7c9d0e2f4a6b8c0d2e4f6a8b0c1d";

/// A control plane, a proxy and an operator on one store.
struct Fleet {
    control_plane: Program,
    proxy: Program,
    agixctl: Agixctl,
    proxy_url: String,
}

impl Fleet {
    async fn start(home: &Path, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let log = [("AGIX_LOG".to_owned(), "trace".to_owned())];
        let environment = [&log[..], environment].concat();
        let fixed = ["--listen", "127.0.0.1:0"];
        let all = fixed.iter().chain(arguments);
        let mut control_plane = Program::start("agix-control-plane", home, all, &environment);
        let address = control_plane.addresses().await[0];
        let url = format!("http://{address}");
        let any = "127.0.0.1:0";
        let arguments = ["--listen", any, "--admin", any, "--control-plane", &url];
        let mut proxy = Program::start("agix-proxy", home, arguments, &log);
        let proxy_url = format!("http://{}", proxy.addresses().await[0]);
        Self {
            control_plane,
            proxy,
            agixctl: Agixctl::new(home, address),
            proxy_url,
        }
    }

    /// Uses every secret once; everything that was shown meanwhile.
    async fn use_secrets(&self, home: &Path) -> String {
        let agixctl = &self.agixctl;
        let mut shown = agixctl.apply(&policy(WEBHOOK), &["--wait"]).await;
        shown += &agixctl.apply(&policy(NEW_WEBHOOK), &["--wait"]).await;
        let file = home.join("payload");
        std::fs::write(&file, PAYLOAD).unwrap();
        let file = file.display().to_string();
        let secret = home.join("secret");
        std::fs::write(&secret, NEW_WEBHOOK).unwrap();
        let secret = secret.display().to_string();
        let send = ["webhook", "send", "summarize", "-f", &file];
        let with = ["--secret-file", &secret, "--proxy", &self.proxy_url];
        agixctl.ok(&[&send[..], &with].concat()).await;
        for command in [
            &["get"][..],
            &["get", "-o", "json"],
            &["get", "-o", "yaml"],
            &["get", "webhooks", "-o", "json"],
            &["get", "providers", "-o", "wide"],
            &["history", "-o", "json"],
            &["show", "1"],
            &["show", "2", "-o", "json"],
            &["webhook", "list", "-o", "json"],
            &["webhook", "history", "-o", "json"],
        ] {
            shown += &agixctl.ok(command).await;
        }
        let diff = agixctl.run(&["diff", "--from", "1", "--to", "2"]).await;
        assert_eq!(diff.code, 1, "{diff:#?}");
        assert!(diff.out.contains("webhooks.definitions.summarize.secret"));
        shown + &diff.out + &diff.err
    }

    /// Ends everything; what was logged.
    fn end(mut self) -> String {
        self.proxy.kill();
        self.control_plane.kill();
        let lines = [self.proxy.lines(), self.control_plane.lines()];
        lines.concat().join("\n")
    }
}

fn policy(webhook_secret: &str) -> String {
    format!(
        r#"
providers:
  mine:
    api: openai
    base_url: "http://127.0.0.1:1/v1"
    api_key: {API_KEY}
    headers: {{ x-team-key: {HEADER} }}
  practice: {{ api: simulated }}
models: {{ practice-model: {{ provider: practice }} }}
webhooks:
  enabled: true
  definitions:
    summarize:
      secret: {webhook_secret}
      model: practice-model
      prompt_template: "Say {{{{.Payload}}}}"
      callback_url: "http://127.0.0.1:1/"
      allow_insecure: true
      allow_private: true
"#
    )
}

/// The secrets that are in `text`, in one form or another.
fn found_in(text: &[u8]) -> Vec<String> {
    let mut beginnings = vec![Vec::new(); 256];
    for secret in SECRETS {
        for form in forms(secret) {
            beginnings[usize::from(form[0])].push((secret, form));
        }
    }
    let mut found = Vec::new();
    for (at, byte) in text.iter().enumerate() {
        for (secret, form) in &beginnings[usize::from(*byte)] {
            if text[at..].starts_with(form) {
                found.push(format!("{secret} as {}", String::from_utf8_lossy(form)));
            }
        }
    }
    found
}

/// A secret as it is, in hexadecimal, and in base64 wherever it begins in what is encoded.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let hex = |digit: fn(&u8) -> String| secret.bytes().map(|byte| digit(&byte)).collect();
    let lower: String = hex(|byte| format!("{byte:02x}"));
    let upper: String = hex(|byte| format!("{byte:02X}"));
    let mut forms = vec![secret.to_owned(), lower, upper];
    for before in 0..3 {
        let shifted = [&b"xx"[..before], secret.as_bytes()].concat();
        for encoded in [STANDARD.encode(&shifted), URL_SAFE.encode(&shifted)] {
            // The digits at both ends depend on the neighbours too.
            let own = encoded.trim_end_matches('=');
            let own = &own[(before * 8).div_ceil(6)..own.len() - 1];
            forms.push(own.to_owned());
        }
    }
    forms.into_iter().map(String::into_bytes).collect()
}

/// The contents of all files below `directory`.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = std::fs::read(&path).unwrap();
            found.push((path, content));
        }
    }
    found
}

fn nothing_in(files: &[(PathBuf, Vec<u8>)]) {
    assert!(!files.is_empty());
    for (path, content) in files {
        assert_eq!(found_in(content), [""; 0], "{}", path.display());
    }
}

#[test]
fn the_search_finds_a_secret_in_every_form() {
    let secret = STANDARD.encode(format!("a{API_KEY}bc"));
    assert_eq!(found_in(secret.as_bytes()).len(), 2, "both alphabets agree");
    let hex = forms(HEADER)[2].clone();
    assert!(hex.iter().all(u8::is_ascii_hexdigit));
    assert_eq!(found_in(&hex).len(), 1);
    assert_eq!(found_in(b"nothing"), [""; 0]);
}

#[tokio::test]
async fn secrets_are_in_no_file_of_etcd_no_log_and_nothing_that_is_shown() {
    let member = Member::alone(&[]).await;
    let home = tempfile::tempdir().unwrap();
    let store = format!("etcd:{}/agix", member.url());
    let key = [("AGIX_SEAL_KEY".to_owned(), SEAL_KEY.to_owned())];
    let fleet = Fleet::start(home.path(), &["--store", &store], &key).await;
    let shown = fleet.use_secrets(home.path()).await;
    let log = fleet.end();
    assert_eq!(found_in(shown.as_bytes()), [""; 0]);
    assert_eq!(found_in(log.as_bytes()), [""; 0]);
    assert!(!log.contains(SEAL_KEY));
    nothing_in(&files(member.directory()));
}

#[tokio::test]
async fn secrets_are_in_no_file_of_an_embedded_store_but_in_one_that_is_unsealed() {
    let home = tempfile::tempdir().unwrap();
    let sealed = format!("embedded:{}", home.path().join("sealed").display());
    let fleet = Fleet::start(home.path(), &["--store", &sealed], &[]).await;
    let shown = fleet.use_secrets(home.path()).await;
    let log = fleet.end();
    assert_eq!(found_in(shown.as_bytes()), [""; 0]);
    assert_eq!(found_in(log.as_bytes()), [""; 0]);
    let stored = files(&home.path().join("sealed"));
    nothing_in(&stored);
    assert!(stored.iter().any(|(path, _)| path.ends_with("seal.key")));

    // The same search would find them.
    let open = format!("embedded:{}", home.path().join("open").display());
    let fleet = Fleet::start(home.path(), &["--store", &open, "--unsealed"], &[]).await;
    fleet.use_secrets(home.path()).await;
    drop(fleet.end());
    let stored = files(&home.path().join("open"));
    let found = stored.iter().flat_map(|(_, content)| found_in(content));
    assert!(found.count() > 0);
}

#[tokio::test]
async fn a_store_is_refused_without_its_key_and_the_key_it_wants_is_named() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("store");
    let store = format!("embedded:{}", directory.display());
    let fleet = Fleet::start(home.path(), &["--store", &store], &[]).await;
    fleet.agixctl.apply(&policy(WEBHOOK), &[]).await;
    drop(fleet.end());
    std::fs::rename(directory.join("seal.key"), home.path().join("kept")).unwrap();
    let said = refused(home.path(), &["--store", &store]).await;
    assert!(said.contains("seal.key is gone"), "{said}");
    let other = home.path().join("other");
    std::fs::write(&other, SEAL_KEY).unwrap();
    let other = other.display().to_string();
    let arguments = ["--store", &store, "--seal-key-file", &other];
    let said = refused(home.path(), &arguments).await;
    assert!(said.contains("which was not given"), "{said}");
    assert!(!said.contains(SEAL_KEY), "{said}");

    // The old key behind a new one opens the store, and what it sealed is sealed anew.
    let kept = std::fs::read_to_string(home.path().join("kept")).unwrap();
    let both = home.path().join("both");
    std::fs::write(&both, format!("{SEAL_KEY}\n{kept}")).unwrap();
    let both = both.display().to_string();
    let arguments = ["--store", &store, "--seal-key-file", &both];
    let fleet = Fleet::start(home.path(), &arguments, &[]).await;
    let renewed = "sealed with the first key now";
    agix_tests::wait::until("everything is sealed anew", PATIENCE, async || {
        let lines = fleet.control_plane.lines();
        lines
            .iter()
            .any(|line| line.contains(renewed))
            .then_some(())
    })
    .await;
    drop(fleet.end());
    let arguments = ["--store", &store, "--seal-key-file", &other];
    let fleet = Fleet::start(home.path(), &arguments, &[]).await;
    let got = fleet.agixctl.ok(&["get", "webhooks"]).await;
    assert!(got.contains("summarize"), "{got}");
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// What a control plane says that does not start.
async fn refused(home: &Path, arguments: &[&str]) -> String {
    let mut program = Program::start("agix-control-plane", home, arguments, &[]);
    assert!(!program.ended().await.success());
    program.lines().join("\n")
}
