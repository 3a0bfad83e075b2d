//! The examples are legal policies.

use std::path::{Path, PathBuf};

use crate::harness::{Fleet, agixctl};

fn examples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = std::fs::read_dir(dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    found.sort();
    found
}

#[test]
fn the_readme_has_the_reference_as_it_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let reference = read("examples/reference.yaml");
    assert!(read("README.md").contains(&format!("```yaml\n{reference}```\n")));
}

#[test]
fn the_reference_names_every_setting_and_its_default() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let reference = std::fs::read_to_string(root.join("examples/reference.yaml")).unwrap();
    let fleet = Fleet::start();
    // A document without settings shows every default.
    fleet.apply("failover: { chains: {} }", &[]).exits(0);
    let settings = fleet.agixctl(&["get", "settings"]).exits(0);
    for line in settings.stdout.lines().skip(1) {
        let (path, _) = line.split_once(' ').unwrap();
        let key = path.rsplit('.').next().unwrap();
        assert!(reference.contains(&format!(" {key}: ")), "{path}");
    }
}

#[test]
fn every_example_is_legal() {
    let examples = examples();
    assert!(examples.len() >= 4, "{examples:?}");
    for path in examples {
        let file = path.to_str().unwrap();
        agixctl(["validate", "-f", file])
            .exits(0)
            .says("policy is valid");
    }
}

#[test]
fn every_example_can_be_applied_and_comes_back_as_it_was_written() {
    let fleet = Fleet::start();
    for path in examples() {
        let file = path.to_str().unwrap();
        fleet
            .agixctl(&["apply", "-f", file])
            .exits(0)
            .says("policy applied");
        fleet.agixctl(&["diff", "-f", file]).exits(0);
        let text = std::fs::read_to_string(&path).unwrap();
        let got = fleet.agixctl(&["get"]).exits(0);
        let comment = text.lines().next().unwrap();
        assert!(got.stdout.starts_with(comment), "{got:#?}");
    }
}

#[test]
fn what_get_prints_is_the_same_policy_again() {
    let fleet = Fleet::start();
    for path in examples() {
        let file = path.to_str().unwrap();
        fleet.agixctl(&["apply", "-f", file]).exits(0);
        let shown = fleet.agixctl(&["get", "-o", "yaml"]).exits(0);
        if shown.stdout.contains("secret:sha256:") {
            // A fingerprint cannot become a secret again, and is refused as one.
            fleet
                .apply(&shown.stdout, &[])
                .exits(3)
                .complains("AGX0012");
        } else {
            fleet
                .apply(&shown.stdout, &[])
                .exits(0)
                .says("policy unchanged");
        }
    }
}
