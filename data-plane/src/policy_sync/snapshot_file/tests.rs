use std::os::unix::fs::PermissionsExt as _;

use agix_core::id::AgentName;
use agix_core::policy::RateLimits;
use agix_proto::convert::policy_hash;

use super::*;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self) -> SnapshotFile {
        SnapshotFile::new(self.path("policy.snapshot"))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn stored(revision: u64) -> Stored {
    let mut policy = Policy::default();
    let agent = AgentName::new(&format!("agent-{revision}")).unwrap();
    policy.rate_limits.insert(agent, RateLimits::default());
    let hash = policy_hash(&policy);
    let revision = Revision::new(revision);
    Stored {
        version: Version { revision, hash },
        policy,
    }
}

fn save(file: &mut SnapshotFile, revision: u64) {
    let Stored { version, policy } = stored(revision);
    file.save(version, &policy).unwrap();
}

fn load(file: &SnapshotFile, generation: Generation) -> Option<Stored> {
    file.load(generation).unwrap()
}

#[test]
fn a_policy_survives_a_restart_with_one_generation_before_it() {
    let place = Place::new();
    assert_eq!(load(&place.file(), Generation::Newest), None);
    let mut file = place.file();
    for revision in 1..=3 {
        save(&mut file, revision);
    }
    let file = place.file();
    assert_eq!(load(&file, Generation::Newest), Some(stored(3)));
    assert_eq!(load(&file, Generation::Previous), Some(stored(2)));
    assert_eq!(
        place.names(),
        ["policy.snapshot", "policy.snapshot.previous"]
    );
}

#[test]
fn only_the_owner_may_read_it() {
    let place = Place::new();
    // Left behind by a crash, readable by all.
    fs::write(place.path("policy.snapshot.new"), "half a snapsh").unwrap();
    let mut file = place.file();
    save(&mut file, 1);
    save(&mut file, 2);
    for name in place.names() {
        let mode = fs::metadata(place.path(&name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn any_damage_is_noticed() {
    let place = Place::new();
    save(&mut place.file(), 1);
    let path = place.path("policy.snapshot");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        assert!(parse(&bytes, &path).is_err(), "byte {at} changed");
        assert!(parse(&whole[..at], &path).is_err(), "cut off after {at}");
    }
    let error = parse(&whole[..whole.len() - 1], Path::new("policy.snapshot")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the policy snapshot policy.snapshot is damaged: its checksum does not match"
    );
    let error = parse(b"providers: {}", Path::new("policy.yaml")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "policy.yaml is not a policy snapshot of this version of agix"
    );
}

#[test]
fn a_damaged_newest_does_not_push_out_the_good_one_before_it() {
    let place = Place::new();
    let mut file = place.file();
    save(&mut file, 1);
    save(&mut file, 2);
    fs::write(place.path("policy.snapshot"), "torn").unwrap();
    let mut file = place.file();
    assert!(file.load(Generation::Newest).is_err());
    save(&mut file, 3);
    assert_eq!(load(&file, Generation::Newest), Some(stored(3)));
    assert_eq!(load(&file, Generation::Previous), Some(stored(1)));
    save(&mut file, 4);
    assert_eq!(load(&file, Generation::Previous), Some(stored(3)));
}

#[test]
fn a_place_that_cannot_be_written_is_an_error_that_names_it() {
    let place = Place::new();
    let path = place.path("no/such/directory/policy.snapshot");
    let Stored { version, policy } = stored(1);
    let error = SnapshotFile::new(path.clone())
        .save(version, &policy)
        .unwrap_err();
    let says = format!("cannot write the policy snapshot {}", path.display());
    assert_eq!(error.to_string(), says);
}
