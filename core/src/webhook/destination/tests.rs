//! Hostile addresses, and honest ones.

use proptest::prelude::*;

use super::*;

const HOSTILE: &str = include_str!("../../../testdata/webhook/hostile-addresses.txt");
const NOTHING: Allowed = Allowed {
    insecure: false,
    private: false,
};
const EVERYTHING: Allowed = Allowed {
    insecure: true,
    private: true,
};

/// The addresses of the file, with what its escapes stand for.
fn hostile() -> Vec<String> {
    let lines = HOSTILE.lines().filter(|line| !line.starts_with("# "));
    lines
        .map(|line| {
            let mut pieces = line.split("\\u{");
            let mut text = pieces.next().unwrap().to_owned();
            for piece in pieces {
                let (code, rest) = piece.split_once('}').unwrap();
                text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
                text.push_str(rest);
            }
            text
        })
        .collect()
}

#[test]
fn no_hostile_address_is_a_target() {
    let hostile = hostile();
    assert!(hostile.len() >= 300, "{}", hostile.len());
    for url in hostile {
        let found = NOTHING.target(&url);
        // A name is looked up, and what it stands for is checked then.
        assert!(found.is_err(), "{url:?} leads to {found:?}");
    }
}

#[test]
fn honest_addresses_are_targets() {
    for (url, host, port) in [
        ("https://slack.example.com/alerts", "slack.example.com", 443),
        (
            "HTTPS://API.Example.com:8443/a?b=c",
            "api.example.com",
            8443,
        ),
        (
            "https://xn--bcher-kva.example",
            "xn--bcher-kva.example",
            443,
        ),
        ("https://a_b.example?x", "a_b.example", 443),
        ("https://h/", "h", 443),
        ("https://1e100.net/", "1e100.net", 443),
    ] {
        let target = Target {
            is_tls: true,
            host: Host::Name(host.to_owned()),
            port,
        };
        assert_eq!(NOTHING.target(url), Ok(target), "{url}");
    }
    for url in [
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:443/",
        "https://[::ffff:8.8.8.8]/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://172.32.0.1/",
        "https://100.128.0.1/",
    ] {
        assert!(NOTHING.target(url).is_ok(), "{url}");
    }
}

#[test]
fn what_a_definition_allows_is_allowed() {
    for url in [
        "http://127.0.0.1:9000/callback",
        "http://localhost:9000",
        "http://[::1]:9000/",
        "https://10.1.2.3/",
        "https://[fd00::1]/",
        "https://vault.internal/",
    ] {
        assert!(EVERYTHING.target(url).is_ok(), "{url}");
        assert!(NOTHING.target(url).is_err(), "{url}");
    }
    for url in [
        "http://0.0.0.0/",
        "http://[::]/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://2130706433/",
        "http://127.1/",
        "ftp://127.0.0.1/",
    ] {
        assert!(EVERYTHING.target(url).is_err(), "{url}");
    }
    let insecure = Allowed {
        insecure: true,
        ..NOTHING
    };
    assert!(insecure.target("http://example.com/").is_ok());
    assert_eq!(insecure.target("http://127.0.0.1/"), Err(Refused::Private));
    assert_eq!(
        NOTHING.target("http://example.com/"),
        Err(Refused::Insecure)
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(https://)?[0-9a-fx:.@/#%\\[\\]]{0,30}|\\PC{0,30}") {
        if let Ok(target) = NOTHING.target(&text) {
            prop_assert!(target.is_tls && target.port > 0);
            if let Host::Address(address) = target.host {
                prop_assert_eq!(class(address), Class::Public);
            }
        }
    }

    #[test]
    fn an_address_within_another_is_no_better_than_by_itself(bits in any::<u32>()) {
        let inner = Ipv4Addr::from(bits);
        for outer in [inner.to_ipv6_mapped(), "64:ff9b::".parse::<Ipv6Addr>().unwrap()] {
            let outer = Ipv6Addr::from(u128::from(outer) | u128::from(bits));
            prop_assert!(class_v6(outer) >= class_v4(inner), "{}", outer);
        }
    }

    #[test]
    fn what_the_standard_library_calls_private_is_not_public(bits in any::<u128>(), v4 in any::<u32>()) {
        let v4 = Ipv4Addr::from(v4);
        let v6 = Ipv6Addr::from(bits);
        if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
            || v4.is_broadcast() || v4.is_unspecified() || v4.is_documentation()
        {
            prop_assert_ne!(class_v4(v4), Class::Public);
        }
        if v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || v6.is_unique_local()
            || v6.is_unicast_link_local()
        {
            prop_assert_ne!(class_v6(v6), Class::Public);
        }
    }
}
