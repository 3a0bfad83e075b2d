//! A file in which a proxy writes down what is spent and set aside, so that the next process on its
//! host can settle what a crash left open.
//!
//! Rules this module keeps:
//! - An entry is written before what it says is acted on: money is in the journal before the provider
//!   is called. It is handed to the operating system and survives the process, not the machine.
//! - One line is one state of one session, agent and day; the last line holds. A last line that broke
//!   off was not acted on.
//! - The file is locked while the process lives, so whoever opens it knows that the one before is
//!   gone.
//! - It is bounded, and written anew when it has become long.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use agix_core::id::AgentName;
use agix_core::lease::{Note, Noted};
use agix_core::limits::{JOURNAL_BYTES, JOURNAL_ENTRIES};
use agix_core::quota::{Day, SessionId};
use agix_core::units::NanoUsd;

/// The journal of this process.
#[derive(Debug)]
pub(crate) struct Journal {
    pages: Mutex<Pages>,
}

/// What an entry is about.
type Key = (SessionId, AgentName, Day);

#[derive(Debug)]
struct Pages {
    file: File,
    path: PathBuf,
    length: u64,
    entries: BTreeMap<Key, Noted>,
    /// Whether writing failed; it was said once.
    is_broken: bool,
}

/// What a process before this one left open.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub(crate) session: SessionId,
    pub(crate) agent: AgentName,
    pub(crate) day: Day,
    pub(crate) noted: Noted,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened or read.
    #[error("the journal {} cannot be used", path.display())]
    File {
        /// Where it is.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// Another process has it.
    #[error("the journal {} belongs to a proxy that is running; give each proxy its own", .0.display())]
    Taken(PathBuf),
}

impl Journal {
    /// Opens the journal at `path`, or begins one; says what the process before left open.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Left>), JournalError> {
        let failed = |cause| JournalError::File {
            path: path.to_owned(),
            cause,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Taken(path.to_owned()),
            TryLockError::Error(cause) => failed(cause),
        })?;
        let mut text = String::new();
        let most = JOURNAL_BYTES.saturating_mul(2);
        (&mut file)
            .take(most)
            .read_to_string(&mut text)
            .map_err(failed)?;
        let entries = read(&text);
        let left = entries
            .iter()
            .map(|((session, agent, day), noted)| Left {
                session: *session,
                agent: agent.clone(),
                day: *day,
                noted: *noted,
            })
            .collect();
        let mut pages = Pages {
            file,
            path: path.to_owned(),
            length: 0,
            entries,
            is_broken: false,
        };
        pages.write_anew().map_err(failed)?;
        let pages = Mutex::new(pages);
        Ok((Self { pages }, left))
    }

    /// Writes an entry.
    pub(crate) fn note(&self, agent: &AgentName, note: &Note) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = pages.note(agent, note)
            && !std::mem::replace(&mut pages.is_broken, true)
        {
            tracing::error!(%error, path = %pages.path.display(),
                "the journal cannot be written; what a crash leaves open stays unsettled");
        }
    }

    /// Everything is settled: the next process finds nothing.
    pub(crate) fn clear(&self) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        pages.entries.clear();
        if let Err(error) = pages.write_anew() {
            tracing::warn!(%error, "the journal cannot be cleared; the next proxy tells it again");
        }
    }
}

impl Pages {
    fn note(&mut self, agent: &AgentName, note: &Note) -> io::Result<()> {
        let key = (note.session, agent.clone(), note.day);
        let line = line(&key, note.money.as_ref());
        match note.money {
            Some(money) => {
                if self.entries.len() >= JOURNAL_ENTRIES && !self.entries.contains_key(&key) {
                    return Err(io::Error::other("it has too many entries"));
                }
                self.entries.insert(key, money);
            }
            None => drop(self.entries.remove(&key)),
        }
        if self.length >= JOURNAL_BYTES {
            return self.write_anew();
        }
        self.file.write_all(line.as_bytes())?;
        self.length = self.length.saturating_add(length(&line));
        Ok(())
    }

