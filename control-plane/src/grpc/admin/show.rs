//! A policy for people: its files and resources, secrets as fingerprints.

use agix_core::limits::SNAPSHOT_PART_BYTES;
use agix_core::policy::document::SourceFile;
use agix_proto::convert::redacted;
use agix_proto::v1;
use agix_proto::v1::get_response::Part;

use crate::repository::Published;

/// What `Get` answers: the revision, the files in parts that fit a message, the resources.
pub(super) fn messages(
    published: &Published,
    sources: Vec<SourceFile>,
) -> impl Iterator<Item = v1::GetResponse> + Send + use<> {
    let info = Part::Info(published.info().into());
    let files = sources.into_iter().flat_map(parts).map(Part::File);
    let resources = published.policy().resources().into_iter();
    let resources = resources.map(|resource| Part::Resource(redacted(&resource)));
    let parts = std::iter::once(info).chain(files).chain(resources);
    parts.map(|part| v1::GetResponse { part: Some(part) })
}

/// A file in parts; an empty one in one.
fn parts(file: SourceFile) -> impl Iterator<Item = v1::SourceFile> {
    let SourceFile { name, mut text } = file;
    let mut done = false;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        let rest = text.split_off(text.floor_char_boundary(SNAPSHOT_PART_BYTES));
        done = rest.is_empty();
        Some(v1::SourceFile {
            name: name.clone(),
            text: std::mem::replace(&mut text, rest),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_whole_in_parts_that_fit() {
        for length in [0, 1, SNAPSHOT_PART_BYTES, SNAPSHOT_PART_BYTES * 2 + 1] {
            let text = "é".repeat(length / 2);
            let file = SourceFile {
                name: "a".to_owned(),
                text: text.clone(),
            };
            let parts: Vec<_> = parts(file).collect();
            assert!(!parts.is_empty());
            assert!(
                parts
                    .iter()
                    .all(|part| part.text.len() <= SNAPSHOT_PART_BYTES)
            );
            let joined: String = parts.iter().map(|part| &*part.text).collect();
            assert_eq!(joined, text);
        }
    }
}
