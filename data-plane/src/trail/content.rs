//! What was asked and answered, for a policy that wants it in the audit records.

use agix_core::limits::AUDIT_CONTENT_BYTES;
use bytes::Bytes;

use crate::attempt::Ask;

/// What was asked and answered, as far as it is kept.
#[derive(Debug, Default)]
pub(crate) struct Content {
    asked: Bytes,
    answer: Vec<u8>,
    answer_is_cut: bool,
}

impl Content {
    pub(super) fn asked(&mut self, ask: &Ask) {
        self.asked = ask.body().clone();
    }

    pub(super) fn said(&mut self, part: &[u8]) {
        let room = AUDIT_CONTENT_BYTES.saturating_sub(self.answer.len());
        let kept = part.get(..room).unwrap_or(part);
        self.answer.extend_from_slice(kept);
        self.answer_is_cut |= kept.len() < part.len();
    }

    /// The request, and whether there was more of it.
    pub(crate) fn request(&self) -> (&[u8], bool) {
        match self.asked.get(..AUDIT_CONTENT_BYTES) {
            Some(kept) => (kept, self.asked.len() > kept.len()),
            None => (&self.asked, false),
        }
    }

    /// The answer, and whether there was more of it.
    pub(crate) fn answer(&self) -> (&[u8], bool) {
        (&self.answer, self.answer_is_cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_up_to_its_bound() {
        let mut content = Content::default();
        content.said(b"whole");
        assert_eq!(content.answer(), (&b"whole"[..], false));
        content.said(&vec![b'x'; AUDIT_CONTENT_BYTES - 5]);
        assert!(!content.answer().1);
        content.said(b"y");
        let (kept, is_cut) = content.answer();
        assert!(is_cut && kept.len() == AUDIT_CONTENT_BYTES && !kept.contains(&b'y'));
    }
}
