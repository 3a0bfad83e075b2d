//! Without a token nobody gets anything, and with one no more than its role is for.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agix_tests::agixctl::{Agixctl, Said};
use agix_tests::caller::Caller;
use agix_tests::program::Program;
use agix_tests::test_bed::TestBed;
use agix_tests::wait::until;
use http::{Method, StatusCode};

const PATIENCE: Duration = Duration::from_secs(20);
const POLICY: &str = "rate_limits: { batch: { requests_per_minute: 5 } }\n";

/// A control plane that asks for tokens.
struct Plane {
    program: Program,
    agixctl: Agixctl,
    url: String,
    console: SocketAddr,
    tokens: PathBuf,
}

impl Plane {
    async fn start(home: &Path) -> Self {
        let tokens = home.join("tokens");
        let nobody = "127.0.0.1:1".parse().unwrap();
        let offline = Agixctl::new(home, nobody);
        let mut lines = String::new();
        for role in ["viewer", "operator", "admin", "proxy"] {
            let name = format!("a-{role}");
            let create = ["token", "create", "--role", role, "--name", &name];
            let made = offline.json(&create).await;
            std::fs::write(home.join(role), made["token"].as_str().unwrap()).unwrap();
            lines.push_str(made["line"].as_str().unwrap());
            lines.push('\n');
        }
        std::fs::write(&tokens, lines).unwrap();
        let store = format!("embedded:{}", home.join("store").display());
        let file = tokens.display().to_string();
        let log = [("AGIX_LOG".to_owned(), "trace".to_owned())];
        let console = TestBed::steady_address();
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--http",
            &console.to_string(),
            "--store",
            &store,
            "--tokens-file",
            &file,
        ];
        let mut program = Program::start("agix-control-plane", home, arguments, &log);
        let address = program.addresses().await[0];
        Self {
            program,
            agixctl: Agixctl::new(home, address),
            url: format!("http://{address}"),
            console,
            tokens,
        }
    }

    /// Runs agixctl with the token of a role.
    async fn with(&self, home: &Path, role: &str, arguments: &[&str]) -> Said {
        let file = home.join(role).display().to_string();
        let shown = ["--token-file", &file];
        self.agixctl
            .run_with(POLICY, &[&shown[..], arguments].concat())
            .await
    }

    fn proxy(&self, home: &Path, token: Option<&Path>) -> Program {
        let any = "127.0.0.1:0";
        let mut arguments = vec![
            "--listen",
            any,
            "--admin",
            any,
            "--control-plane",
            &self.url,
        ];
        let file = token.map(|it| it.display().to_string());
        arguments.extend(
            file.iter()
                .flat_map(|it| ["--join-token-file", it.as_str()]),
        );
        let log = [("AGIX_LOG".to_owned(), "debug".to_owned())];
        Program::start("agix-proxy", home, arguments, &log)
    }
}

