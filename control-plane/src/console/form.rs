//! Queries and forms: pairs of text, bounded.

use std::collections::BTreeMap;

use agix_core::limits::CONSOLE_FORM_BYTES;
use axum::body::{Body, to_bytes};
use axum::http::Uri;

use super::error::PageError;

/// Named values of a query or a form; of a repeated name the last.
#[derive(Debug, Default)]
pub(super) struct Fields(BTreeMap<String, String>);

impl Fields {
    /// Those of an address.
    pub(super) fn of_query(uri: &Uri) -> Self {
        Self::read(uri.query().unwrap_or_default().as_bytes())
    }

    /// Those of a form.
    pub(super) async fn of_form(body: Body) -> Result<Self, PageError> {
        let bytes = to_bytes(body, CONSOLE_FORM_BYTES).await;
        let bytes = bytes.map_err(|_error| PageError::Form("it is too large or broke off"))?;
        Ok(Self::read(&bytes))
    }

    fn read(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A value that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// A value as a number.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fields_are_read_and_bounded() {
        let uri: Uri = "/x?agent=a%20b&n=7&empty=&n=8".parse().unwrap();
        let fields = Fields::of_query(&uri);
        assert_eq!(fields.get("agent"), Some("a b"));
        assert_eq!((fields.number("n"), fields.get("empty")), (Some(8), None));
        let long = Body::from("a=".to_owned() + &"x".repeat(CONSOLE_FORM_BYTES));
        assert!(matches!(
            Fields::of_form(long).await,
            Err(PageError::Form(_))
        ));
    }
}