    /// Writes what holds over what was written. A process that is killed meanwhile leaves the lines
    /// of before behind the new ones, which say the same or less.
    fn write_anew(&mut self) -> io::Result<()> {
        let text: String = self
            .entries
            .iter()
            .map(|(key, noted)| line(key, Some(noted)))
            .collect();
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, &text)?;
        let mut file = OpenOptions::new().read(true).write(true).open(&beside)?;
        // Nobody else opens it: the one of before is locked, and stays so until it is replaced.
        file.try_lock().map_err(io::Error::from)?;
        std::fs::rename(&beside, &self.path)?;
        file.seek(io::SeekFrom::End(0))?;
        self.file = file;
        self.length = length(&text);
        Ok(())
    }
}

fn line((session, agent, day): &Key, noted: Option<&Noted>) -> String {
    let (session, day) = (session.number(), day.number());
    match noted {
        Some(Noted { spent, reserved }) => {
            let (spent, reserved) = (spent.as_nanos(), reserved.as_nanos());
            format!("{session} {agent} {day} {spent} {reserved}\n")
        }
        None => format!("{session} {agent} {day} settled\n"),
    }
}

/// The entries that hold.
fn read(text: &str) -> BTreeMap<Key, Noted> {
    let mut entries = BTreeMap::new();
    for line in text.split_inclusive('\n') {
        let Some((key, noted)) = line.strip_suffix('\n').and_then(parse) else {
            tracing::warn!("a line of the journal is not whole and is left out");
            continue;
        };
        match noted {
            Some(noted) => drop(entries.insert(key, noted)),
            None => drop(entries.remove(&key)),
        }
    }
    entries
}

fn parse(line: &str) -> Option<(Key, Option<Noted>)> {
    let mut words = line.split(' ');
    let session = SessionId::new(words.next()?.parse().ok()?);
    let agent = AgentName::new(words.next()?).ok()?;
    let day = Day::from_number(words.next()?.parse().ok()?).ok()?;
    let key = (session, agent, day);
    match words.next()? {
        "settled" => Some((key, None)),
        spent => {
            let spent = NanoUsd::from_nanos(spent.parse().ok()?);
            let reserved = NanoUsd::from_nanos(words.next()?.parse().ok()?);
            Some((key, Some(Noted { spent, reserved })))
        }
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(session: u64, spent: u64, reserved: u64) -> Note {
        Note {
            session: SessionId::new(session),
            day: Day::from_number(20_261_125).unwrap(),
            money: Some(Noted {
                spent: NanoUsd::from_nanos(spent),
                reserved: NanoUsd::from_nanos(reserved),
            }),
        }
    }

    fn agent() -> AgentName {
        AgentName::new("a").unwrap()
    }

    fn left(path: &Path) -> Vec<(u64, u64, u64)> {
        let (_journal, left) = Journal::open(path).unwrap();
        left.into_iter()
            .map(|it| {
                let Noted { spent, reserved } = it.noted;
                (it.session.number(), spent.as_nanos(), reserved.as_nanos())
            })
            .collect()
    }

    #[test]
    fn the_next_process_finds_what_holds_until_it_is_settled() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, before) = Journal::open(&path).unwrap();
        assert!(before.is_empty());
        journal.note(&agent(), &note(1, 0, 50));
        journal.note(&agent(), &note(1, 30, 0));
        journal.note(&agent(), &note(2, 7, 9));
        assert!(
            matches!(Journal::open(&path), Err(JournalError::Taken(_))),
            "two proxies cannot have one journal"
        );
        drop(journal);
        assert_eq!(left(&path), [(1, 30, 0), (2, 7, 9)]);
        assert_eq!(left(&path), [(1, 30, 0), (2, 7, 9)], "kept until settled");
        let (journal, _left) = Journal::open(&path).unwrap();
        journal.note(
            &agent(),
            &Note {
                money: None,
                ..note(1, 0, 0)
            },
        );
        drop(journal);
        assert_eq!(left(&path), [(2, 7, 9)]);
        let (journal, _left) = Journal::open(&path).unwrap();
        journal.clear();
        drop(journal);
        assert!(left(&path).is_empty());
    }

    #[test]
    fn a_line_that_broke_off_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "1 a 20261125 30 0\nnonsense\n1 a 20261125 99").unwrap();
        assert_eq!(left(&path), [(1, 30, 0)]);
    }

    #[test]
    fn the_file_does_not_grow_without_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let (journal, _left) = Journal::open(&path).unwrap();
        for spent in 0..300_000 {
            journal.note(&agent(), &note(1, spent, 0));
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= JOURNAL_BYTES + 100);
        drop(journal);
        assert_eq!(left(&path), [(1, 299_999, 0)]);
    }
}
