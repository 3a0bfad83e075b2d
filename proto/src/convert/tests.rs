use agix_core::id::{AgentName, ProxyId, Revision};
use agix_core::policy::strategy;
use agix_core::policy::{Change, Delta, Policy, Reference, Resource, ResourceKey, Secret};
use agix_core::sync::{
    Hello, Load, NackReason, Nonce, Offer, PolicyHash, ProxyMessage, ServerMessage, Version,
};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::v1;

fn version() -> impl Strategy<Value = Version> {
    (1..u64::MAX, any::<[u8; 32]>()).prop_map(|(revision, hash)| Version {
        revision: Revision::new(revision),
        hash: PolicyHash::from_bytes(hash),
    })
}

fn offer() -> impl Strategy<Value = Offer> {
    (any::<u64>(), version()).prop_map(|(nonce, version)| Offer {
        nonce: Nonce::new(nonce),
        version,
    })
}

fn answered() -> impl Strategy<Value = (Nonce, Revision)> {
    (any::<u64>(), any::<u64>())
        .prop_map(|(nonce, revision)| (Nonce::new(nonce), Revision::new(revision)))
}

fn proxy_message() -> impl Strategy<Value = ProxyMessage> {
    let hello = (
        "[a-z0-9.-]{1,10}",
        any::<u64>(),
        ".{0,10}",
        ".{0,10}",
        of(version()),
    )
        .prop_map(|(proxy, incarnation, version, address, applied)| {
            ProxyMessage::Hello(Hello {
                proxy: ProxyId::new(&proxy).unwrap(),
                incarnation,
                version,
                address,
                applied,
            })
        });
    prop_oneof![
        hello,
        answered().prop_map(|(nonce, revision)| ProxyMessage::Ack { nonce, revision }),
        (answered(), vec(strategy::problem(), 0..4)).prop_map(|((nonce, revision), problems)| {
            let reasons = problems.into_iter().map(NackReason::from).collect();
            ProxyMessage::Nack {
                nonce,
                revision,
                reasons,
            }
        }),
        (any::<u64>(), any::<u64>(), any::<u64>()).prop_map(
            |(applied, in_flight, requests_total)| ProxyMessage::Heartbeat {
                applied: Revision::new(applied),
                load: Load {
                    in_flight,
                    requests_total
                },
            }
        ),
    ]
}

