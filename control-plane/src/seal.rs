//! Seals: what keeps secrets in the store from whoever reads the store.
//!
//! Rules this module keeps:
//! - A sealed value is AES-256-GCM under a key that is never in the store, with a random nonce, and
//!   bound to the key of the store it belongs to: put elsewhere, it does not open.
//! - Its first byte is [`FORM`], which no unsealed value of a sealed kind begins with: chunks begin
//!   with 0, and no protobuf message begins with 1. So both live in one store.
//! - The first key seals, every key opens. A key is named by a hash of it.
//! - Nothing here prints a key.

mod file;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use agix_core::limits::SEAL_KEYS;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};

pub use file::KeyFileError;
pub(crate) use file::own;

/// The first byte of a sealed value. Frozen.
pub(crate) const FORM: u8 = 1;
/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Bytes of a key's name.
const ID_BYTES: usize = 8;

/// Keys that seal and open: the first seals, all open. Cheap to clone.
#[derive(Clone)]
pub struct SealKeys(Arc<Keys>);

struct Keys {
    first: SealKey,
    old: Vec<SealKey>,
}

/// Names a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SealKeyId([u8; ID_BYTES]);

/// Why a text holds no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSealKeys {
    /// There is none.
    #[error("there is no key; `openssl rand -hex 32` makes one")]
    Empty,
    /// There are too many.
    #[error("there are more than {SEAL_KEYS} keys")]
    TooMany,
    /// One is malformed. It is not shown.
    #[error(
        "key {0} is not 64 hexadecimal digits; `openssl rand -hex 32` makes one, the first seals, \
         those after it only open"
    )]
    Malformed(usize),
}

/// Why a sealed value cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The key it was sealed with is not at hand.
    #[error(
        "it is sealed with the key {sealed_with}, which was not given ({given}): start with \
         --seal-key-file and the key it was sealed with"
    )]
    OtherKey {
        /// The key that opens it.
        sealed_with: SealKeyId,
        /// What was given.
        given: Given,
    },
    /// It was changed, or sealed for another place.
    #[error("its seal is broken: it was changed, or does not belong here")]
    Broken,
    /// It is too short to be sealed.
    #[error("it is cut off")]
    Short,
}

/// The keys that were given, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given(Vec<SealKeyId>);

/// The machine gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random numbers to seal with")]
pub struct NoRandomness;

struct SealKey {
    id: SealKeyId,
    key: LessSafeKey,
}

impl SealKeys {
    /// The key that seals.
    pub fn first(&self) -> SealKeyId {
        self.0.first.id
    }

    /// `plain` sealed for `place`.
    pub(crate) fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
        let SealKey { id, key } = &self.0.first;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_unspecified| NoRandomness)?;
        let mut body = plain.to_vec();
        let aad = Aad::from(bound(*id, place));
        // Only a value of many gigabytes cannot be sealed, and the store takes none of those.
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
            .map_err(|_unspecified| NoRandomness)?;
        let mut sealed = Vec::with_capacity(body.len().saturating_add(1 + ID_BYTES + NONCE_LEN));
        sealed.push(FORM);
        sealed.extend_from_slice(&id.0);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    fn with(&self, id: SealKeyId) -> Option<&SealKey> {
        self.all().find(|key| key.id == id)
    }

    fn ids(&self) -> Vec<SealKeyId> {
        self.all().map(|key| key.id).collect()
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.0.first).chain(&self.0.old)
    }
}

/// The plain bytes of a value sealed for `place`.
pub(crate) fn open(
    keys: Option<&SealKeys>,
    place: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, UnsealError> {
    let id = sealed_with(sealed).ok_or(UnsealError::Short)?;
    let rest = sealed.get(1 + ID_BYTES..).ok_or(UnsealError::Short)?;
    let (nonce, body) = rest
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(UnsealError::Short)?;
    let Some(SealKey { id, key }) = keys.and_then(|keys| keys.with(id)) else {
        return Err(UnsealError::OtherKey {
            sealed_with: id,
            given: Given(keys.map(SealKeys::ids).unwrap_or_default()),
        });
    };
    let mut body = body.to_vec();
    let aad = Aad::from(bound(*id, place));
    let length = key
        .open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body)
        .map_err(|_unspecified| UnsealError::Broken)?
        .len();
    body.truncate(length);
    Ok(body)
}

/// The key a value is sealed with; `None`: it is not sealed.
pub(crate) fn sealed_with(value: &[u8]) -> Option<SealKeyId> {
    let rest = value.strip_prefix(&[FORM])?;
    rest.first_chunk().copied().map(SealKeyId)
}

/// What a seal is bound to beside the key.
fn bound(id: SealKeyId, place: &[u8]) -> Vec<u8> {
    let mut bound = vec![FORM];
    bound.extend_from_slice(&id.0);
    bound.extend_from_slice(place);
    bound
}

