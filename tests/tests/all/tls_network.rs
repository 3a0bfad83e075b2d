//! TLS between all processes: what works without it works with it, and whoever is not vouched for gets
//! nothing and is told what to do.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use agix_tests::agixctl::{Agixctl, Said};
use agix_tests::ask::chat;
use agix_tests::authority::Authority;
use agix_tests::callback_receiver::CallbackReceiver;
use agix_tests::caller::Caller;
use agix_tests::mock_provider::MockProvider;
use agix_tests::program::Program;
use agix_tests::replicas::Replicas;
use agix_tests::test_bed::{KEY, Proxy, ProxySettings, document, steady_address};
use agix_tests::wait::until;

const PATIENCE: Duration = Duration::from_secs(20);

/// A policy with a budget, and a webhook that is called back at `url`.
fn policy(url: &str) -> String {
    format!(
        r#"
models: {{ gpt-4o-mini: {{ provider: openai, price: {{ input: 1, output: 10 }} }} }}
rate_limits: {{ busy: {{ requests_per_hour: 3 }} }}
budgets: {{ busy: {{ daily_limit_usd: 10 }} }}
webhooks:
  enabled: true
  definitions:
    report:
      secret: "of the hook"
      model: gpt-4o-mini
      prompt_template: "{{{{.Payload}}}}"
      callback_url: "{url}"
      allow_insecure: true
      allow_private: true
"#
    )
}

/// A control plane that speaks TLS at all its ports.
struct Plane {
    program: Program,
    address: SocketAddr,
    admin: SocketAddr,
    console: SocketAddr,
}

impl Plane {
    async fn start(home: &Path, environment: &[(String, String)]) -> Self {
        let console = steady_address();
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--http",
            &console.to_string(),
            "--store",
            "memory",
        ];
        let mut program = Program::start("agix-control-plane", home, arguments, environment);
        let [address, admin] = program.addresses().await[..] else {
            panic!("it listens on two addresses: {:?}", program.lines());
        };
        Self {
            program,
            address,
            admin,
            console,
        }
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn agixctl(&self, home: &Path, environment: &[(String, String)]) -> Agixctl {
        Agixctl::at(home, self.url()).with(environment)
    }
}

/// The status of an answer over HTTPS, as curl sees it; 0: there is no answer.
fn curl(url: &str, environment: &[(String, String)]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}"]);
    let flags = [
        ("AGIX_CA", "--cacert"),
        ("AGIX_CLIENT_CERT", "--cert"),
        ("AGIX_CLIENT_KEY", "--key"),
    ];
    for (name, flag) in flags {
        let given = environment.iter().find(|(it, _)| it == name);
        curl.args(given.iter().flat_map(|(_, file)| [flag, file.as_str()]));
    }
    let output = curl.arg(url).output().expect("curl is there");
    String::from_utf8(output.stdout).unwrap()
}

fn told(said: &Said, code: i32, text: &str) {
    assert_eq!(said.code, code, "{said:#?}");
    assert!(said.err.contains(text), "{text}: {said:#?}");
}

#[tokio::test]
async fn everything_works_encrypted() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let authority = Authority::new(home, "ours");
    let plane = Plane::start(home, &authority.server("plane")).await;
    let agixctl = plane.agixctl(home, &authority.client("agixctl"));
    let mock = MockProvider::start().unwrap();
    mock.accept_only(KEY);
    let receiver = CallbackReceiver::start();
    let document = document(&mock, &policy(&receiver.url()));
    agixctl.apply(&document, &[]).await;
    let settings = ProxySettings {
        id: "proxy".to_owned(),
        environment: authority.client("proxy"),
        ..ProxySettings::default()
    };
    let proxy = Proxy::start(home, &plane.url(), &settings).await;
    proxy.ready().await;
    let applied = agixctl.apply(&format!("{document}\n"), &["--wait"]).await;
    assert!(applied.contains("revision"), "{applied}");

    let caller = Caller::new(proxy.address).with("x-agent-name", "busy");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = caller.chat(&chat("gpt-4o-mini")).await.unwrap();
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    let address = format!("http://{}", proxy.address);
    let payload = home.join("payload");
    std::fs::write(&payload, "{}").unwrap();
    let payload = payload.display().to_string();
    let send = ["webhook", "send", "report", "-f", &payload];
    let send = [&send[..], &["--proxy", &address, "--wait"]].concat();
    let secret = [("AGIX_WEBHOOK_SECRET".to_owned(), "of the hook".to_owned())];
    agixctl.clone().with(&secret).ok(&send).await;
    assert_eq!(receiver.wait_for(1).await.len(), 1);
    let limits = agixctl.ok(&["limits", "busy"]).await;
    assert!(limits.contains("requests_per_hour"), "{limits}");
    agixctl.ok(&["ledger", "verify"]).await;

    // The console is for browsers, which have no certificate; metrics are for programs, which do.
    let believes = [authority.believed()];
    let has_one = authority.client("prometheus");
    let console = format!("https://{}/agents", plane.console);
    assert_eq!(curl(&console, &believes), "200");
    assert_eq!(curl(&console.replace("https", "http"), &[]), "400");
    assert_eq!(curl(&console, &[]), "000");
    let metrics = format!("https://{}/metrics", plane.admin);
    assert_eq!(curl(&metrics, &has_one), "200");
    assert_eq!(curl(&metrics, &believes), "400");
    // Probes have none, and learn no more than that all is well.
    assert_eq!(
        curl(&metrics.replace("metrics", "readyz"), &believes),
        "200"
    );
}