#[tokio::test]
async fn without_a_token_agixctl_is_refused_and_a_role_may_do_what_it_is_for() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let plane = Plane::start(home).await;
    let apply = ["apply", "-f", "-"];
    for arguments in [
        &["status"][..],
        &["get"],
        &["history"],
        &["ledger", "verify"],
    ] {
        let refused = plane.agixctl.run(arguments).await;
        assert_eq!(refused.code, 7, "{refused:#?}");
        assert!(refused.err.contains("--token-file"), "{refused:#?}");
    }
    let refused = plane.with(home, "viewer", &apply).await;
    assert_eq!(refused.code, 7, "{refused:#?}");
    assert!(
        refused.err.contains("needs the role operator"),
        "{refused:#?}"
    );
    let refused = plane.with(home, "proxy", &["status"]).await;
    assert_eq!(refused.code, 7, "{refused:#?}");
    let as_eve = [&apply[..], &["--author", "eve"]].concat();
    let applied = plane.with(home, "operator", &as_eve).await;
    assert_eq!(applied.code, 0, "{applied:#?}");
    for role in ["viewer", "operator", "admin"] {
        let history = plane.with(home, role, &["history"]).await;
        assert_eq!(history.code, 0, "{history:#?}");
        assert!(history.out.contains("a-operator"), "{history:#?}");
        assert!(!history.out.contains("eve"), "{history:#?}");
    }
    let file = home.join("backup").display().to_string();
    let refused = plane.with(home, "operator", &["backup", &file]).await;
    assert_eq!(refused.code, 7, "{refused:#?}");
    let taken = plane.with(home, "admin", &["backup", &file]).await;
    assert_eq!(taken.code, 0, "{taken:#?}");

    // A token whose line goes is not known any more.
    let lines = std::fs::read_to_string(&plane.tokens).unwrap();
    let others = lines.lines().filter(|line| !line.contains("a-viewer"));
    let others: Vec<_> = others.collect();
    std::fs::write(&plane.tokens, others.join("\n")).unwrap();
    until("the token is revoked", PATIENCE, async || {
        let refused = plane.with(home, "viewer", &["status"]).await;
        (refused.code == 7).then_some(())
    })
    .await;

    let log = plane.program.lines().join("\n");
    for role in ["viewer", "operator", "admin"] {
        let token = std::fs::read_to_string(home.join(role)).unwrap();
        assert!(
            !log.contains(&token) && !log.contains(&token[14..]),
            "{role}"
        );
        let stored = std::fs::read(home.join("store/agix.redb")).unwrap_or_default();
        assert!(!stored.windows(token.len()).any(|it| it == token.as_bytes()));
    }
}

#[tokio::test]
async fn a_proxy_with_a_wrong_join_token_gets_nothing() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let plane = Plane::start(home).await;
    let applied = plane.with(home, "admin", &["apply", "-f", "-"]).await;
    assert_eq!(applied.code, 0, "{applied:#?}");
    let mut good = plane.proxy(home, Some(&home.join("proxy")));
    let admin = good.addresses().await[1];
    until("the proxy is ready", PATIENCE, async || {
        let ready = Caller::new(admin).get("/readyz").await.ok()?;
        ready.status.is_success().then_some(())
    })
    .await;
    // An operator's token is none for a proxy either.
    for token in [None, Some(home.join("admin"))] {
        let mut bad = plane.proxy(home, token.as_deref());
        let admin = bad.addresses().await[1];
        until("the proxy was refused", PATIENCE, async || {
            let lines = bad.lines().join("\n");
            let refused = lines.contains("Unauthenticated") || lines.contains("PermissionDenied");
            refused.then_some(())
        })
        .await;
        let ready = Caller::new(admin).get("/readyz").await.unwrap();
        assert_eq!(ready.status, 503);
    }
    let proxies = plane.with(home, "viewer", &["proxies", "-o", "json"]).await;
    let known = proxies.out.matches("\"id\"").count();
    assert_eq!(known, 1, "{proxies:#?}");
}

