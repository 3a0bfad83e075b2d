//! Documents that arrive in parts.

use std::collections::BTreeMap;
use std::sync::Arc;

use agix_core::limits::{
    FILE_NAME_BYTES, POLICY_DOCUMENT_BYTES, POLICY_FILES, UPLOAD_TIME, UPLOADS,
};
use agix_core::policy::document::{Checked, Diagnostic, SourceFile, read};
use agix_proto::v1;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tonic::{Status, Streaming};

use crate::zones;

/// Places for documents: only so many are in memory at once.
#[derive(Debug, Clone)]
pub(super) struct Uploads(Arc<Semaphore>);

/// A document that has arrived. Holds its place until it is dropped: to be kept until whoever sent it
/// is answered.
#[derive(Debug, Default)]
pub(super) struct Upload {
    files: Vec<SourceFile>,
    places: BTreeMap<String, usize>,
    bytes: usize,
    _place: Option<OwnedSemaphorePermit>,
}

/// One message of an upload.
pub(super) enum Part<T> {
    /// What goes before the files.
    Start(T),
    /// A part of a file.
    File(v1::SourceFile),
    /// Neither.
    Nothing,
}

impl Default for Uploads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UPLOADS)))
    }
}

impl Uploads {
    /// Takes over a document that came in one message.
    pub(super) async fn whole(&self, document: v1::Document) -> Result<Upload, Status> {
        let mut upload = self.place().await?;
        for file in document.files {
            upload.add(file)?;
        }
        Ok(upload)
    }

    /// Receives a start and the files that follow it.
    pub(super) async fn receive<M, T>(
        &self,
        mut messages: Streaming<M>,
        part: impl Fn(M) -> Part<T>,
    ) -> Result<(T, Upload), Status> {
        let receive = async {
            let mut upload = self.place().await?;
            let first = messages.message().await?.map(&part);
            let Some(Part::Start(start)) = first else {
                return Err(Status::invalid_argument(
                    "the first message of an upload must be its start",
                ));
            };
            while let Some(message) = messages.message().await? {
                match part(message) {
                    Part::File(file) => upload.add(file)?,
                    Part::Start(_) => {
                        return Err(Status::invalid_argument("an upload has one start only"));
                    }
                    Part::Nothing => {
                        return Err(Status::invalid_argument(
                            "a message of the upload has neither a start nor a file",
                        ));
                    }
                }
            }
            Ok((start, upload))
        };
        tokio::time::timeout(UPLOAD_TIME, receive)
            .await
            .map_err(|_elapsed| {
                let seconds = UPLOAD_TIME.as_secs();
                Status::deadline_exceeded(format!("the document did not arrive in {seconds} s"))
            })?
    }

    async fn place(&self) -> Result<Upload, Status> {
        let place = Arc::clone(&self.0).acquire_owned().await;
        Ok(Upload {
            _place: Some(place.map_err(|_closed| super::status::stopping())?),
            ..Upload::default()
        })
    }
}

impl Upload {
    /// Adds a file, or the next part of one.
    fn add(&mut self, file: v1::SourceFile) -> Result<(), Status> {
        let SourceFile { name, text } = file.into();
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > POLICY_DOCUMENT_BYTES {
            return Err(Status::invalid_argument(format!(
                "the document is larger than {} MiB",
                POLICY_DOCUMENT_BYTES >> 20
            )));
        }
        if name.len() > FILE_NAME_BYTES {
            return Err(Status::invalid_argument(format!(
                "the name of a file has at most {FILE_NAME_BYTES} bytes"
            )));
        }
        let place = self.places.get(&name);
        if let Some(known) = place.and_then(|place| self.files.get_mut(*place)) {
            known.text.push_str(&text);
            return Ok(());
        }
        if self.files.len() >= POLICY_FILES {
            return Err(Status::invalid_argument(format!(
                "a document has at most {POLICY_FILES} files"
            )));
        }
        self.places.insert(name.clone(), self.files.len());
        self.files.push(SourceFile { name, text });
        Ok(())
    }

    /// Whether there are no files.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reads the document: what it says, or everything that is wrong with it.
    pub(super) async fn read(&mut self) -> Result<Result<Checked, Vec<Diagnostic>>, Status> {
        let files = std::mem::take(&mut self.files);
        spawn_blocking(move || read(&files, &zones::exists))
            .await
            .map_err(|_interrupted| super::status::stopping())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> v1::SourceFile {
        v1::SourceFile {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn parts_of_one_name_are_joined_in_order() {
        let mut upload = Upload::default();
        for (name, text) in [("b", "1"), ("a", "2"), ("b", "3"), ("c", "")] {
            upload.add(file(name, text)).unwrap();
        }
        let joined: Vec<_> = upload.files.iter().map(|f| (&*f.name, &*f.text)).collect();
        assert_eq!(joined, [("b", "13"), ("a", "2"), ("c", "")]);
    }

    #[test]
    fn documents_are_bounded_in_every_direction() {
        let mut upload = Upload::default();
        let large = "x".repeat(POLICY_DOCUMENT_BYTES);
        upload.add(file("a", &large)).unwrap();
        let refused = upload.add(file("a", "y")).unwrap_err();
        assert_eq!(refused.message(), "the document is larger than 32 MiB");

        let mut upload = Upload::default();
        for n in 0..POLICY_FILES {
            upload.add(file(&n.to_string(), "")).unwrap();
        }
        assert!(upload.add(file("0", "more")).is_ok());
        assert!(upload.add(file("one more", "")).is_err());
        assert!(
            upload
                .add(file(&"n".repeat(FILE_NAME_BYTES + 1), ""))
                .is_err()
        );
    }
}