#[tokio::test]
async fn whoever_is_not_vouched_for_gets_nothing_and_hears_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (authority, foreign) = (Authority::new(home, "ours"), Authority::new(home, "theirs"));
    let plane = Plane::start(home, &authority.server("plane")).await;
    let status = async |agixctl: Agixctl| agixctl.run(&["status"]).await;
    let believes = [authority.believed()];
    let without = status(plane.agixctl(home, &believes)).await;
    told(&without, 7, "--client-cert");
    let unbelieving = status(plane.agixctl(home, &foreign.client("a"))).await;
    told(&unbelieving, 6, "signed by nobody who is trusted here");
    told(&unbelieving, 6, "--ca");
    let mut impostor = foreign.client("b");
    impostor[0] = authority.believed();
    let refused = status(plane.agixctl(home, &impostor)).await;
    told(&refused, 6, "--client-cert");
    let plain = status(Agixctl::new(home, plane.address)).await;
    told(&plain, 7, "https://");
    let ours = authority.client("ours");
    let known = status(plane.agixctl(home, &ours)).await;
    told(&known, 0, "");

    let unencrypted = ["--listen", "127.0.0.1:0", "--store", "memory"];
    let mut unencrypted = Program::start("agix-control-plane", home, unencrypted, &[]);
    let address = unencrypted.addresses().await[0];
    let encrypted = Agixctl::at(home, format!("https://{address}")).with(&ours);
    told(&status(encrypted).await, 6, "does not speak TLS there");

    let plain_url = plane.url().replace("https", "http");
    for (url, environment, text) in [
        (plane.url(), believes.to_vec(), "--client-cert"),
        (plane.url(), foreign.client("c"), "--ca"),
        (plain_url, Vec::new(), "https://"),
    ] {
        let settings = ProxySettings {
            id: "proxy".to_owned(),
            environment,
            ..ProxySettings::default()
        };
        let proxy = Proxy::start(home, &url, &settings).await;
        until("the proxy says what is wrong", PATIENCE, async || {
            let lines = proxy.program.lines();
            lines.iter().any(|line| line.contains(text)).then_some(())
        })
        .await;
        let ready = Caller::new(proxy.admin).get("/readyz").await.unwrap();
        assert_eq!(ready.status, 503);
    }
    let proxies = plane.agixctl(home, &ours).ok(&["proxies"]).await;
    assert!(!proxies.contains("proxy"), "{proxies}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_without_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (old, new) = (Authority::new(home, "old"), Authority::new(home, "new"));
    let environment = old.server("plane");
    let plane = Plane::start(home, &environment).await;
    plane.agixctl(home, &old.client("a")).ok(&["status"]).await;
    let renewed = new.server("plane");
    for ((_, file), (_, now)) in environment.iter().zip(&renewed) {
        std::fs::copy(now, file).unwrap();
    }
    let agixctl = plane.agixctl(home, &new.client("b"));
    until("the new certificate is shown", PATIENCE, async || {
        let said = agixctl.run(&["status"]).await;
        (said.code == 0).then_some(())
    })
    .await;
    // One that cannot be used changes nothing.
    std::fs::write(&environment[1].1, "no key").unwrap();
    until("the log complains", PATIENCE, async || {
        let lines = plane.program.lines();
        lines
            .iter()
            .any(|line| line.contains("stay in use"))
            .then_some(())
    })
    .await;
    agixctl.ok(&["status"]).await;
}

