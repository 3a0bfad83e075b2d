//! Where callbacks go, and where they do not, as seen by those who would be called.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};

use agix_core::webhook::destination::Host;

use super::*;

const HOSTILE: &str = include_str!("../../../../core/testdata/webhook/hostile-addresses.txt");
const NOTHING: Allowed = Allowed {
    insecure: false,
    private: false,
};
const EVERYTHING: Allowed = Allowed {
    insecure: true,
    private: true,
};

/// Counts who connects, and answers each with the same text.
struct Receiver {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Receiver {
    fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut stream = stream.unwrap();
                let mut seen = Vec::new();
                let mut part = [0; 1024];
                // The body of these tests ends so.
                while !seen.ends_with(b"{}") {
                    match stream.read(&mut part) {
                        Ok(0) | Err(_) => break,
                        Ok(count) => seen.extend_from_slice(&part[..count]),
                    }
                }
                drop(stream.write_all(answer.as_bytes()));
            }
        });
        Self { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A resolver with fixed answers, the last one for ever, and the number of its questions.
fn resolver(answers: &'static [&'static [&'static str]]) -> (Lookup, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_name| {
        let turn = counted.fetch_add(1, Ordering::SeqCst);
        let answer = answers.get(turn).or(answers.last()).copied().unwrap_or(&[]);
        Box::pin(async move { Ok(answer.iter().map(|it| it.parse().unwrap()).collect()) })
    });
    (lookup, asked)
}

fn with(lookup: &Lookup) -> Callbacks {
    drop(rustls::crypto::ring::default_provider().install_default());
    Callbacks::new(lookup).unwrap()
}

async fn post(callbacks: &Callbacks, url: &str, allowed: Allowed) -> CallbackOutcome {
    let url = Url::parse(url).unwrap();
    let body = Bytes::from_static(b"{}");
    let now = Wall::from_millis(0);
    callbacks
        .post(&url, allowed, HeaderMap::new(), body, now)
        .await
}

fn is_refused(outcome: &CallbackOutcome) -> bool {
    matches!(outcome, CallbackOutcome::Refused(_))
}

const INSECURE: Allowed = Allowed {
    insecure: true,
    private: false,
};

#[tokio::test]
async fn nobody_is_connected_to_by_a_hostile_address() {
    let receiver = Receiver::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let (lookup, asked) = resolver(&[&["127.0.0.1"]]);
    let callbacks = with(&lookup);
    let mut tried = 0;
    for line in HOSTILE.lines().filter(|line| !line.starts_with("# ")) {
        // What no parser reads has no address to connect to.
        let Ok(mut url) = Url::parse(line) else {
            continue;
        };
        let _has_host = url.set_port(Some(receiver.port));
        // As the policy says it, it is refused. Parsing makes some of them honest: an octal number of
        // a public address, which would be called if it were written so.
        assert!(NOTHING.target(line).is_err(), "{line}");
        let parsed = NOTHING.target(url.as_str()).map(|target| target.host);
        if matches!(parsed, Ok(Host::Address(_))) {
            continue;
        }
        tried += 1;
        let outcome = post(&callbacks, url.as_str(), NOTHING).await;
        // A name is refused for what it stands for.
        assert!(is_refused(&outcome), "{line}: {outcome:?}");
    }
    assert!(tried >= 250, "{tried}");
    assert_eq!(receiver.connections(), 0);
    assert!(asked.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn nobody_is_connected_to_by_a_name_for_an_address_that_is_not_public() {
    let receiver = Receiver::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let answers: &'static [&'static [&'static str]] = &[
        &["127.0.0.1"],
        &["10.0.0.1"],
        &["169.254.169.254"],
        &["::1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["2002:7f00:1::"],
        &["fd00:ec2::254"],
        &["fe80::1"],
        &["0.0.0.0"],
        &["::"],
        &["100.100.100.200"],
        // One bad address among good ones is enough.
        &["192.0.66.2", "127.0.0.1"],
        &["127.0.0.1", "192.0.66.2"],
    ];
    let (lookup, asked) = resolver(answers);
    let callbacks = with(&lookup);
    for answer in answers {
        let url = format!("http://attacker.example:{}/", receiver.port);
        let outcome = post(&callbacks, &url, INSECURE).await;
        assert!(is_refused(&outcome), "{answer:?}: {outcome:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), answers.len());
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_so_that_its_second_answer_does_not_count() {
    let receiver = Receiver::start("HTTP/1.1 204 No Content\r\n\r\n");
    let (lookup, asked) = resolver(&[&["127.0.0.1"], &["127.0.0.99"]]);
    let callbacks = with(&lookup);
    let url = format!("http://rebinding.example:{}/", receiver.port);
    let outcome = post(&callbacks, &url, EVERYTHING).await;
    let answered = CallbackOutcome::Answered {
        status: 204,
        retry_after: None,
    };
    assert_eq!(outcome, answered);
    assert_eq!(
        (receiver.connections(), asked.load(Ordering::SeqCst)),
        (1, 1)
    );
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let other = Receiver::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    for status in [
        "301 Moved",
        "302 Found",
        "303 See Other",
        "307 Temporary",
        "308 Permanent",
    ] {
        let answer = format!(
            "HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n",
            other.port
        );
        let receiver = Receiver::start(answer.leak());
        let url = format!("http://127.0.0.1:{}/", receiver.port);
        let (lookup, _asked) = resolver(&[]);
        let callbacks = with(&lookup);
        let outcome = post(&callbacks, &url, EVERYTHING).await;
        let number: u16 = status[..3].parse().unwrap();
        let answered = CallbackOutcome::Answered {
            status: number,
            retry_after: None,
        };
        assert_eq!(outcome, answered);
        assert_eq!(receiver.connections(), 1);
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn what_a_receiver_answers_is_told() {
    let (lookup, _asked) = resolver(&[]);
    let callbacks = with(&lookup);
    for (answer, status, wait) in [
        ("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n", 410, None),
        (
            "HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n",
            503,
            Some(7),
        ),
        // A body that never ends is not waited for.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 999999\r\n\r\n{",
            200,
            None,
        ),
    ] {
        let receiver = Receiver::start(answer);
        let url = format!("http://127.0.0.1:{}/", receiver.port);
        let answered = CallbackOutcome::Answered {
            status,
            retry_after: wait.map(Duration::from_secs),
        };
        assert_eq!(post(&callbacks, &url, EVERYTHING).await, answered);
    }
    let broken = Receiver::start("");
    let url = format!("http://127.0.0.1:{}/", broken.port);
    let outcome = post(&callbacks, &url, EVERYTHING).await;
    let broke = CallbackOutcome::Failed("the receiver broke the connection".to_owned());
    assert_eq!(outcome, broke);
    let outcome = post(&callbacks, "http://nowhere.example/", EVERYTHING).await;
    let nowhere = CallbackOutcome::Failed("the receiver's name stands for no address".to_owned());
    assert_eq!(outcome, nowhere);
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for_without_end() {
    drop(rustls::crypto::ring::default_provider().install_default());
    // Nobody accepts: the system takes the connection and what is sent.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let (lookup, _asked) = resolver(&[]);
    let callbacks = Callbacks::within(&lookup, Duration::from_millis(50)).unwrap();
    let outcome = post(&callbacks, &url, EVERYTHING).await;
    let timeout = CallbackOutcome::Failed("connection timeout".to_owned());
    assert_eq!(outcome, timeout);
}
