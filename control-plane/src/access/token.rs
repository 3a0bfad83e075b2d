//! Tokens: 256 random bits behind an id, of which a control plane knows the hash.

use std::collections::BTreeMap;
use std::fmt;

use agix_core::limits::NAME_BYTES;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};

use crate::seal::NoRandomness;

/// What a token is for. Each of the first three includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Changes the policy, corrects spend, replays webhooks.
    Operator,
    /// Takes the whole state out and puts it back.
    Admin,
    /// Is a proxy, and nothing else.
    Proxy,
}

/// The tokens a control plane knows, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tokens {
    pub(super) by_id: BTreeMap<String, Known>,
}

/// What is known of a token.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) hash: [u8; 32],
}

/// A new token.
pub struct Created {
    /// What its holder shows. It is nowhere else.
    pub token: String,
    /// What the control planes' file of tokens gets.
    pub line: String,
}

/// Why no token was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The name is none.
    #[error("a name has 1 to {NAME_BYTES} letters, digits and . _ - @")]
    Name,
    /// There is nothing to make it of.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

const PREFIX: &str = "agix_";
const ID_BYTES: usize = 4;
const SECRET_BYTES: usize = 32;

/// Makes a token for whoever is called `name`.
pub fn create(role: Role, name: &str) -> Result<Created, InvalidName> {
    if !is_name(name) {
        return Err(InvalidName::Name);
    }
    let mut random = [0; ID_BYTES + SECRET_BYTES];
    SystemRandom::new()
        .fill(&mut random)
        .map_err(|_unspecified| NoRandomness)?;
    let (id, secret) = random.split_at(ID_BYTES);
    let id = hex(id);
    let token = format!("{PREFIX}{id}_{}", hex(secret));
    let hash = hex(&Sha256::digest(token.as_bytes()));
    let line = format!("{role} {name} {id} sha256:{hash}");
    Ok(Created { token, line })
}

/// Whether a text can be the name of whoever has a token. It is shown in histories and logs.
pub(super) fn is_name(text: &str) -> bool {
    let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || b"._-@".contains(&letter);
    (1..=NAME_BYTES).contains(&text.len()) && text.bytes().all(is_letter)
}

impl Tokens {
    /// What is known of a token that was shown.
    pub(super) fn find(&self, shown: &str) -> Option<&Known> {
        let (id, _) = shown.strip_prefix(PREFIX)?.split_once('_')?;
        let known = self.by_id.get(id)?;
        let hash: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // All bytes are looked at, whatever they are.
        let pairs = hash.iter().zip(&known.hash);
        let differs = pairs.fold(0, |differs, (one, other)| differs | (one ^ other));
        (differs == 0).then_some(known)
    }

    /// Whether that one is among them, for the same role.
    pub(super) fn hold(&self, known: &Known) -> bool {
        self.by_id.values().any(|it| it == known)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.by_id.len()
    }
}

impl Known {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn role(&self) -> Role {
        self.role
    }
}

impl Role {
    /// The role of this name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Viewer, Self::Operator, Self::Admin, Self::Proxy];
        all.into_iter().find(|role| role.to_string() == text)
    }

    /// Whether it includes `needed`.
    pub(super) fn may_act_as(self, needed: Self) -> bool {
        match self {
            Self::Proxy => needed == Self::Proxy,
            Self::Viewer => needed == Self::Viewer,
            Self::Operator => matches!(needed, Self::Viewer | Self::Operator),
            Self::Admin => needed != Self::Proxy,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Proxy => "proxy",
        })
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

impl fmt::Debug for Created {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_all_of_it_and_is_in_no_file() {
        let made = create(Role::Viewer, "ann@example.com").unwrap();
        let tokens: Tokens = made.line.parse().unwrap();
        assert_eq!(tokens.find(&made.token).unwrap().name(), "ann@example.com");
        let secret = made.token.rsplit('_').next().unwrap();
        assert!(!made.line.contains(secret) && !format!("{made:?}").contains(secret));
        for at in 0..made.token.len() {
            assert!(tokens.find(&made.token[..at]).is_none());
            let mut other = made.token.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(other).unwrap();
            assert!(tokens.find(&other).is_none(), "place {at}");
        }
    }

    #[test]
    fn a_name_is_one_that_can_be_shown() {
        for wrong in ["", "two words", "a\nb", &"x".repeat(NAME_BYTES + 1)] {
            let refused = create(Role::Admin, wrong).unwrap_err();
            assert_eq!(refused, InvalidName::Name);
        }
    }
}