#[tokio::test]
async fn a_revoked_token_ends_what_is_open_with_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let plane = Plane::start(home).await;
    let applied = plane.with(home, "admin", &["apply", "-f", "-"]).await;
    assert_eq!(applied.code, 0, "{applied:#?}");
    let mut proxy = plane.proxy(home, Some(&home.join("proxy")));
    let admin = proxy.addresses().await[1];
    // The streams of the policy and of the ledger, as the proxy sees them.
    let streams = async |expected: &str| {
        until(expected, PATIENCE, async || {
            let metrics = Caller::new(admin).get("/metrics").await.ok()?;
            let text = String::from_utf8_lossy(&metrics.body).into_owned();
            let of = ["agix_control_plane_connected", "agix_ledger_connected"];
            let all = of
                .iter()
                .all(|name| text.contains(&format!("{name} {expected}")));
            all.then_some(())
        })
        .await;
    };
    streams("1").await;
    let lines = std::fs::read_to_string(&plane.tokens).unwrap();
    let others = lines.lines().filter(|line| !line.contains("a-proxy"));
    let others: Vec<_> = others.collect();
    std::fs::write(&plane.tokens, others.join("\n")).unwrap();
    streams("0").await;
    let list = ["proxies", "-o", "json"];
    until("the control plane lets go of it", PATIENCE, async || {
        let proxies = plane.with(home, "viewer", &list).await;
        proxies.out.contains("\"connected\": false").then_some(())
    })
    .await;
    // Whoever else has a token goes on, and can see what was done.
    let acts = ["audit", "list", "--type", "token.revoke"];
    let acts = until("it is recorded", PATIENCE, async || {
        let acts = plane.with(home, "viewer", &acts).await;
        acts.out.contains("a-proxy").then_some(acts)
    })
    .await;
    assert!(acts.out.contains("with the role proxy"), "{acts:#?}");
    let verified = plane.with(home, "viewer", &["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:#?}");
    assert!(
        verified.out.contains("the records of 2 acts"),
        "{verified:#?}"
    );
}

#[tokio::test]
async fn a_token_is_not_sent_in_the_clear_to_another_machine() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let nobody = "192.0.2.1:7070".parse().unwrap();
    let agixctl = Agixctl::new(home, nobody);
    std::fs::write(home.join("token"), "agix_00000000_secret").unwrap();
    let file = home.join("token").display().to_string();
    let said = agixctl.run(&["--token-file", &file, "status"]).await;
    assert_eq!(said.code, 2, "{said:#?}");
    assert!(said.err.contains("--insecure"), "{said:#?}");
    assert!(!said.err.contains("secret"), "{said:#?}");
}

#[tokio::test]
async fn the_console_shows_and_does_what_the_token_is_for() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let plane = Plane::start(home).await;
    let applied = plane.with(home, "admin", &["apply", "-f", "-"]).await;
    assert_eq!(applied.code, 0, "{applied:#?}");
    let pages = [
        "/",
        "/agents",
        "/chains",
        "/requests",
        "/policy",
        "/policy/1",
        "/policy/1/rollback",
        "/webhooks",
        "/fleet",
    ];
    let host = plane.console.to_string();
    let browser = || Caller::new(plane.console).with("host", &host);
    for page in pages {
        let answer = browser().get(page).await.unwrap();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{page}");
        assert_eq!(answer.header("location"), "/sign-in", "{page}");
    }
    let origin = format!("http://{host}");
    let form = async |browser: Caller, path: &str, form: String| {
        let browser = browser.with("origin", &origin);
        browser.call(Method::POST, path, form).await.unwrap()
    };
    let refused = form(
        browser(),
        "/sign-in",
        "token=agix_00000000_wrong".to_owned(),
    )
    .await;
    assert_eq!(refused.status, StatusCode::OK);
    assert!(refused.headers.get("set-cookie").is_none());

    let mut sessions = Vec::new();
    for (role, may) in [("viewer", false), ("operator", true)] {
        let token = std::fs::read_to_string(home.join(role)).unwrap();
        let entered = form(browser(), "/sign-in", format!("token={token}")).await;
        assert_eq!(entered.status, StatusCode::SEE_OTHER, "{role}");
        let cookie = entered.header("set-cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
        assert!(!cookie.contains(&token[14..]), "a cookie is not the token");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let signed_in = || browser().with("cookie", &cookie);
        for page in pages {
            let answer = signed_in().get(page).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{role} {page}");
        }
        let back = form(signed_in(), "/policy/1/rollback", "current=1".to_owned()).await;
        let expected = if may {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(back.status, expected, "{role}");
        sessions.push(cookie);
    }
    let out = browser().with("cookie", &sessions[1]);
    form(out, "/sign-out", String::new()).await;
    let again = browser().with("cookie", &sessions[1]);
    let answer = again.get("/").await.unwrap();
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "signed out");
}