proptest! {
    #[test]
    fn a_resource_survives_the_wire(resource in strategy::resource()) {
        let wire = v1::Resource::from(&resource);
        let read = v1::Resource::decode(wire.encode_to_vec().as_slice()).unwrap();
        prop_assert_eq!(Resource::try_from(read), Ok(resource));
    }

    #[test]
    fn a_key_survives_the_wire(key in strategy::resource_key()) {
        prop_assert_eq!(ResourceKey::try_from(v1::ResourceKey::from(&key)), Ok(key));
    }

    #[test]
    fn a_policy_survives_its_canonical_form(policy in strategy::policy()) {
        let bytes = encode_policy(&policy);
        let read = decode_policy(&bytes).unwrap();
        prop_assert_eq!(&encode_policy(&read), &bytes);
        prop_assert_eq!(policy_hash(&read), policy_hash(&policy));
        prop_assert_eq!(read, policy);
    }

    #[test]
    fn the_canonical_form_is_the_encoding_of_the_policy_message(policy in strategy::policy()) {
        let resources = policy.resources().iter().map(v1::Resource::from).collect();
        prop_assert_eq!(v1::Policy { resources }.encode_to_vec(), encode_policy(&policy));
    }

    #[test]
    fn different_policies_have_different_hashes(a in strategy::policy(), b in strategy::policy()) {
        prop_assert_eq!(a == b, policy_hash(&a) == policy_hash(&b));
    }

    #[test]
    fn a_delta_survives_the_wire_and_leads_to_the_new_policy(
        old in strategy::policy(),
        new in strategy::policy(),
    ) {
        let delta = old.delta_to(&new);
        let read = decode_delta(&encode_delta(&delta)).unwrap();
        prop_assert_eq!(&read, &delta);
        let mut policy = old;
        policy.apply(read);
        prop_assert_eq!(policy, new);
    }

    #[test]
    fn a_proxy_message_survives_the_wire(message in proxy_message()) {
        prop_assert_eq!(ProxyMessage::try_from(v1::ProxyMessage::from(&message)), Ok(message));
    }

    #[test]
    fn a_change_survives_the_wire(change in strategy::change()) {
        prop_assert_eq!(Change::from(v1::Change::from(&change)), change);
    }

    #[test]
    fn the_parts_of_a_snapshot_are_its_bytes(
        offer in offer(),
        length in prop_oneof![Just(0), Just(262_144), 1..1_000_000_usize],
    ) {
        let policy: Bytes = (0..=u8::MAX).cycle().take(length).collect::<Vec<_>>().into();
        let messages: Vec<_> = snapshot_messages(offer, &policy).collect();
        let mut joined = Vec::new();
        for (index, wire) in messages.iter().enumerate() {
            let Ok(ServerMessage::Snapshot { offer: sent, content, last }) =
                ServerMessage::try_from(wire.clone())
            else {
                panic!("not a part: {wire:?}");
            };
            prop_assert_eq!(sent, offer);
            prop_assert_eq!(last, index + 1 == messages.len());
            joined.extend(content);
        }
        prop_assert_eq!(joined, policy);
    }

    #[test]
    fn a_delta_message_survives_the_wire(
        offer in offer(),
        base in any::<u64>(),
        content in vec(any::<u8>(), 0..64),
    ) {
        let base = Revision::new(base);
        let wire = delta_message(offer, base, content.clone().into());
        prop_assert_eq!(
            ServerMessage::try_from(wire),
            Ok(ServerMessage::Delta { offer, base, content })
        );
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..256)) {
        every_decoder(&bytes);
    }

    #[test]
    fn no_damage_makes_a_decoder_panic(
        policy in strategy::policy(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode_policy(&policy);
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            every_decoder(&bytes);
            every_decoder(&bytes[..at]);
        }
    }

    #[test]
    fn the_redacted_form_is_readable_and_shows_no_secret(
        resource in strategy::resource(),
        secret in "[A-Z]{16}",
    ) {
        let secret = Secret::new(Reference::literal(&secret));
        let exposed = secret.expose().to_string();
        let resource = match resource {
            Resource::Provider(name, mut provider) => {
                provider.headers.insert("x-key".to_owned(), secret.clone());
                provider.api_key = Some(secret);
                Resource::Provider(name, provider)
            }
            Resource::Webhook(name, mut webhook) => {
                webhook.previous_secret = Some(secret.clone());
                webhook.secret = secret;
                Resource::Webhook(name, webhook)
            }
            other => other,
        };
        let wire = redacted(&resource);
        let bytes = wire.encode_to_vec();
        prop_assert!(!bytes.windows(exposed.len()).any(|it| it == exposed.as_bytes()));
        prop_assert_eq!(Resource::try_from(wire).unwrap().key(), resource.key());
    }
}

fn every_decoder(bytes: &[u8]) {
    drop(decode_policy(bytes));
    drop(decode_delta(bytes));
    drop(v1::ProxyMessage::decode(bytes).map(ProxyMessage::try_from));
    drop(v1::ServerMessage::decode(bytes).map(ServerMessage::try_from));
    drop(v1::ResourceError::decode(bytes).map(NackReason::try_from));
}

fn rate_limits(change: impl FnOnce(&mut v1::RateLimitsEntry)) -> v1::Resource {
    let mut entry = v1::RateLimitsEntry {
        agent: "batch".to_owned(),
        on_outage: v1::OnOutage::Held.into(),
        ..v1::RateLimitsEntry::default()
    };
    change(&mut entry);
    v1::Resource {
        body: Some(v1::resource::Body::RateLimits(entry)),
    }
}

