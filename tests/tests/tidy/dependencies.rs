//! Which crate may use which: the arrows of ARCHITECTURE.md, and the purity of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::process::Command;

use serde::Deserialize;

use crate::repository::{files, root};
use crate::{Outcome, none};

/// What each crate of the workspace may use of the others, tests left out.
const ARROWS: [(&str, &[&str]); 10] = [
    ("agix-core", &[]),
    ("agix-proto", &["agix-core"]),
    ("agix-telemetry", &[]),
    (
        "agix-control-plane",
        &["agix-core", "agix-proto", "agix-telemetry"],
    ),
    ("agix-proxy", &["agix-core", "agix-proto", "agix-telemetry"]),
    (
        "agixctl",
        &[
            "agix-core",
            "agix-proto",
            "agix-control-plane",
            "agix-proxy",
        ],
    ),
    (
        "agix-tests",
        &[
            "agix-core",
            "agix-proto",
            "agix-control-plane",
            "agix-proxy",
            "agixctl",
        ],
    ),
    ("agix-sim", &["agix-core"]),
    ("agix-fuzz", &["agix-core", "agix-proto", "agix-proxy"]),
    (
        "agix-bench",
        &["agix-core", "agix-proto", "agix-control-plane"],
    ),
];

/// What the rules may not reach, however deep: IO, runtimes, clocks, randomness.
///
/// `jiff` is not among them: without its `tz-system` feature it reads no file, and what it has of a
/// clock is banned by `clippy.toml`. The calendar and the time zones are pure.
const IMPURE: [&str; 23] = [
    "async-io",
    "async-std",
    "axum",
    "chrono",
    "fastrand",
    "getrandom",
    "hyper",
    "hyper-util",
    "mio",
    "notify",
    "parking_lot",
    "quanta",
    "rand",
    "redb",
    "reqwest",
    "rustix",
    "rustls",
    "socket2",
    "tempfile",
    "time",
    "tokio",
    "tonic",
    "tracing",
];

/// Dependencies that only generated code names.
const GENERATED: [(&str, &str); 2] = [("agix-proto", "prost"), ("agix-proto", "tonic-prost")];

/// `cargo metadata`, as far as it is read.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `None` is an ordinary one; others are `dev` and `build`.
    kind: Option<String>,
    /// Whether only a feature of the crate asks for it.
    optional: bool,
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
    target: Option<String>,
}

#[test]
fn crates_use_each_other_in_one_direction() -> Outcome {
    let metadata = metadata()?;
    let mut breaches = Vec::new();
    for package in metadata.members() {
        let allowed = ARROWS.iter().find(|(name, _)| *name == package.name);
        let Some((_, allowed)) = allowed else {
            breaches.push(format!(
                "{}: say in this test what it may use",
                package.name
            ));
            continue;
        };
        for used in package.ordinary() {
            if metadata.members().any(|member| member.name == used) && !allowed.contains(&used) {
                breaches.push(format!("{} uses {used}", package.name));
            }
        }
    }
    none(
        "Arrows between crates that ARCHITECTURE.md does not have",
        &breaches,
    );
    Ok(())
}

#[test]
fn the_rules_reach_no_io_no_clock_and_no_randomness() -> Outcome {
    let metadata = metadata()?;
    let names: BTreeMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    let nodes: BTreeMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let core = metadata
        .members()
        .find(|package| package.name == "agix-core");
    let mut open: Vec<&str> = core
        .map(|package| package.id.as_str())
        .into_iter()
        .collect();
    let mut seen = BTreeSet::new();
    let mut breaches = Vec::new();
    while let Some(id) = open.pop() {
        let Some((package, node)) = names.get(id).copied().zip(nodes.get(id).copied()) else {
            continue;
        };
        // Macros run in the compiler.
        if !seen.insert(id) || package.is_macro() {
            continue;
        }
        if IMPURE.contains(&package.name.as_str()) {
            breaches.push(package.name.clone());
        }
        // What the rules use for their tests is optional; an optional crate of a crate is in use.
        let for_tests = |edge: &Edge| {
            let used = names.get(edge.pkg.as_str()).map(|used| used.name.as_str());
            package.name == "agix-core" && package.optional().any(|name| Some(name) == used)
        };
        let edges = node
            .deps
            .iter()
            .filter(|edge| edge.is_ordinary() && !for_tests(edge));
        open.extend(edges.map(|edge| edge.pkg.as_str()));
    }
    assert!(
        seen.len() > 10,
        "the dependencies of agix-core are not read as they should: {seen:?}"
    );
    none("What agix-core reaches and should not", &breaches);
    Ok(())
}