impl SealKey {
    fn new(bytes: &[u8; KEY_BYTES]) -> Option<Self> {
        let mut digest = Sha256::new();
        digest.update(b"agix seal key");
        digest.update(bytes);
        let digest: [u8; 32] = digest.finalize().into();
        Some(Self {
            id: SealKeyId(*digest.first_chunk()?),
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).ok()?),
        })
    }
}

impl FromStr for SealKeys {
    type Err = InvalidSealKeys;

    /// Keys of 64 hexadecimal digits, between spaces, line ends or commas; what follows a `#` in
    /// a line is a note.
    fn from_str(text: &str) -> Result<Self, InvalidSealKeys> {
        let lines = text.lines().map(|line| line.split('#').next());
        let words = lines.flatten().flat_map(|line| {
            let between = |letter: char| letter.is_whitespace() || letter == ',';
            line.split(between).filter(|word| !word.is_empty())
        });
        let mut keys = Vec::new();
        for (word, number) in words.zip(1_usize..) {
            let key = key(word).ok_or(InvalidSealKeys::Malformed(number))?;
            keys.push(key);
            if keys.len() > SEAL_KEYS {
                return Err(InvalidSealKeys::TooMany);
            }
        }
        let mut keys = keys.into_iter();
        Ok(Self(Arc::new(Keys {
            first: keys.next().ok_or(InvalidSealKeys::Empty)?,
            old: keys.collect(),
        })))
    }
}

fn key(word: &str) -> Option<SealKey> {
    let mut bytes = [0; KEY_BYTES];
    if word.len() != 2 * KEY_BYTES || !word.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(word.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    SealKey::new(&bytes)
}

impl PartialEq for SealKeys {
    fn eq(&self, other: &Self) -> bool {
        self.ids() == other.ids()
    }
}

impl Eq for SealKeys {}

impl fmt::Debug for SealKeys {
    /// The names of the keys alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SealKeys").field(&self.ids()).finish()
    }
}

impl fmt::Display for SealKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SealKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ids = self.0.iter();
        match ids.next() {
            None => f.write_str("no key was"),
            Some(id) => {
                write!(f, "given is {id}")?;
                ids.try_for_each(|id| write!(f, ", {id}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "11111111111111111111111111111111111111111111111111111111111111aa";
    const TWO: &str = "22222222222222222222222222222222222222222222222222222222222222BB";

    fn keys(text: &str) -> SealKeys {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let keys = keys(ONE);
        let sealed = keys.seal(b"a/place", b"a secret").unwrap();
        assert_eq!(
            open(Some(&keys), b"a/place", &sealed).unwrap(),
            b"a secret".to_vec()
        );
        let elsewhere = open(Some(&keys), b"b/place", &sealed);
        assert_eq!(elsewhere, Err(UnsealError::Broken));
        assert!(!sealed.windows(8).any(|some| some == b"a secret"));
        let again = keys.seal(b"a/place", b"a secret").unwrap();
        assert_ne!(sealed, again, "a nonce is never used twice");
    }

    #[test]
    fn a_changed_or_cut_value_does_not_open() {
        let keys = keys(ONE);
        let sealed = keys.seal(b"place", b"a secret").unwrap();
        for at in 1..sealed.len() {
            assert!(open(Some(&keys), b"place", &sealed[..at]).is_err());
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(open(Some(&keys), b"place", &changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn an_old_key_opens_and_the_first_seals() {
        let old = keys(ONE);
        let sealed = old.seal(b"place", b"a secret").unwrap();
        let both = keys(&format!("{TWO}  # since may\n\n# the old one\n{ONE}\n"));
        assert!(open(Some(&both), b"place", &sealed).is_ok());
        let sealed = both.seal(b"place", b"a secret").unwrap();
        assert_eq!(sealed_with(&sealed), Some(keys(TWO).first()));
        let refused = open(Some(&old), b"place", &sealed).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(&both.first().to_string()), "{text}");
        assert!(text.contains(&old.first().to_string()), "{text}");
        assert!(text.contains("--seal-key-file"), "{text}");
        let refused = open(None, b"place", &sealed).unwrap_err().to_string();
        assert!(refused.contains("no key was"), "{refused}");
    }

    #[test]
    fn a_text_without_keys_is_refused_and_not_repeated() {
        let refused = |text: &str| text.parse::<SealKeys>().unwrap_err();
        assert_eq!(refused(" # none\n"), InvalidSealKeys::Empty);
        let wrong = refused(&format!("{ONE}, hunter2"));
        assert_eq!(wrong, InvalidSealKeys::Malformed(2));
        assert!(!wrong.to_string().contains("hunter2"));
        let many = format!("{ONE}\n").repeat(SEAL_KEYS + 1);
        assert_eq!(refused(&many), InvalidSealKeys::TooMany);
        let shown = format!("{:?}", keys(ONE));
        assert!(!shown.contains("1111"), "{shown}");
    }
}
