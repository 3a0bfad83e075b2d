//! Bounds of webhooks: part of [`super`], which is where they are used from.

use std::time::Duration;

use super::SYNC_SESSIONS;

/// What waits for the queue while it stores something, and messages of it waiting on one stream.
pub const WEBHOOK_QUEUE: usize = 1_024;
/// Streams of proxies that work on webhooks.
pub const WEBHOOK_STREAMS: usize = SYNC_SESSIONS;
/// Largest message about a webhook, in bytes.
pub const WEBHOOK_MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// Executions that one answer lists.
pub const WEBHOOK_PAGE: usize = 1_000;
/// What the queue takes in before it stores what follows.
pub const WEBHOOK_ROUND: usize = 256;
/// Callers that wait for a result.
pub const WEBHOOK_WAITERS: usize = 1_024;
/// Pause between two looks for budget alerts.
pub const WEBHOOK_LOOK: Duration = Duration::from_millis(500);
/// Time in which a repeated delivery is known.
pub const WEBHOOK_DEDUPE_TIME: Duration = Duration::from_hours(24);
/// Executions that have not come to their end.
pub const WEBHOOK_OPEN: usize = 10_000;
/// Bytes of payloads and results they hold together.
pub const WEBHOOK_OPEN_BYTES: usize = 128 * 1024 * 1024;
/// Executions kept after their end.
pub const WEBHOOK_KEPT: usize = 10_000;
/// Time an execution is kept after its end.
pub const WEBHOOK_KEPT_FOR: Duration = Duration::from_hours(7 * 24);
/// Executions forgotten in one go.
pub const WEBHOOK_FORGET_STEP: usize = 32;
/// Tries of an execution that are written down.
pub const WEBHOOK_TRIES: usize = 16;
/// Length of what is written down of a try, in bytes.
pub const WEBHOOK_TRY_TEXT: usize = 512;
/// Largest payload of a webhook that a definition may allow, in bytes.
pub const WEBHOOK_PAYLOAD_BYTES: usize = 512 * 1024;
/// Largest header that is kept of a webhook, in bytes.
pub const WEBHOOK_HEADER_BYTES: usize = 4 * 1024;
/// Largest output of a model that is called back, in bytes.
pub const WEBHOOK_OUTPUT_BYTES: usize = 256 * 1024;
/// Part of a rendered prompt that is kept, in bytes.
pub const WEBHOOK_PROMPT_BYTES: usize = 256 * 1024;
/// Length of the error of an execution, in bytes.
pub const WEBHOOK_ERROR_TEXT: usize = 4 * 1024;
/// Steps one proxy works on at one moment.
pub const WEBHOOK_SLOTS: usize = 64;
/// Time after which a proxy that is not heard of loses what it works on.
pub const WEBHOOK_LEASE: Duration = Duration::from_secs(15);
/// Pause between two looks for a policy, before a proxy begins to work.
pub const WEBHOOK_POLICY_PAUSE: Duration = Duration::from_millis(100);
/// Model calls of one execution, unless its definition says otherwise.
pub const WEBHOOK_ATTEMPTS: u32 = 3;
/// Longest first pause between two model calls of one execution; it doubles.
pub const WEBHOOK_RUN_PAUSE: Duration = Duration::from_secs(2);
/// Longest pause between two model calls of one execution.
pub const WEBHOOK_RUN_PAUSE_LONGEST: Duration = Duration::from_mins(5);
/// Pauses between callbacks, unless the definition says otherwise.
pub const WEBHOOK_RETRIES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(5),
    Duration::from_mins(15),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(4),
    Duration::from_hours(8),
];
/// Most pauses between callbacks that a definition may set.
pub const WEBHOOK_RETRIES_MOST: usize = 32;
/// Most model calls of one execution that a definition may allow.
pub const WEBHOOK_ATTEMPTS_MOST: u32 = 10;
/// Largest body of a webhook, in bytes, unless its definition says otherwise.
pub const WEBHOOK_PAYLOAD_DEFAULT: u32 = 256 * 1024;
/// How far the time of a signature may be off, unless the definition says otherwise.
pub const WEBHOOK_TOLERANCE: Duration = Duration::from_mins(5);
/// Largest rendered prompt of a webhook, in bytes.
pub const WEBHOOK_RENDERED_BYTES: usize = 1024 * 1024;
/// Time to connect to the receiver of a callback, its name looked up included.
pub const CALLBACK_CONNECT_TIME: Duration = Duration::from_secs(5);
/// Time until the receiver of a callback has answered.
pub const CALLBACK_TIME: Duration = Duration::from_secs(20);
/// Addresses of one name that are looked at.
pub const CALLBACK_ADDRESSES: usize = 64;
/// Time in which a webhook that was received is taken by the queue.
pub const WEBHOOK_ACCEPT_TIME: Duration = Duration::from_secs(5);
/// When the sender of a webhook that could not be taken may try again.
pub const WEBHOOK_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Time a sender waits for the result of a webhook, if it does not say how long.
pub const WEBHOOK_WAIT: Duration = Duration::from_mins(1);
/// Signatures of one delivery that are looked at.
pub const WEBHOOK_SIGNATURES: usize = 16;
/// Most fields and conditions of one template.
pub const TEMPLATE_ACTIONS: usize = 1_000;
/// Most words and signs of one of them.
pub const TEMPLATE_TOKENS: usize = 64;
/// Deepest nesting of conditions in a template.
pub const TEMPLATE_DEPTH: usize = 16;
/// Most thresholds of the alerts of one budget.
pub const BUDGET_ALERTS: usize = 8;
/// Longest pause between two callbacks, whatever the receiver asks for.
pub const WEBHOOK_RETRY_LONGEST: Duration = Duration::from_hours(24);
