//! A webhook with its secrets and addresses looked up.

use std::fmt;

use agix_core::id::{AgentName, WebhookName};
use agix_core::policy::WebhookDefinition;
use agix_core::webhook::destination::Allowed;
use reqwest::Url;

use super::provider::{Unresolved, look_up};

/// A webhook, ready to be received, run and called back.
pub(crate) struct Hook {
    pub(crate) definition: WebhookDefinition,
    /// Who is charged for its model calls.
    pub(crate) agent: AgentName,
    secret: String,
    previous: Option<String>,
    /// Where its results go.
    pub(crate) callback: Option<Url>,
    /// Where they may go.
    pub(crate) allowed: Allowed,
}

impl Hook {
    pub(super) fn resolve(
        name: &WebhookName,
        definition: &WebhookDefinition,
    ) -> Result<Self, Unresolved> {
        let secret = look_up("secret", definition.secret.expose())?;
        let previous = definition.previous_secret.as_ref();
        let previous = previous.map(|secret| look_up("previous_secret", secret.expose()));
        let allowed = Allowed::by(definition);
        let callback = definition.callback_url.as_ref();
        let callback = callback.map(|url| look_up("callback_url", url));
        let callback = callback.transpose()?;
        Ok(Self {
            agent: definition.charged(name).map_err(|error| Unresolved {
                field: "agent".to_owned(),
                message: error.to_string(),
                help: "name the agent that is charged: `agent: NAME`".to_owned(),
            })?,
            secret,
            previous: previous.transpose()?.filter(|secret| !secret.is_empty()),
            callback: callback.map(|url| destination(&url, allowed)).transpose()?,
            allowed,
            definition: definition.clone(),
        })
    }

    /// The secrets that count, the newest first.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.secret.as_str()).chain(self.previous.as_deref())
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

/// The address of a callback, if it may be called.
fn destination(url: &str, allowed: Allowed) -> Result<Url, Unresolved> {
    let unusable = |message: String| Unresolved {
        field: "callback_url".to_owned(),
        message: format!("the address of the callback {message}"),
        help: "look at the variable or file in the environment of this proxy".to_owned(),
    };
    allowed
        .target(url)
        .map_err(|refused| unusable(refused.to_string()))?;
    Url::parse(url).map_err(|error| unusable(format!("cannot be read: {error}")))
}