fn refusal(wire: v1::Resource) -> String {
    Resource::try_from(wire).unwrap_err().to_string()
}

#[test]
fn zero_is_not_absent() {
    let limit = |wire: v1::Resource| match Resource::try_from(wire) {
        Ok(Resource::RateLimits(_, limits)) => Ok(limits.requests_per_minute),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    };
    assert_eq!(limit(rate_limits(|_| {})), Ok(None));
    assert_eq!(
        limit(rate_limits(|entry| entry.requests_per_minute = Some(0))),
        Err(
            "field rate_limits.requests_per_minute: must be greater than zero; leave it out for \
             no limit"
                .to_owned()
        )
    );
}

#[test]
fn unspecified_and_unknown_enum_values_are_refused() {
    for number in [0, 4, -1] {
        let error = refusal(rate_limits(|entry| entry.on_outage = number));
        assert_eq!(
            error,
            format!(
                "field rate_limits.on_outage: {number} is not a known value; it may come from a \
                 newer version"
            )
        );
    }
    assert_eq!(refusal(v1::Resource { body: None }), "field body: missing");
}

#[test]
fn an_error_names_the_field_within_the_whole_policy() {
    let wire = v1::Policy {
        resources: vec![
            rate_limits(|_| {}),
            v1::Resource {
                body: Some(v1::resource::Body::Chain(v1::ChainEntry {
                    model: "a".to_owned(),
                    targets: vec!["b".to_owned(), "a".to_owned()],
                    stream_rescue: None,
                })),
            },
        ],
    };
    let error = decode_policy(&wire.encode_to_vec()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field resources[1].chain.targets[1]: must be a model not yet in the chain"
    );
}

#[test]
fn a_policy_with_the_same_resource_twice_is_refused() {
    let wire = v1::Policy {
        resources: vec![rate_limits(|_| {}), rate_limits(|_| {})],
    };
    let error = decode_policy(&wire.encode_to_vec()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field resources[1]: a second time in one policy"
    );
}

#[test]
fn a_setting_the_reader_does_not_know_changes_the_hash() {
    let mut policy = Policy::default();
    let agent = AgentName::new("batch").unwrap();
    policy
        .rate_limits
        .insert(agent, agix_core::policy::RateLimits::default());
    let mut bytes = encode_policy(&policy);
    // Field 99 of the entry, as a later version might write it.
    bytes.extend([0x98, 0x06, 0x01]);
    bytes[1] += 3;
    bytes[3] += 3;
    let read = decode_policy(&bytes).unwrap();
    assert_eq!(read, policy);
    let sent = <[u8; 32]>::from(<sha2::Sha256 as sha2::Digest>::digest(&bytes));
    assert_ne!(policy_hash(&read), PolicyHash::from_bytes(sent));
}

#[test]
fn debug_shows_no_secret() {
    let wire = v1::Reference::from(&Secret::new(Reference::literal("hunter2-hunter2")));
    assert!(!format!("{wire:?}").contains("hunter2"));
    let file = v1::SourceFile {
        name: "policy.yaml".to_owned(),
        text: "api_key: hunter2".to_owned(),
    };
    assert_eq!(
        format!("{file:?}"),
        r#"SourceFile("policy.yaml", 16 bytes)"#
    );
}

#[test]
fn a_long_text_of_a_stranger_is_refused() {
    let wire = v1::ResourceError {
        message: "x".repeat(2_000),
        ..v1::ResourceError::default()
    };
    let error = NackReason::try_from(wire).unwrap_err();
    assert_eq!(
        error.to_string(),
        "field message: must have at most 1024 bytes"
    );
    assert_eq!(error.path(), "message");
    assert_eq!(error.reason(), &InvalidField::TooLong(1_024));
}

#[test]
fn an_empty_delta_is_empty() {
    assert_eq!(encode_delta(&Delta::default()), Vec::<u8>::new());
    assert_eq!(decode_delta(&[]).unwrap(), Delta::default());
}