#[tokio::test]
async fn a_port_that_others_reach_opens_with_certificates_only() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let anywhere = ["--listen", "0.0.0.0:0", "--store", "memory"];
    let mut open = Program::start("agix-control-plane", home, anywhere, &[]);
    assert_eq!(open.ended().await.code(), Some(2));
    let lines = open.lines().join("\n");
    assert!(lines.contains("--tls-client-ca"), "{lines}");
    let authority = Authority::new(home, "ours");
    let server = authority.server("plane");
    let mut asking = Program::start("agix-control-plane", home, anywhere, &server);
    let port = asking.addresses().await[0].port();
    let agixctl = Agixctl::at(home, format!("https://127.0.0.1:{port}"));
    let agixctl = agixctl.with(&authority.client("a"));
    agixctl.ok(&["status"]).await;
    let insecure = [&anywhere[..], &["--insecure"]].concat();
    let mut insecure = Program::start("agix-control-plane", home, insecure, &[]);
    insecure.addresses().await;
    let lines = insecure.lines().join("\n");
    assert!(lines.contains("--insecure: --listen"), "{lines}");
}

#[tokio::test]
async fn the_owner_is_found_over_tls() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mock = MockProvider::start().unwrap();
    mock.accept_only(KEY);
    let authority = Authority::new(home, "ours");
    let bed = Replicas::encrypted(home, 2, authority).await;
    let agixctl = bed.agixctl(home);
    let receiver = CallbackReceiver::start();
    let document = document(&mock, &policy(&receiver.url()));
    agixctl.apply(&document, &[]).await;
    let owner = until("the ledger has an owner", PATIENCE, async || {
        bed.ledger_owner()
    })
    .await;
    let other = bed.planes.iter().enumerate().find(|(it, _)| *it != owner);
    let other = format!("https://{}", other.unwrap().1.front.address);
    let client = bed.client("other");
    let asks_other = Agixctl::at(home, other.clone()).with(&client);
    asks_other.json(&["limits", "busy"]).await;
    asks_other.json(&["webhook", "list"]).await;
    let settings = ProxySettings {
        id: "proxy".to_owned(),
        environment: client,
        ..ProxySettings::default()
    };
    let proxy = Proxy::start(home, &other, &settings).await;
    proxy.ready().await;
    let caller = Caller::new(proxy.address).with("x-agent-name", "busy");
    let answer = caller.chat(&chat("gpt-4o-mini")).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let limits = asks_other.ok(&["limits", "busy"]).await;
    assert!(limits.contains("requests_per_hour"), "{limits}");
}

#[tokio::test]
async fn a_proxy_speaks_tls_with_its_callers() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let authority = Authority::new(home, "ours");
    let plane = Plane::start(home, &authority.server("plane")).await;
    let agixctl = plane.agixctl(home, &authority.client("agixctl"));
    let mock = MockProvider::start().unwrap();
    mock.accept_only(KEY);
    let policy = policy("http://127.0.0.1:1/");
    agixctl.apply(&document(&mock, &policy), &[]).await;
    let anywhere = ["--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"];
    let mut refused = Program::start("agix-proxy", home, anywhere, &[]);
    assert_eq!(refused.ended().await.code(), Some(1));
    let lines = refused.lines().join("\n");
    assert!(lines.contains("--tls-cert and --tls-key"), "{lines}");

    let mut environment = authority.client("proxy");
    environment.extend(authority.server("proxy-1"));
    let control_plane = ["--control-plane", &plane.url()];
    let open = ["--listen", "0.0.0.0:0", "--admin", "0.0.0.0:0"];
    let arguments = [open, [control_plane[0], control_plane[1], "--id", "tls"]].concat();
    let mut proxy = Program::start("agix-proxy", home, arguments, &environment);
    let ports: Vec<u16> = proxy
        .addresses()
        .await
        .iter()
        .map(SocketAddr::port)
        .collect();
    let [callers, admin] = [0, 1].map(|it| format!("https://127.0.0.1:{}", ports[it]));
    let believes = [authority.believed()];
    until("the proxy is ready", PATIENCE, async || {
        (curl(&format!("{admin}/readyz"), &believes) == "200").then_some(())
    })
    .await;
    let metrics = format!("{admin}/metrics");
    assert_eq!(curl(&metrics, &believes), "400");
    assert_eq!(curl(&metrics, &authority.client("prometheus")), "200");
    assert_eq!(curl(&metrics.replace("https", "http"), &[]), "400");
    assert_eq!(curl(&format!("{callers}/health"), &believes), "200");
    assert_eq!(curl(&format!("{callers}/health"), &[]), "000");
    let plain = format!("{}/health", callers.replace("https", "http"));
    assert_eq!(curl(&plain, &[]), "400");
    let drill = ["failover", "test", "gpt-4o-mini", "--fail", "gpt-4o"];
    let drilled = agixctl
        .ok(&[&drill[..], &["--proxy", &callers]].concat())
        .await;
    assert!(drilled.contains("answered"), "{drilled}");
}
