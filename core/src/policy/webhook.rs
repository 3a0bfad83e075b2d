//! Webhook definitions.

use std::time::Duration;

use crate::id::{AgentName, InvalidName, ModelName, WebhookName};
use crate::limits::{
    WEBHOOK_ATTEMPTS, WEBHOOK_PAYLOAD_BYTES, WEBHOOK_PAYLOAD_DEFAULT, WEBHOOK_RETRIES,
    WEBHOOK_TOLERANCE,
};
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

/// How a sender signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureScheme {
    /// `X-Webhook-Signature: sha256=<hex>` over the body.
    #[default]
    Agix,
    /// `X-Hub-Signature-256: sha256=<hex>` over the body.
    GitHub,
    /// `Stripe-Signature: t=<seconds>,v1=<hex>` over time and body.
    Stripe,
    /// Standard Webhooks: `webhook-signature: v1,<base64>` over id, time and body.
    Standard,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDefinition {
    /// Whether it is received.
    pub enabled: bool,
    /// Signs what comes in and what goes out.
    pub secret: Secret,
    /// A secret that is being replaced: accepted too.
    pub previous_secret: Option<Secret>,
    /// How its sender signs.
    pub scheme: SignatureScheme,
    /// How far the time of a signature may be off, where the scheme has one.
    pub tolerance: Duration,
    /// Largest body, in bytes.
    pub max_payload_bytes: u32,
    /// The model asked; present together with the template, absent for a plain alert.
    pub model: Option<ModelName>,
    /// The prompt, with template fields.
    pub prompt_template: Option<String>,
    /// Who is charged for the model calls; absent: an agent named after the webhook.
    pub agent: Option<AgentName>,
    /// Most model calls of one execution.
    pub max_attempts: u32,
    /// Time for one model call, fallbacks included; absent: what the failover settings allow.
    pub timeout: Option<Duration>,
    /// Whether the rendered prompt is kept in the history.
    pub keep_prompt: bool,
    /// Where the result is sent.
    pub callback_url: Option<Reference>,
    /// Pauses between callbacks; after the last one the execution is dead.
    pub callback_retries: Vec<Duration>,
    /// Whether a callback may go over a connection without TLS.
    pub allow_insecure: bool,
    /// Whether a callback may go to an address that is not a public one.
    pub allow_private: bool,
}

impl WebhookDefinition {
    /// A definition that says nothing but its secret.
    pub fn new(secret: Secret) -> Self {
        Self {
            enabled: true,
            secret,
            previous_secret: None,
            scheme: SignatureScheme::default(),
            tolerance: WEBHOOK_TOLERANCE,
            max_payload_bytes: WEBHOOK_PAYLOAD_DEFAULT,
            model: None,
            prompt_template: None,
            agent: None,
            max_attempts: WEBHOOK_ATTEMPTS,
            timeout: None,
            keep_prompt: false,
            callback_url: None,
            callback_retries: WEBHOOK_RETRIES.to_vec(),
            allow_insecure: false,
            allow_private: false,
        }
    }

    /// The largest body that a definition may allow, in bytes.
    pub(in crate::policy) fn most_payload() -> u32 {
        u32::try_from(WEBHOOK_PAYLOAD_BYTES).unwrap_or(u32::MAX)
    }

    /// Who is charged for the model calls of the webhook `name`, which has this definition.
    pub fn charged(&self, name: &WebhookName) -> Result<AgentName, InvalidName> {
        match &self.agent {
            Some(agent) => Ok(agent.clone()),
            None => AgentName::new(&format!("webhook:{name}")),
        }
    }
}

impl SignatureScheme {
    /// All of them, with their names in a document.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("agix", Self::Agix),
        ("github", Self::GitHub),
        ("stripe", Self::Stripe),
        ("standard", Self::Standard),
    ];

    /// Its name in a document.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agix => "agix",
            Self::GitHub => "github",
            Self::Stripe => "stripe",
            Self::Standard => "standard",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_charged_to_an_agent_of_its_own_unless_it_names_one() {
        let name = WebhookName::new("budget-alert").unwrap();
        let mut definition = WebhookDefinition::new(Secret::new(Reference::literal("s")));
        let own = definition.charged(&name).unwrap();
        assert_eq!(own.as_str(), "webhook:budget-alert");
        let named = AgentName::new("ops").unwrap();
        definition.agent = Some(named.clone());
        assert_eq!(definition.charged(&name), Ok(named));
    }

    #[test]
    fn a_scheme_has_one_name() {
        for (name, scheme) in SignatureScheme::NAMED {
            assert_eq!(scheme.as_str(), name);
        }
    }
}
