//! Who is signed in. A browser holds a random name of its session and never the token itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use agix_core::limits::{CONSOLE_SESSION_TIME, CONSOLE_SESSIONS};
use agix_core::time::Mono;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};

use super::api::Token;
use crate::clock::Clock;

/// The cookie's name.
pub(super) const COOKIE: &str = "agix_session";
/// Bytes of randomness in the name of a session.
const NAME_BYTES: usize = 32;

/// All that are signed in.
#[derive(Debug)]
pub(super) struct Sessions {
    clock: Clock,
    /// By the hash of their names, so that a look-up tells nothing about a name by its time.
    open: Mutex<BTreeMap<[u8; 32], Open>>,
}

#[derive(Debug)]
struct Open {
    token: Token,
    since: Mono,
}

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers, so nobody can be signed in")]
pub(super) struct NoRandomness;

impl Sessions {
    pub(super) const fn new(clock: Clock) -> Self {
        Self {
            clock,
            open: Mutex::new(BTreeMap::new()),
        }
    }

    /// Signs in, and says the session's name.
    pub(super) fn open(&self, token: Token) -> Result<String, NoRandomness> {
        let mut name = [0_u8; NAME_BYTES];
        SystemRandom::new()
            .fill(&mut name)
            .map_err(|_unspecified| NoRandomness)?;
        let name = URL_SAFE_NO_PAD.encode(name);
        let now = self.clock.mono();
        let mut open = self.lock();
        open.retain(|_, session| now.since(session.since) < CONSOLE_SESSION_TIME);
        while open.len() >= CONSOLE_SESSIONS {
            let first = open.iter().min_by_key(|(_, session)| session.since);
            let Some(first) = first.map(|(key, _)| *key) else {
                break;
            };
            open.remove(&first);
        }
        open.insert(key(&name), Open { token, since: now });
        Ok(name)
    }

    /// The token of a session that is open.
    pub(super) fn find(&self, name: &str) -> Option<Token> {
        let now = self.clock.mono();
        let open = self.lock();
        let session = open.get(&key(name))?;
        (now.since(session.since) < CONSOLE_SESSION_TIME).then(|| session.token.clone())
    }

    /// Signs out.
    pub(super) fn close(&self, name: &str) {
        self.lock().remove(&key(name));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<[u8; 32], Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(name: &str) -> [u8; 32] {
    Sha256::digest(name.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_by_its_name_until_it_is_closed() {
        let sessions = Sessions::new(Clock::start());
        let name = sessions.open(Token::default()).unwrap();
        assert_eq!(name.len(), (NAME_BYTES * 4).div_ceil(3));
        assert!(sessions.find(&name).is_some());
        assert!(sessions.find("another").is_none());
        sessions.close(&name);
        assert!(sessions.find(&name).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_first_gives_way() {
        let sessions = Sessions::new(Clock::start());
        let first = sessions.open(Token::default()).unwrap();
        for _ in 0..CONSOLE_SESSIONS {
            sessions.open(Token::default()).unwrap();
        }
        assert_eq!(sessions.lock().len(), CONSOLE_SESSIONS);
        assert!(sessions.find(&first).is_none());
    }
}
