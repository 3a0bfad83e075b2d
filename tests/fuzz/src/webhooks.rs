//! What webhooks are made of: templates with what is filled in, signatures, addresses of callbacks.

use std::time::Duration;

use agix_core::id::WebhookName;
use agix_core::limits::WEBHOOK_RENDERED_BYTES;
use agix_core::policy::SignatureScheme;
use agix_core::time::Wall;
use agix_core::webhook::destination::{Allowed, Host};
use agix_core::webhook::signature::{Delivery, sign};
use agix_core::webhook::template::{NotRendered, Subject, Template, Values};

const SECONDS: i64 = 1_795_435_200;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::Agix,
    SignatureScheme::GitHub,
    SignatureScheme::Stripe,
    SignatureScheme::Standard,
];

/// Reads a template, which ends with a line `----`, and fills in the payload behind it.
pub(crate) fn template(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (text, payload) = text.split_once("\n----\n").unwrap_or((&text, "{}"));
    for subject in [Subject::Received, Subject::Alert] {
        let template = match Template::parse(text, subject) {
            Ok(template) => template,
            Err(faults) => {
                assert!(!faults.is_empty());
                assert!(faults.iter().all(|fault| text.is_char_boundary(fault.at)));
                continue;
            }
        };
        if subject == Subject::Received {
            match template.render(&values(payload)) {
                Ok(prompt) => assert!(prompt.len() <= WEBHOOK_RENDERED_BYTES),
                Err(NotRendered::TooLong) => {}
                Err(NotRendered::Failed(why)) => panic!("a template that was read renders: {why}"),
            }
        }
    }
    // What is filled in is text, whatever it says.
    let plain = Template::parse("{{.Payload}}", Subject::Received);
    let plain = plain.unwrap_or_else(|faults| panic!("{faults:?}"));
    if let Ok(prompt) = plain.render(&values(payload)) {
        assert_eq!(prompt, payload);
    }
}

fn values(payload: &str) -> Values<'_> {
    const HEADERS: &[(String, String)] = &[];
    Values {
        webhook: webhook(),
        received: Wall::from_millis(SECONDS * 1_000),
        payload,
        headers: HEADERS,
        alert: None,
    }
}

fn webhook() -> &'static WebhookName {
    static NAME: std::sync::LazyLock<WebhookName> =
        std::sync::LazyLock::new(|| "feedback".parse().unwrap_or_else(|_| unreachable!()));
    &NAME
}

/// Verifies a delivery: headers, an empty line, the body.
pub(crate) fn signature(bytes: &[u8]) {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 2..]),
        None => (bytes, &bytes[..0]),
    };
    let Ok(head) = std::str::from_utf8(head) else {
        return;
    };
    let headers: Vec<_> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let verify = |scheme, body: &[u8], secret: &str| is_verified(scheme, &headers, body, secret);
    let longer = [body, b" "].concat();
    for scheme in SCHEMES {
        if verify(scheme, body, SECRET) {
            assert!(
                !verify(scheme, &longer, SECRET),
                "{scheme:?} signs less than all"
            );
            assert!(
                !verify(scheme, body, "whsec_bm90IHRoaXMgb25l"),
                "{scheme:?} takes any secret"
            );
        }
        assert!(
            !verify(scheme, body, ""),
            "{scheme:?} takes no secret for one"
        );
        is_signed_by(scheme, body);
    }
}

fn is_verified(
    scheme: SignatureScheme,
    headers: &[(&str, &str)],
    body: &[u8],
    secret: &str,
) -> bool {
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    };
    let delivery = Delivery {
        header: &header,
        body,
        now: Wall::from_millis(SECONDS * 1_000),
    };
    assert_eq!(
        delivery.key(scheme, webhook()),
        delivery.key(scheme, webhook())
    );
    let verified = delivery.verify(scheme, &[secret], Duration::from_secs(300));
    verified.is_ok()
}

/// What agix signs is verified.
fn is_signed_by(scheme: SignatureScheme, body: &[u8]) {
    let signed = sign(scheme, SECRET, "msg_1", SECONDS, body);
    let header = |name: &str| {
        let found = signed.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    };
    let delivery = Delivery {
        header: &header,
        body,
        now: Wall::from_millis(SECONDS * 1_000 + 299_000),
    };
    assert_eq!(
        delivery.verify(scheme, &["other", SECRET], Duration::from_secs(300)),
        Ok(())
    );
}

/// Reads the address of a callback.
pub(crate) fn address(bytes: &[u8]) {
    let Ok(url) = std::str::from_utf8(bytes) else {
        return;
    };
    let strict = Allowed::default();
    let lenient = Allowed {
        insecure: true,
        private: true,
    };
    let Ok(target) = strict.target(url) else {
        drop(lenient.target(url));
        return;
    };
    assert!(target.is_tls);
    assert_eq!(
        lenient.target(url),
        Ok(target.clone()),
        "more is allowed, and not less"
    );
    match target.host {
        Host::Address(address) => assert_eq!(strict.address(address), Ok(())),
        Host::Name(name) => assert_eq!(name, name.to_lowercase()),
    }
}
