//! Policies: as a document, and on the wire and in a proxy's snapshot.

use agix_core::policy::document::{self, SourceFile};
use agix_proto::convert::{decode_delta, decode_policy, encode_delta, encode_policy, policy_hash};

/// Reads a document of one file.
pub(crate) fn document(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let file = SourceFile {
        name: "policy.yaml".to_owned(),
        text: text.to_owned(),
    };
    let zone_exists = |name: &str| matches!(name, "UTC" | "Europe/Berlin");
    let checked = match document::read(&[file], &zone_exists) {
        Ok(checked) => checked,
        Err(diagnostics) => {
            assert!(!diagnostics.is_empty());
            assert!(!document::render(&diagnostics, false).is_empty());
            assert!(!document::summary(&diagnostics).is_empty());
            return;
        }
    };
    drop(document::render(&checked.warnings, true));
    assert!(checked.policy.check().is_empty());
    let sent = encode_policy(&checked.policy);
    let read = decode_policy(&sent);
    let read = read.unwrap_or_else(|error| panic!("what was checked is not read: {error}"));
    assert_eq!(read, checked.policy);
    assert_eq!(policy_hash(&read), policy_hash(&checked.policy));
}

/// Reads a policy as a control plane sends it.
pub(crate) fn wire(bytes: &[u8]) {
    if let Ok(policy) = decode_policy(bytes) {
        let again = decode_policy(&encode_policy(&policy));
        let again = again.unwrap_or_else(|error| panic!("what was read is not read: {error}"));
        assert_eq!(again, policy);
    }
}

/// Reads a change of a policy as a control plane sends it.
pub(crate) fn delta(bytes: &[u8]) {
    if let Ok(delta) = decode_delta(bytes) {
        let again = decode_delta(&encode_delta(&delta));
        let again = again.unwrap_or_else(|error| panic!("what was read is not read: {error}"));
        assert_eq!(again, delta);
    }
}
