use agix_core::id::AgentName;
use agix_core::lease::Noted;
use agix_core::quota::{Day, SessionId};
use agix_core::units::NanoUsd;
use proptest::prelude::*;

use super::*;

fn row(agent: &str, session: u64, spent: u64, reserved: u64) -> Row {
    Row {
        agent: AgentName::new(agent).unwrap(),
        session: SessionId::new(session),
        day: Day::new(2026, 11, 25).unwrap(),
        money: Noted {
            spent: NanoUsd::from_nanos(spent),
            reserved: NanoUsd::from_nanos(reserved),
        },
    }
}

fn rows(left: &[Left]) -> Vec<Row> {
    left.iter().map(|left| left.row.clone()).collect()
}

#[test]
fn a_successor_finds_what_holds_until_it_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, left) = Journal::open(&path).unwrap();
    assert!(left.is_empty());
    let [first, second] = [journal.place().unwrap(), journal.place().unwrap()];
    journal.note(first, &row("a", 7, 100, 50));
    journal.note(first, &row("a", 7, 130, 20));
    journal.note(second, &row("b", 8, 9, 0));
    drop(journal);
    for _ in 0..2 {
        let (_, left) = Journal::open(&path).unwrap();
        assert_eq!(rows(&left), [row("a", 7, 130, 20), row("b", 8, 9, 0)]);
    }
    let (journal, left) = Journal::open(&path).unwrap();
    journal.clear(left[0].slot);
    assert_eq!(journal.place(), Some(left[0].slot));
    drop(journal);
    let (_, left) = Journal::open(&path).unwrap();
    assert_eq!(rows(&left), [row("b", 8, 9, 0)]);
}

#[test]
fn a_torn_row_is_left_out_and_the_others_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let (journal, _) = Journal::open(&path).unwrap();
    for (number, name) in [(1, "a"), (2, "b")] {
        let slot = journal.place().unwrap();
        journal.note(slot, &row(name, number, 1, 0));
    }
    drop(journal);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[ROW_BYTES + 30] ^= 1;
    bytes.extend_from_slice(b"half a row");
    std::fs::write(&path, &bytes).unwrap();
    let (_, left) = Journal::open(&path).unwrap();
    assert_eq!(rows(&left), [row("b", 2, 1, 0)]);
}

#[test]
fn two_processes_do_not_share_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let _first = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::InUse(_))));
}

#[test]
fn another_file_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    std::fs::write(&path, "something else").unwrap();
    assert!(matches!(
        Journal::open(&path),
        Err(JournalError::NotOurs(_))
    ));
    assert_eq!(std::fs::read(&path).unwrap(), b"something else");
}

#[test]
fn the_journal_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(&folder.path().join("journal")).unwrap();
    let places = std::iter::from_fn(|| journal.place()).take(100_000).count();
    assert_eq!(u32::try_from(places).unwrap(), JOURNAL_ROWS);
    journal.clear(Slot(5));
    assert_eq!(journal.place(), Some(Slot(5)));
    assert_eq!(journal.place(), None);
}

proptest! {
    #[test]
    fn a_row_is_read_as_it_was_written(
        name in "[a-z0-9._@:-]{1,64}",
        numbers in prop::array::uniform3(any::<u64>()),
    ) {
        let [session, spent, reserved] = numbers;
        let row = row(&name, session, spent, reserved);
        prop_assert_eq!(Row::decode(&row.encode()), Some(row));
    }

    #[test]
    fn no_bytes_are_taken_for_a_row(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(Row::decode(&bytes), None);
    }
}
