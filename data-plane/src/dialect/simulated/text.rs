//! What a simulated model says: that it is simulated, and then as much more as is asked for.

const OPENING: &str = "said this, but no provider was asked and nothing was paid.";
const REST: &str = "It goes on like this for as many tokens as the policy asks for.";

/// The words of an answer, each with the space that follows it; the last one without.
#[derive(Debug)]
pub(super) struct Words {
    model: String,
    count: u32,
    said: u32,
}

impl Words {
    /// `count` words of a model of that name.
    pub(super) fn new(model: &str, count: u32) -> Self {
        Self {
            model: model.to_owned(),
            count,
            said: 0,
        }
    }

    /// Words said so far.
    pub(super) fn said(&self) -> u32 {
        self.said
    }

    fn word(&self, place: u32) -> &str {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let opening = ["Simulated", "model", &self.model];
        opening
            .into_iter()
            .chain(OPENING.split(' '))
            .nth(place)
            .or_else(|| {
                let before = opening.len() + OPENING.split(' ').count();
                let rest = place.saturating_sub(before) % REST.split(' ').count();
                REST.split(' ').nth(rest)
            })
            .unwrap_or_default()
    }
}

impl Iterator for Words {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.said >= self.count {
            return None;
        }
        let mut word = self.word(self.said).to_owned();
        self.said += 1;
        if self.said < self.count {
            word.push(' ');
        }
        Some(word)
    }
}