#[test]
fn every_dependency_is_used() -> Outcome {
    let metadata = metadata()?;
    let files = files()?;
    let mut breaches = Vec::new();
    for package in metadata.members() {
        let folder = package.folder()?;
        let sources: Vec<&str> = files
            .iter()
            .filter(|file| file.is_rust() && file.path.starts_with(&folder))
            .filter_map(|file| file.text.as_deref())
            .collect();
        for dependency in &package.dependencies {
            let name = dependency.name.as_str();
            let word = name.replace('-', "_");
            let used = sources.iter().any(|text| text.contains(&word));
            if !used && !GENERATED.contains(&(&package.name, name)) {
                breaches.push(format!("{folder}Cargo.toml: {name}"));
            }
        }
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let (_, shared) = manifest
        .split_once("\n[workspace.dependencies]\n")
        .ok_or("Cargo.toml has no [workspace.dependencies]")?;
    let entries = shared.lines().take_while(|line| !line.starts_with('['));
    for name in entries.filter_map(|line| Some(line.split_once(" =")?.0)) {
        let mut members = metadata.members().flat_map(|package| &package.dependencies);
        // Some of our own crates are used by nobody.
        if !members.any(|dependency| dependency.name == name) && !name.starts_with("agix") {
            breaches.push(format!("Cargo.toml: {name}"));
        }
    }
    none("Dependencies that no source names", &breaches);
    Ok(())
}

#[test]
fn no_program_is_built_with_planted_bugs() -> Outcome {
    let knows = |path: &str| path == "core/Cargo.toml" || path == "tests/sim/Cargo.toml";
    let files = files()?;
    let breaches: Vec<String> = files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml") && !knows(&file.path))
        .filter(|file| {
            let text = file.text.as_deref().unwrap_or_default();
            text.contains("planted-bugs") || text.contains("agix-sim.workspace")
        })
        .map(|file| file.path.clone())
        .collect();
    none("Manifests that plant mistakes", &breaches);
    Ok(())
}

fn metadata() -> Result<Metadata, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Metadata {
    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }
}

impl Package {
    /// Its dependencies that are neither for tests nor for building.
    fn ordinary(&self) -> impl Iterator<Item = &str> {
        let ordinary = self
            .dependencies
            .iter()
            .filter(|dependency| dependency.kind.is_none());
        ordinary.map(|dependency| dependency.name.as_str())
    }

    /// Its dependencies that only a feature asks for.
    fn optional(&self) -> impl Iterator<Item = &str> {
        let optional = self
            .dependencies
            .iter()
            .filter(|dependency| dependency.optional);
        optional.map(|dependency| dependency.name.as_str())
    }

    fn is_macro(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }

    /// Its folder from the top of the repository, with a slash at the end.
    fn folder(&self) -> Result<String, Box<dyn Error>> {
        let top = root().canonicalize()?.display().to_string();
        let inside = self
            .manifest_path
            .strip_prefix(&top)
            .and_then(|path| path.strip_prefix('/'));
        let folder = inside.and_then(|path| path.strip_suffix("Cargo.toml"));
        Ok(folder
            .ok_or("a member lies outside the repository")?
            .to_owned())
    }
}

impl Edge {
    /// Whether it is an ordinary dependency on Linux or everywhere.
    fn is_ordinary(&self) -> bool {
        self.dep_kinds.iter().any(|kind| {
            let target = kind.target.as_deref().unwrap_or_default();
            kind.kind.is_none() && !target.contains("windows") && !target.contains("wasm")
        })
    }
}
