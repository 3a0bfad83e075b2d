//! Webhook definitions.

use crate::id::ModelName;
use crate::policy::{Reference, Secret};

/// Switch of all webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Whether webhooks are received and alerts sent.
    pub enabled: bool,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDefinition {
    /// Signs what comes in and what goes out.
    pub secret: Secret,
    /// The model asked; present together with the template, absent for a plain alert.
    pub model: Option<ModelName>,
    /// The prompt, with template fields.
    pub prompt_template: Option<String>,
    /// Where the result is sent.
    pub callback_url: Option<Reference>,
}
