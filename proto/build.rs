//! Generates the gRPC code without a `protoc` program.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 11] = [
    "agix/v1/audit.proto",
    "agix/v1/policy.proto",
    "agix/v1/admin.proto",
    "agix/v1/sync.proto",
    "agix/v1/fleet.proto",
    "agix/v1/ledger.proto",
    "agix/v1/quota.proto",
    "agix/v1/state.proto",
    "agix/v1/targets.proto",
    "agix/v1/traffic.proto",
    "agix/v1/webhook.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=agix");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("agix.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Maps in the order of their keys: a policy has one encoding.
        .btree_map(".")
        // Far larger than the other resources.
        .boxed(".agix.v1.Resource.body.webhook")
        // Encoded once, shared by all streams.
        .bytes(".agix.v1.SnapshotPart.policy")
        .bytes(".agix.v1.PolicyDelta.delta")
        .bytes(".agix.v1.BackupPart.data")
        .bytes(".agix.v1.RestorePart.data")
        // Much larger than the other messages of its stream.
        .boxed(".agix.v1.WorkResponse.body.step")
        // These hold secrets: what `Debug` shows of them is written by hand.
        .skip_debug([
            ".agix.v1.Reference",
            ".agix.v1.ReferenceText",
            ".agix.v1.ReferencePart",
            ".agix.v1.SourceFile",
        ])
        .compile_fds(descriptors)?;
    Ok(())
}
