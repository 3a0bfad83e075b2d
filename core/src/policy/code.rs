//! Codes of everything that can be said about a policy. A code keeps its meaning in every version;
//! new ones are added, old ones are never used again.

/// The text is not YAML.
pub(super) const SYNTAX: &str = "AGX0001";
/// The document passes a bound: bytes, files, nodes, depth, aliases.
pub(super) const TOO_LARGE: &str = "AGX0002";
/// A key that means nothing here.
pub(super) const UNKNOWN_KEY: &str = "AGX0003";
/// A key that was there before.
pub(super) const DUPLICATE_KEY: &str = "AGX0004";
/// A value of another kind than the key takes.
pub(super) const WRONG_TYPE: &str = "AGX0005";
/// A key or a value that must be there.
pub(super) const MISSING: &str = "AGX0006";
/// A name with an illegal length or character.
pub(super) const BAD_NAME: &str = "AGX0007";
/// A number outside its range.
pub(super) const BAD_NUMBER: &str = "AGX0008";
/// A span of time that cannot be read.
pub(super) const BAD_DURATION: &str = "AGX0009";
/// A word that is not one of those allowed.
pub(super) const BAD_CHOICE: &str = "AGX0010";
/// A `${NAME}` or `{ file: PATH }` that cannot be read.
pub(super) const BAD_REFERENCE: &str = "AGX0011";
/// The fingerprint of a secret where the secret belongs.
pub(super) const REDACTED_SECRET: &str = "AGX0012";
/// A time zone that does not exist.
pub(super) const BAD_TIME_ZONE: &str = "AGX0013";
/// Not the hash of an agent's key.
pub(super) const BAD_KEY_HASH: &str = "AGX0014";
/// A protocol that this version does not speak.
pub(super) const API_NOT_THERE: &str = "AGX0015";
/// YAML that has no meaning in a policy: tags, unknown anchors, keys that are not text.
pub(super) const UNUSED_YAML: &str = "AGX0016";
/// More entries, or a longer text, than a field takes.
pub(super) const TOO_LONG: &str = "AGX0017";

/// A chain that leads back to itself, repeats a target, or is empty.
pub(super) const BAD_CHAIN: &str = "AGX0031";
/// A model that no provider serves.
pub(super) const UNROUTABLE: &str = "AGX0032";
/// A provider that does not exist.
pub(super) const UNKNOWN_PROVIDER: &str = "AGX0033";
/// An address that cannot be called.
pub(super) const BAD_ADDRESS: &str = "AGX0034";
/// A budget without an amount.
pub(super) const EMPTY_BUDGET: &str = "AGX0035";
/// A header or key that cannot be sent.
pub(super) const BAD_HEADER: &str = "AGX0036";
/// One key for two agents.
pub(super) const SHARED_KEY: &str = "AGX0037";
/// A webhook that cannot do anything.
pub(super) const BAD_WEBHOOK: &str = "AGX0038";
/// A script that cannot be carried out, or is on something that is not simulated.
pub(super) const BAD_SIMULATION: &str = "AGX0039";
/// A webhook that does not exist.
pub(super) const UNKNOWN_WEBHOOK: &str = "AGX0040";
/// A prompt template that cannot be rendered.
pub(super) const BAD_TEMPLATE: &str = "AGX0041";

/// The end of a list that was cut short.
pub(super) const MORE: &str = "AGX0099";

/// A model its provider has retired.
pub(super) const RETIRED_MODEL: &str = "AGX0101";
/// A setting that this version keeps but does not carry out.
pub(super) const NOT_IN_FORCE: &str = "AGX0102";
/// A limit that another one always comes before.
pub(super) const NEVER_BINDS: &str = "AGX0103";
/// Rate limits outside `rate_limits`.
pub(super) const STRAY_LIMITS: &str = "AGX0104";
/// An entry or document that changes nothing.
pub(super) const NO_EFFECT: &str = "AGX0105";
/// Nobody can pass.
pub(super) const NOBODY: &str = "AGX0106";
/// Alerts to a webhook that does not exist.
pub(super) const ALERT_TO_NOBODY: &str = "AGX0108";
/// A month's limit below the day's.
pub(super) const MONTH_BELOW_DAY: &str = "AGX0107";
