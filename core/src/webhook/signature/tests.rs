//! Signatures of the schemes' own documents, and what must not be taken for one.

use proptest::prelude::*;

use super::*;

const TOLERANCE: Duration = Duration::from_mins(5);
const SCHEMES: [SignatureScheme; 4] = [
    SignatureScheme::Agix,
    SignatureScheme::GitHub,
    SignatureScheme::Stripe,
    SignatureScheme::Standard,
];

type Headers = Vec<(&'static str, String)>;

fn at(seconds: i64) -> Wall {
    Wall::from_millis(seconds * 1_000)
}

fn with<T>(headers: &Headers, body: &[u8], now: Wall, then: impl FnOnce(&Delivery<'_>) -> T) -> T {
    let header = |name: &str| {
        let found = headers.iter().find(|(header, _)| *header == name);
        found.map(|(_, value)| value.as_str())
    };
    then(&Delivery {
        header: &header,
        body,
        now,
    })
}

fn verified(
    scheme: SignatureScheme,
    secrets: &[&str],
    headers: &Headers,
    body: &[u8],
    now: Wall,
) -> Result<(), NotVerified> {
    with(headers, body, now, |it| {
        it.verify(scheme, secrets, TOLERANCE)
    })
}

fn headers(of: &[(&'static str, &str)]) -> Headers {
    of.iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

#[test]
fn the_documents_of_each_scheme_have_signatures_that_are_good() {
    // The example of agix's documentation, signed by its own command with openssl.
    let body = b"{\n  \"title\": \"Sales Report\",\n  \"data\": \"Q1 revenue up 25%\"\n}";
    let agix = headers(&[(
        AGIX,
        "sha256=521154a4e89516a69342235719e416019ae2cb362f9d69e2223774b02b988741",
    )]);
    assert_eq!(
        verified(
            SignatureScheme::Agix,
            &["webhook_secret"],
            &agix,
            body,
            at(0)
        ),
        Ok(())
    );

    // GitHub, "Validating webhook deliveries".
    let github = headers(&[(
        GITHUB,
        "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    )]);
    let secrets = ["It's a Secret to Everybody"];
    let body = b"Hello, World!";
    assert_eq!(
        verified(SignatureScheme::GitHub, &secrets, &github, body, at(0)),
        Ok(())
    );

    // Standard Webhooks, the example of its libraries.
    let standard = headers(&[
        (STANDARD_ID, "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        (STANDARD_TIME, "1614265330"),
        (
            STANDARD,
            "v1a,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
    ]);
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let body = b"{\"test\": 2432232314}";
    let now = at(1_614_265_330);
    assert_eq!(
        verified(SignatureScheme::Standard, &secrets, &standard, body, now),
        Ok(())
    );

    // Stripe: "the timestamp, the character . and the request body", by another implementation.
    let stripe = headers(&[(
        STRIPE,
        "t=1492774577,v0=6ffb,v1=654b43d3508ecadb3f8cefc4bc7d3d2bdc5ba9e03bf2c89b2d0657a8e24e4543",
    )]);
    let body = b"{\"id\":\"evt_1\",\"object\":\"event\"}";
    let now = at(1_492_774_577);
    assert_eq!(
        verified(
            SignatureScheme::Stripe,
            &["whsec_test_secret"],
            &stripe,
            body,
            now
        ),
        Ok(())
    );
}

#[test]
fn a_signature_is_good_only_near_its_time() {
    for scheme in [SignatureScheme::Stripe, SignatureScheme::Standard] {
        let headers = sign(scheme, "s", "msg_1", 1_000_000, b"x");
        for (now, is_good) in [
            (1_000_000, true),
            (1_000_300, true),
            (999_700, true),
            (1_000_301, false),
            (999_699, false),
            (0, false),
        ] {
            let found = verified(scheme, &["s"], &headers, b"x", at(now));
            assert_eq!(
                found,
                if is_good {
                    Ok(())
                } else {
                    Err(NotVerified::Expired)
                }
            );
        }
    }
    let far = headers(&[(STRIPE, "t=9223372036854775807,v1=00")]);
    let found = verified(SignatureScheme::Stripe, &["s"], &far, b"x", at(0));
    assert_eq!(found, Err(NotVerified::Expired));
}

#[test]
fn both_secrets_are_good_while_one_is_replaced() {
    for scheme in SCHEMES {
        for used in ["new", "old"] {
            let headers = sign(scheme, used, "msg_1", 5, b"x");
            assert_eq!(
                verified(scheme, &["new", "old"], &headers, b"x", at(5)),
                Ok(())
            );
            let other = verified(scheme, &["other"], &headers, b"x", at(5));
            assert_eq!(other, Err(NotVerified::Wrong));
        }
    }
}

#[test]
fn an_empty_secret_lets_nobody_in() {
    for scheme in SCHEMES {
        let headers = sign(scheme, "", "msg_1", 5, b"x");
        assert_eq!(
            verified(scheme, &[""], &headers, b"x", at(5)),
            Err(NotVerified::Wrong)
        );
        assert_eq!(
            verified(scheme, &[], &headers, b"x", at(5)),
            Err(NotVerified::Wrong)
        );
    }
}

#[test]
fn what_is_no_signature_is_refused() {
    let code = "0".repeat(64);
    for (scheme, of) in [
        (SignatureScheme::Agix, vec![]),
        (SignatureScheme::Agix, vec![(AGIX, code.clone())]),
        (SignatureScheme::Agix, vec![(AGIX, "sha256=".to_owned())]),
        (
            SignatureScheme::Agix,
            vec![(AGIX, format!("sha256={}", &code[1..]))],
        ),
        (SignatureScheme::Agix, vec![(AGIX, format!("sha1={code}"))]),
        (
            SignatureScheme::Agix,
            vec![(AGIX, format!("sha256=+{}", &code[1..]))],
        ),
        (
            SignatureScheme::Agix,
            vec![(GITHUB, format!("sha256={code}"))],
        ),
        (
            SignatureScheme::Stripe,
            vec![(STRIPE, format!("v1={code}"))],
        ),
        (SignatureScheme::Stripe, vec![(STRIPE, "t=5".to_owned())]),
        (
            SignatureScheme::Stripe,
            vec![(STRIPE, format!("t=5,t=5,v1={code}"))],
        ),
        (
            SignatureScheme::Standard,
            vec![(STANDARD, "v1,AA==".to_owned())],
        ),
    ] {
        assert!(
            verified(scheme, &["s"], &of, b"x", at(5)).is_err(),
            "{of:?}"
        );
    }
    let mut headers = sign(SignatureScheme::Standard, "s", "a.b", 5, b"x");
    let found = verified(SignatureScheme::Standard, &["s"], &headers, b"x", at(5));
    assert_eq!(found, Err(NotVerified::Malformed(STANDARD_ID)));
    headers.clear();
    let found = verified(SignatureScheme::Standard, &["s"], &headers, b"x", at(5));
    assert_eq!(found, Err(NotVerified::Missing(STANDARD_ID)));
}

#[test]
fn a_repeated_delivery_has_the_same_key() {
    let name = |text: &str| WebhookName::new(text).unwrap();
    let key = |scheme, webhook: &str, id: &str, body: &[u8]| {
        let headers = sign(scheme, "s", id, 5, body);
        let webhook = name(webhook);
        with(&headers, body, at(5), |it| it.key(scheme, &webhook))
    };
    for scheme in [SignatureScheme::GitHub, SignatureScheme::Standard] {
        assert_eq!(key(scheme, "w", "1", b"x"), key(scheme, "w", "1", b"y"));
        assert_ne!(key(scheme, "w", "1", b"x"), key(scheme, "w", "2", b"x"));
        assert_ne!(key(scheme, "w", "1", b"x"), key(scheme, "v", "1", b"x"));
        // An id does not stand for a body.
        assert_ne!(
            key(scheme, "w", "x", b"y"),
            key(SignatureScheme::Agix, "w", "", b"x")
        );
    }
    for scheme in [SignatureScheme::Agix, SignatureScheme::Stripe] {
        assert_eq!(key(scheme, "w", "1", b"x"), key(scheme, "w", "2", b"x"));
        assert_ne!(key(scheme, "w", "1", b"x"), key(scheme, "w", "1", b"y"));
        assert_ne!(key(scheme, "w", "1", b"x"), key(scheme, "v", "1", b"x"));
    }
    let bare = with(&Headers::new(), b"x", at(5), |it| {
        it.key(SignatureScheme::GitHub, &name("w"))
    });
    assert_eq!(bare, key(SignatureScheme::Agix, "w", "", b"x"));
}

proptest! {
    #[test]
    fn what_is_signed_is_good_and_no_byte_of_it_may_change(
        scheme in proptest::sample::select(&SCHEMES[..]),
        secret in "[ -~]{1,40}",
        id in "[a-z0-9_]{1,20}",
        body in proptest::collection::vec(any::<u8>(), 0..100),
        bit in any::<proptest::sample::Index>(),
    ) {
        let headers = sign(scheme, &secret, &id, 5, &body);
        prop_assert_eq!(verified(scheme, &[&secret], &headers, &body, at(5)), Ok(()));
        let mut other = body.clone();
        if other.is_empty() {
            other.push(0);
        } else {
            let bit = bit.index(other.len() * 8);
            other[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert_eq!(
            verified(scheme, &[&secret], &headers, &other, at(5)),
            Err(NotVerified::Wrong)
        );
    }

    #[test]
    fn any_headers_are_read_or_refused(
        scheme in proptest::sample::select(&SCHEMES[..]),
        value in "(sha256=|t=|v1=|v1,|,| |[0-9a-f]{1,64}|\\PC){0,8}",
    ) {
        let names = [AGIX, GITHUB, STRIPE, STANDARD, STANDARD_ID, STANDARD_TIME];
        let headers: Headers = names.into_iter().map(|name| (name, value.clone())).collect();
        prop_assert!(verified(scheme, &["s"], &headers, b"x", at(5)).is_err());
    }
}
