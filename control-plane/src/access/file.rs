//! The file of tokens: one a line, read at the start and whenever it changes.
//!
//! A line is `ROLE NAME ID sha256:HASH`, as `agixctl token create` prints it; what follows a `#` is a
//! note. A file that cannot be used any more changes nothing: the tokens of before are in force.

use std::error::Error;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use agix_core::limits::{TOKENS, TOKENS_FILE_BYTES, TOKENS_REREAD};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::token::{Known, Role, Tokens, is_name};

/// Why a text holds no tokens. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTokens {
    /// There is none: nobody could call.
    #[error("there is no token in it; `agixctl token create` makes one")]
    Empty,
    /// There are too many.
    #[error("there are more than {TOKENS} tokens in it")]
    TooMany,
    /// A line is malformed.
    #[error(
        "line {0} is not ROLE NAME ID sha256:HASH with a role of viewer, operator, admin or proxy; \
         `agixctl token create` makes such lines"
    )]
    Line(usize),
    /// Two lines are of one token.
    #[error("line {0} has an id that another line has")]
    Twice(usize),
}

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("the tokens cannot be read from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any file of tokens.
    #[error("{} has more than {TOKENS_FILE_BYTES} bytes: it is no file of tokens", .0.display())]
    TooLong(PathBuf),
    /// What it says are no tokens.
    #[error("{} cannot be used", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        source: InvalidTokens,
    },
}

/// Reads the tokens of a file.
fn read(path: &Path) -> Result<Tokens, TokensError> {
    let failed = |source| TokensError::Read {
        path: path.to_owned(),
        source,
    };
    let most = u64::try_from(TOKENS_FILE_BYTES).unwrap_or(u64::MAX);
    let mut text = String::new();
    File::open(path)
        .map_err(failed)?
        .take(most.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() > TOKENS_FILE_BYTES {
        return Err(TokensError::TooLong(path.to_owned()));
    }
    text.parse().map_err(|source| TokensError::Invalid {
        path: path.to_owned(),
        source,
    })
}

/// The tokens of a file, and the work that keeps them as the file is until `stop` is cancelled.
pub(crate) fn follow(
    path: PathBuf,
    stop: CancellationToken,
) -> Result<(watch::Receiver<Tokens>, impl Future<Output = ()> + Send), TokensError> {
    let tokens = read(&path)?;
    info!(path = %path.display(), tokens = tokens.count(), "callers are asked for tokens");
    let (sender, receiver) = watch::channel(tokens);
    let work = async move {
        let mut complained = false;
        let pause = || tokio::time::sleep(TOKENS_REREAD);
        while stop.run_until_cancelled(pause()).await.is_some() {
            let reading = path.clone();
            let Ok(reread) = spawn_blocking(move || read(&reading)).await else {
                return;
            };
            match reread {
                Ok(tokens) => {
                    complained = false;
                    take_over(&sender, tokens);
                }
                Err(_) if complained => {}
                Err(error) => {
                    complained = true;
                    let error: &dyn Error = &error;
                    error!(error, "the tokens of before stay in force");
                }
            }
        }
    };
    Ok((receiver, work))
}

fn take_over(sender: &watch::Sender<Tokens>, tokens: Tokens) {
    let count = tokens.count();
    let changed = sender.send_if_modified(|known| {
        let differs = *known != tokens;
        *known = tokens;
        differs
    });
    if changed {
        info!(tokens = count, "the tokens have changed");
    }
}

impl FromStr for Tokens {
    type Err = InvalidTokens;

    fn from_str(text: &str) -> Result<Self, InvalidTokens> {
        let mut tokens = Self::default();
        for (line, number) in text.lines().zip(1_usize..) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (id, known) = token(line).ok_or(InvalidTokens::Line(number))?;
            if tokens.by_id.insert(id, known).is_some() {
                return Err(InvalidTokens::Twice(number));
            }
            if tokens.count() > TOKENS {
                return Err(InvalidTokens::TooMany);
            }
        }
        if tokens.by_id.is_empty() {
            return Err(InvalidTokens::Empty);
        }
        Ok(tokens)
    }
}

fn token(line: &str) -> Option<(String, Known)> {
    let mut words = line.split_whitespace();
    let role = Role::parse(words.next()?)?;
    let name = words.next().filter(|name| is_name(name))?;
    let id = words.next()?;
    let digits = words.next()?.strip_prefix("sha256:")?;
    if words.next().is_some() || digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    let name = name.to_owned();
    Some((id.to_owned(), Known { role, name, hash }))
}

#[cfg(test)]
mod tests {
    use super::super::token::create;
    use super::*;

    #[test]
    fn a_file_has_a_token_a_line_and_notes() {
        let one = create(Role::Viewer, "one").unwrap().line;
        let other = create(Role::Proxy, "other").unwrap().line;
        let text = format!("# tokens\n{one} # since may\n\n{other}\n");
        let tokens: Tokens = text.parse().unwrap();
        assert_eq!(tokens.count(), 2);
        let refused = |text: &str| text.parse::<Tokens>().unwrap_err();
        assert_eq!(refused("# nothing\n"), InvalidTokens::Empty);
        assert_eq!(refused(&format!("{one}\n{one}")), InvalidTokens::Twice(2));
        for wrong in [
            one.replace("viewer", "owner"),
            one.replace("sha256:", ""),
            format!("{one}0"),
            format!("{one} more"),
            "agix_00000000_hunter2".to_owned(),
        ] {
            let refused = refused(&format!("{other}\n{wrong}"));
            assert_eq!(refused, InvalidTokens::Line(2));
            assert!(!refused.to_string().contains("hunter2"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_in_force_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens");
        assert!(follow(path.clone(), CancellationToken::new()).is_err());
        let one = create(Role::Viewer, "one").unwrap();
        std::fs::write(&path, &one.line).unwrap();
        let stop = CancellationToken::new();
        let (mut tokens, work) = follow(path.clone(), stop.clone()).unwrap();
        let other = create(Role::Viewer, "other").unwrap();
        let check = async {
            std::fs::write(&path, "garbage").unwrap();
            tokio::time::sleep(TOKENS_REREAD * 3).await;
            assert!(tokens.borrow().find(&one.token).is_some());
            std::fs::write(&path, &other.line).unwrap();
            tokens.changed().await.unwrap();
            assert!(tokens.borrow().find(&one.token).is_none());
            assert!(tokens.borrow().find(&other.token).is_some());
            stop.cancel();
        };
        tokio::join!(work, check);
    }
}
