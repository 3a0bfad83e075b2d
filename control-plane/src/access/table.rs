//! Which role each method needs. A method that is not here is refused to everybody; a test compares
//! the table with the protocol.

use super::token::Role::{self, Admin, Operator, Proxy, Viewer};

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nobody is asked.
    Nothing,
    /// A token of this role, or one that includes it.
    Role(Role),
}

/// Every method, by service.
const TABLE: [(&str, &[(&str, Needs)]); 15] = [
    (
        "agix.v1.PolicyAdmin",
        &[
            ("Validate", Needs::Role(Viewer)),
            ("Apply", Needs::Role(Operator)),
            ("Get", Needs::Role(Viewer)),
            ("History", Needs::Role(Viewer)),
            ("Diff", Needs::Role(Viewer)),
            ("Rollback", Needs::Role(Operator)),
            ("Watch", Needs::Role(Viewer)),
        ],
    ),
    (
        "agix.v1.Fleet",
        &[
            ("ListProxies", Needs::Role(Viewer)),
            ("Status", Needs::Role(Viewer)),
        ],
    ),
    (
        "agix.v1.LedgerAdmin",
        &[
            ("ListAgents", Needs::Role(Viewer)),
            ("ListUsage", Needs::Role(Viewer)),
            ("Adjust", Needs::Role(Operator)),
            ("Verify", Needs::Role(Viewer)),
        ],
    ),
    (
        "agix.v1.WebhookAdmin",
        &[
            ("ListExecutions", Needs::Role(Viewer)),
            ("GetExecution", Needs::Role(Viewer)),
            ("Replay", Needs::Role(Operator)),
            ("GetQueue", Needs::Role(Viewer)),
        ],
    ),
    (
        "agix.v1.AuditAdmin",
        &[
            ("ListActs", Needs::Role(Viewer)),
            ("VerifyActs", Needs::Role(Viewer)),
        ],
    ),
    (
        "agix.v1.StateAdmin",
        &[
            ("Backup", Needs::Role(Admin)),
            ("Restore", Needs::Role(Admin)),
        ],
    ),
    (
        "agix.v1.Traffic",
        &[
            ("GetTraffic", Needs::Role(Viewer)),
            ("ListRequests", Needs::Role(Viewer)),
        ],
    ),
    ("agix.v1.TrafficReports", &[("Report", Needs::Role(Proxy))]),
    ("agix.v1.PolicySync", &[("Watch", Needs::Role(Proxy))]),
    ("agix.v1.Quota", &[("Session", Needs::Role(Proxy))]),
    (
        "agix.v1.Targets",
        &[
            ("Exchange", Needs::Role(Proxy)),
            ("ListChains", Needs::Role(Viewer)),
        ],
    ),
    (
        "agix.v1.Webhooks",
        &[
            ("Accept", Needs::Role(Proxy)),
            ("Await", Needs::Role(Proxy)),
            ("Work", Needs::Role(Proxy)),
        ],
    ),
    (
        "grpc.health.v1.Health",
        &[
            ("Check", Needs::Nothing),
            ("List", Needs::Nothing),
            ("Watch", Needs::Nothing),
        ],
    ),
    (
        "grpc.reflection.v1.ServerReflection",
        &[("ServerReflectionInfo", Needs::Role(Viewer))],
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection",
        &[("ServerReflectionInfo", Needs::Role(Viewer))],
    ),
];

/// What a call of `path`, `/SERVICE/METHOD`, needs; `None`: it is not in the table.
pub(super) fn needs(path: &str) -> Option<Needs> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let (_, methods) = TABLE.iter().find(|(name, _)| *name == service)?;
    let (_, needs) = methods.iter().find(|(name, _)| *name == method)?;
    Some(*needs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    // As much of a descriptor as names services and methods.
    #[derive(Clone, PartialEq, Message)]
    struct Set {
        #[prost(message, repeated, tag = "1")]
        files: Vec<File>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct File {
        #[prost(string, tag = "2")]
        package: String,
        #[prost(message, repeated, tag = "6")]
        services: Vec<Service>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Service {
        #[prost(string, tag = "1")]
        name: String,
        #[prost(message, repeated, tag = "2")]
        methods: Vec<Method>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Method {
        #[prost(string, tag = "1")]
        name: String,
    }

    fn methods(descriptors: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for file in Set::decode(descriptors).unwrap().files {
            for service in file.services {
                for method in service.methods {
                    let (package, service) = (&file.package, &service.name);
                    found.insert(format!("/{package}.{service}/{}", method.name));
                }
            }
        }
        found
    }

    #[test]
    fn every_method_of_the_protocol_is_in_the_table_and_nothing_else_of_ours() {
        let ours = methods(agix_proto::DESCRIPTORS);
        let health = methods(tonic_health::pb::FILE_DESCRIPTOR_SET);
        assert!(ours.len() > 20 && !health.is_empty());
        let all = ours.iter().chain(&health);
        let missing: Vec<_> = all.filter(|path| needs(path).is_none()).collect();
        assert_eq!(missing, [""; 0], "say which role may call these");
        let listed = TABLE.iter().flat_map(|(service, methods)| {
            let names = methods.iter();
            names.map(move |(method, _)| format!("/{service}/{method}"))
        });
        let listed = listed.filter(|path| path.starts_with("/agix."));
        let gone: Vec<_> = listed.filter(|path| !ours.contains(path)).collect();
        assert_eq!(gone, [""; 0], "these are not in the protocol");
    }

    #[test]
    fn what_is_no_method_needs_more_than_anybody_has() {
        for path in ["", "/", "/agix.v1.Fleet", "agix.v1.Fleet/Status", "/a/b"] {
            assert_eq!(needs(path), None, "{path}");
        }
    }
}
