//! A file that is put aside when it is large, with a bounded number of older ones beside it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use super::AuditFile;

/// The file, open.
#[derive(Debug)]
pub(super) struct Rotating {
    settings: AuditFile,
    file: File,
    bytes: u64,
}

impl Rotating {
    /// Opens the file, to go on behind what is in it.
    pub(super) fn open(settings: AuditFile) -> io::Result<Self> {
        // What was asked and answered may be in it: it belongs to its owner.
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&settings.path)?;
        let mut bytes = file.metadata()?.len();
        if bytes > 0 && !ends_with_a_line(&mut file)? {
            file.write_all(b"\n")?;
            bytes = bytes.saturating_add(1);
        }
        Ok(Self {
            settings,
            file,
            bytes,
        })
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let more = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if self.bytes > 0 && self.bytes.saturating_add(more) > self.settings.bytes {
            self.put_aside()?;
        }
        self.file.write_all(lines)?;
        self.bytes = self.bytes.saturating_add(more);
        Ok(())
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let older = self.settings.files.saturating_sub(1);
        for age in (1..older).rev() {
            match fs::rename(self.aged(age), self.aged(age.saturating_add(1))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if older == 0 {
            fs::remove_file(&self.settings.path)?;
        } else {
            fs::rename(&self.settings.path, self.aged(1))?;
        }
        *self = Self::open(self.settings.clone())?;
        Ok(())
    }

    fn aged(&self, age: u32) -> PathBuf {
        let mut path = OsString::from(&self.settings.path);
        path.push(format!(".{age}"));
        path.into()
    }
}

fn ends_with_a_line(file: &mut File) -> io::Result<bool> {
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap_or_default()
    }

    #[test]
    fn a_large_file_is_put_aside_and_the_oldest_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        let settings = AuditFile {
            path: path.clone(),
            bytes: 8,
            files: 3,
        };
        let mut file = Rotating::open(settings).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        assert_eq!(read(path.clone()), "five\n");
        assert_eq!(read(path.with_extension("1")), "four\n");
        assert_eq!(read(path.with_extension("2")), "three\n");
        assert!(!path.with_extension("3").exists());
    }

    #[test]
    fn a_file_that_was_left_within_a_line_goes_on_with_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit");
        fs::write(&path, "one\n{\"torn").unwrap();
        let mut file = Rotating::open(AuditFile::at(path.clone())).unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(read(path), "one\n{\"torn\ntwo\n");
    }
}
