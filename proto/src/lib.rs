//! The gRPC protocol of agix: generated code in [`v1`] and the conversions to and from the rules
//! in [`convert`], the token that clients show in [`bearer`], and TLS in [`tls`]. Nothing outside this
//! crate interprets a generated message's fields as policy.

pub mod bearer;
pub mod convert;
pub mod tls;

/// Generated messages, clients and servers of `agix.v1`.
#[expect(
    missing_docs,
    missing_debug_implementations,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    clippy::clone_on_ref_ptr,
    unused_qualifications,
    reason = "generated; the .proto files carry the documentation"
)]
pub mod v1 {
    tonic::include_proto!("agix.v1");
}

/// Names, in the metadata of a refusal, the control plane that owns what was asked for.
pub const OWNER: &str = "agix-owner";

/// The compiled descriptors of `agix.v1`, for the reflection service.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/agix.v1.bin"));
