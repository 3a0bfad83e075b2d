//! Every bound of the product, by name.
//!
//! Nothing in agix grows with what a stranger sends: each queue, map, body, retry count and time
//! has its bound here, so that one file answers "how large can it get".

mod webhook;

use std::time::Duration;

pub use webhook::*;

// Policy documents.

/// Largest policy document, all files together, in bytes.
pub const POLICY_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;
/// Most files of one policy directory.
pub const POLICY_FILES: usize = 1_024;
/// Most nodes (scalars, sequences, mappings) of one parsed YAML file.
pub const POLICY_NODES: usize = 4_000_000;
/// Most nodes that the aliases of one YAML file stand for when written out.
pub const POLICY_ALIASED_NODES: usize = 1_000_000;
/// Deepest nesting of a policy document.
pub const POLICY_DEPTH: usize = 32;
/// Most errors reported for one document; beyond that the list says how many were left out.
pub const POLICY_ERRORS: usize = 200;
/// Longest line of a document shown with an error, in characters.
pub const SHOWN_LINE_CHARS: usize = 4_096;
/// Most names that are looked at for one like a misspelt name.
pub const PROPOSED_NAMES: usize = 2_000;
/// Longest piece of a document quoted in an error, in characters.
pub const QUOTED_CHARS: usize = 60;
/// Most targets of one failover chain.
pub const CHAIN_TARGETS: usize = 16;
/// Longest name of an agent, in bytes.
pub const AGENT_NAME_BYTES: usize = 64;
/// Longest name of a model, in bytes.
pub const MODEL_NAME_BYTES: usize = 128;
/// Longest name of a provider, a webhook or a group, in bytes.
pub const NAME_BYTES: usize = 64;
/// Largest prompt template of a webhook, in bytes.
pub const TEMPLATE_BYTES: usize = 64 * 1024;
/// Longest address, secret or header value of a document, in bytes.
pub const REFERENCE_BYTES: usize = 8 * 1024;
/// Most further headers of one provider.
pub const PROVIDER_HEADERS: usize = 32;
/// Most keys of one agent.
pub const AGENT_KEYS: usize = 64;
/// Most model patterns of one agent.
pub const AGENT_MODELS: usize = 256;
/// Most retries on one model before it is left.
pub const SAME_MODEL_RETRIES: u32 = 8;
/// Most further attempts over a whole chain that a policy may ask for.
pub const MAX_RETRIES: u32 = 31;
/// Longest span of time that a policy may set.
pub const LONGEST_SETTING: Duration = Duration::from_hours(24);
/// Most outcomes of one simulated script.
pub const SIMULATED_OUTCOMES: usize = 64;

// Policy store and stream.

/// Policy revisions kept in the history.
pub const POLICY_REVISIONS: usize = 1_000;
/// Longest author of a revision, in bytes.
pub const AUTHOR_BYTES: usize = 256;
/// Longest message of a revision, in bytes.
pub const MESSAGE_BYTES: usize = 4 * 1024;
/// Largest value of one key of the store, in bytes: what etcd takes in one request, with room for
/// the keys and guards around it.
pub const STORE_VALUE_BYTES: usize = 900 * 1024;
/// Longest key of the store, in bytes.
pub const STORE_KEY_BYTES: usize = 512;
/// Most guards and writes of one store transaction, as in etcd.
pub const STORE_TXN_OPERATIONS: usize = 128;
/// Keys and values of one store transaction together, in bytes: a request of etcd.
pub const STORE_TXN_BYTES: usize = 1024 * 1024;
/// Most entries of one page of a range of the store.
pub const STORE_PAGE_ENTRIES: usize = 1_000;
/// Keys and values after which a page of a range of the store ends, in bytes.
pub const STORE_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Store events a slow watcher may fall behind before it is told to list again.
pub const STORE_WATCH_BACKLOG: usize = 4_096;
/// Bytes of those events.
pub const STORE_WATCH_BACKLOG_BYTES: usize = 16 * 1024 * 1024;
/// Revisions of the store dropped by one step of a compaction.
pub const STORE_COMPACT_STEP: u64 = 1_000;
/// Pause between two compactions; the store's own history reaches back at least this far.
pub const STORE_COMPACT_INTERVAL: Duration = Duration::from_mins(5);
/// Most endpoints of an etcd cluster.
pub const ETCD_ENDPOINTS: usize = 16;
/// Longest prefix of our keys in an etcd cluster, in bytes.
pub const ETCD_PREFIX_BYTES: usize = 64;
/// Time one endpoint of etcd has to answer, longer than a cluster takes to choose a leader.
pub const ETCD_ANSWER_TIME: Duration = Duration::from_secs(2);
/// Time one endpoint has to keep a lease alive: two of them fit into [`LEDGER_KEEP_ALIVE`].
pub const ETCD_KEEP_ALIVE_TIME: Duration = Duration::from_millis(700);
/// Time to connect to an endpoint of etcd.
pub const ETCD_CONNECT_TIME: Duration = Duration::from_secs(1);
/// Pause between two pings on a connection to etcd.
pub const ETCD_KEEPALIVE: Duration = Duration::from_secs(2);
/// Time etcd has to answer a ping.
pub const ETCD_KEEPALIVE_TIME: Duration = Duration::from_secs(2);
/// Entries first asked of etcd for a page; more once it is known how large they are.
pub const ETCD_FIRST_STEP: usize = 32;
/// Most keys that open what is sealed in the store; the first of them seals.
pub const SEAL_KEYS: usize = 8;
/// Largest file of such keys, in bytes.
pub const SEAL_KEY_FILE_BYTES: usize = 4 * 1024;
/// Most tokens a control plane knows.
pub const TOKENS: usize = 1_000;
/// Largest file of tokens, in bytes.
pub const TOKENS_FILE_BYTES: usize = 256 * 1024;
/// Pause before a file of tokens is read again.
pub const TOKENS_REREAD: Duration = Duration::from_secs(2);
/// Largest file of certificates or of their key, in bytes.
pub const TLS_FILE_BYTES: usize = 256 * 1024;
/// Pause before the certificates of a server are read again.
pub const TLS_REREAD: Duration = Duration::from_secs(2);
/// Time for the handshake of TLS.
pub const TLS_HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// Time in which a client that is turned away may ask why.
pub const TURNED_AWAY_TIME: Duration = Duration::from_secs(5);
/// Largest part of the file of a backup, in bytes: one entry of the store.
pub const BACKUP_FRAME_BYTES: usize = STORE_VALUE_BYTES + 8 * 1024;
/// Part of such a file in one message, in bytes.
pub const BACKUP_PART_BYTES: usize = 256 * 1024;
/// Longest wait for the next part of a backup that is restored.
pub const RESTORE_IDLE: Duration = Duration::from_mins(1);
/// Terms left out where a store is restored: more than come in the old store after its backup.
pub const TERM_LEAP: u64 = 1_000_000;
/// Smallest part of a stored policy but the last, in bytes.
pub const CHUNK_LEAST_BYTES: usize = 16 * 1024;
/// Largest part of a stored policy, in bytes; sealed and uncompressible it fits a value of the store.
pub const CHUNK_MOST_BYTES: usize = 256 * 1024;
/// Parts of a stored policy read from the store at once.
pub const CHUNK_READS: usize = 8;
/// Tries to make a revision while others make theirs.
pub const APPLY_ATTEMPTS: usize = 16;
/// Longest pause between two of them.
pub const APPLY_PAUSE: Duration = Duration::from_millis(50);
/// Tries to find out what became of a store transaction without an answer.
pub const SETTLE_ATTEMPTS: usize = 6;
/// First pause between two of them; doubled each time.
pub const SETTLE_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two looks at the store for what its watch did not tell.
pub const RECONCILE_INTERVAL: Duration = Duration::from_mins(1);
/// Pause before a store that failed is read again.
pub const STORE_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Revisions from which deltas to the current one are kept ready; from others snapshots are sent.
pub const SYNC_DELTAS: usize = 32;
/// Largest delta, in bytes; a larger one is sent as a snapshot.
pub const SYNC_DELTA_BYTES: usize = 1024 * 1024;
/// Most revisions of one page of the history.
pub const HISTORY_REVISIONS: usize = POLICY_REVISIONS;
/// Revisions of a page of the history whose length was left open.
pub const HISTORY_DEFAULT: usize = 20;
/// Largest gRPC message, in bytes.
pub const GRPC_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Largest body of one part of a policy snapshot on the wire, in bytes.
pub const SNAPSHOT_PART_BYTES: usize = 256 * 1024;
/// Policy streams one control plane serves at once.
pub const SYNC_SESSIONS: usize = 4_096;
/// Messages waiting on one policy stream.
pub const SYNC_QUEUE: usize = 32;
/// Largest canonical form of a policy, in bytes.
pub const POLICY_ENCODED_BYTES: usize = 64 * 1024 * 1024;
/// Errors carried by one NACK.
pub const NACK_ERRORS: usize = 64;
/// Longest text of an error carried by a NACK, in bytes.
pub const NACK_TEXT_BYTES: usize = 1024;
/// Longest version and longest address a proxy may state, in bytes.
pub const PROXY_TEXT_BYTES: usize = 256;
/// Time a proxy may take to answer an update.
pub const SYNC_ANSWER_TIME: Duration = Duration::from_mins(2);
/// Pause between two heartbeats of a proxy.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(2);
/// Silence after which either side of a policy stream takes the other for dead.
pub const SYNC_SILENCE: Duration = Duration::from_secs(10);
/// First pause before a proxy connects again; doubled each time, with full jitter.
pub const RECONNECT_FIRST: Duration = Duration::from_millis(100);
/// Longest pause before a proxy connects again.
pub const RECONNECT_LONGEST: Duration = Duration::from_secs(10);
/// Time to connect to one address of a control plane.
pub const CONTROL_CONNECT_TIME: Duration = Duration::from_secs(1);
/// Time a control plane has to open a stream, before the next one is asked.
pub const CONTROL_OPEN_TIME: Duration = Duration::from_secs(2);
/// Times one question is sent on to the owner of what it is about, in a row.
pub const CONTROL_REDIRECTS: usize = 16;
/// Pause before an owner that was named and is not there is looked for again.
pub const CONTROL_REDIRECT_PAUSE: Duration = Duration::from_millis(500);
/// Pause between two pings on a connection between a proxy and a control plane.
pub const CONTROL_KEEPALIVE: Duration = Duration::from_secs(10);
/// Time the other side of such a connection has to answer a ping.
pub const CONTROL_KEEPALIVE_TIME: Duration = Duration::from_secs(5);
/// Largest message of a proxy, in bytes: a NACK with all its errors.
pub const PROXY_MESSAGE_BYTES: usize = 512 * 1024;
/// How long a proxy that left stays in the fleet list.
pub const FLEET_MEMORY: Duration = Duration::from_mins(15);
/// Time after which the list of proxies of a control plane that died is gone.
pub const FLEET_LEASE: Duration = Duration::from_secs(15);
/// Pause between two lists of a control plane to whose proxies nothing happens.
pub const FLEET_TELL: Duration = Duration::from_secs(5);
/// Pause in which what happens to its proxies is collected.
pub const FLEET_SETTLE_TIME: Duration = Duration::from_millis(100);
/// Time to read the lists of other control planes.
pub const FLEET_READ_TIME: Duration = Duration::from_secs(3);
/// Largest part of a list in one value of the store, in bytes, less one proxy.
pub const FLEET_LIST_BYTES: usize = 256 * 1024;
/// Parts of one list; proxies beyond that are not told of.
pub const FLEET_LISTS: usize = 32;
/// Proxies of the fleet list; beyond that the one that left first is forgotten.
pub const FLEET_PROXIES: usize = 2 * SYNC_SESSIONS;

// Control plane.

/// Connections one control plane holds open.
pub const CONTROL_CONNECTIONS: usize = 8_192;
/// Pause after a connection could not be accepted.
pub const CONTROL_ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time open calls of a control plane get to end after it was told to stop.
pub const CONTROL_DRAIN_TIME: Duration = Duration::from_secs(10);
/// Connections to the admin port of a proxy that are becoming encrypted at once.
pub const ADMIN_HANDSHAKES: usize = 64;
/// Connections of browsers a console holds open.
pub const CONSOLE_CONNECTIONS: usize = 256;
/// Time a browser has for the head of a request, and a connection may rest.
pub const CONSOLE_HEAD_TIME: Duration = Duration::from_secs(30);
/// Largest head of a browser's request, in bytes.
pub const CONSOLE_HEAD_BYTES: usize = 32 * 1024;
/// Largest form a browser sends, in bytes.
pub const CONSOLE_FORM_BYTES: usize = 16 * 1024;
/// Time of a page, the reading of its form included.
pub const CONSOLE_PAGE_TIME: Duration = Duration::from_secs(20);
/// Browsers that are signed in at once; beyond that who signed in first is signed out.
pub const CONSOLE_SESSIONS: usize = 1_024;
/// How long a browser stays signed in.
pub const CONSOLE_SESSION_TIME: Duration = Duration::from_hours(12);
/// Longest token a browser signs in with, in bytes.
pub const CONSOLE_TOKEN_BYTES: usize = 512;
/// Rows of a list on a page of the console.
pub const CONSOLE_ROWS: u32 = 200;
/// Bytes of a document or payload that a page shows.
pub const CONSOLE_TEXT_BYTES: usize = 256 * 1024;
/// Pause between two reports of a proxy on its traffic.
pub const TRAFFIC_INTERVAL: Duration = Duration::from_secs(1);
/// Time of one report.
pub const TRAFFIC_TIME: Duration = Duration::from_secs(5);
/// Requests a second that a proxy tells of one by one.
pub const TRAFFIC_SAMPLE: u32 = 50;
/// Summaries of requests that wait for the next report.
pub const TRAFFIC_WAITING: usize = 256;
/// Control planes that one proxy reports to.
pub const TRAFFIC_CONTROL_PLANES: usize = 8;
/// Targets of one request that a report names.
pub const TRAFFIC_STEPS: usize = 16;
/// Largest report, in bytes.
pub const TRAFFIC_BYTES: usize = 512 * 1024;
/// Longest text of a report, in bytes.
pub const TRAFFIC_TEXT_BYTES: usize = 512;
/// Length of a span of traffic that a control plane counts.
pub const TRAFFIC_SPAN: Duration = Duration::from_secs(10);
/// Spans a control plane keeps: an hour.
pub const TRAFFIC_SPANS: usize = 360;
/// Finished requests a control plane keeps.
pub const TRAFFIC_REQUESTS: usize = 2_000;
/// Silence after which a proxy does not count as reporting.
pub const TRAFFIC_SILENCE: Duration = Duration::from_secs(10);
/// Streams of one gRPC connection.
pub const GRPC_STREAMS: u32 = 128;
/// Largest head of a gRPC request, in bytes.
pub const GRPC_HEADER_BYTES: u32 = 16 * 1024;
/// Part of a gRPC answer that a list without a bound of its own may fill, in bytes.
pub const GRPC_LIST_BYTES: usize = 2 * 1024 * 1024;
/// Documents that are received and read at once; others wait.
pub const UPLOADS: usize = 4;
/// Time a document may take to arrive, waiting included.
pub const UPLOAD_TIME: Duration = Duration::from_mins(1);
/// Longest name of a file of a document, in bytes.
pub const FILE_NAME_BYTES: usize = 512;
/// Changes listed in one answer; the others are counted.
pub const CHANGES_SHOWN: usize = 1_000;
/// Time a stream gets to take the reason it ends for.
pub const FAREWELL_TIME: Duration = Duration::from_secs(1);

/// How far above the newest revision a proxy's own may be for the next revision to be numbered above
/// it. A control plane whose store was replaced has to pass its proxies; one mad proxy must not use
/// up the numbers.
pub const REVISION_LEAP: u64 = 1_000_000;

/// Longest message of an administrative act, in bytes: its author's, and what was asked before it.
pub const ACT_MESSAGE_BYTES: usize = MESSAGE_BYTES + 64;
/// Records of administrative acts that are kept.
pub const ACTS: u64 = 10_000;
/// Records of administrative acts that one answer lists.
pub const ACTS_PAGE: usize = 1_000;

// The ledger's log.

/// Time after which a control plane that is not heard of loses the ledger to another.
pub const LEDGER_OWNERSHIP: Duration = Duration::from_secs(5);
/// Pause between two signs of life of its owner.
pub const LEDGER_KEEP_ALIVE: Duration = Duration::from_millis(1_500);
/// Pause between two tries to own a ledger that another has.
pub const LEDGER_TAKEOVER_PAUSE: Duration = Duration::from_millis(500);
/// What waits for the ledger while it commits.
pub const LEDGER_QUEUE: usize = 1_024;
/// Rows of reports after which a batch takes in no more.
pub const LEDGER_ROUND_ROWS: usize = 2_048;
/// Time in which an operator gets an answer of the ledger.
pub const LEDGER_ANSWER_TIME: Duration = Duration::from_secs(10);
/// Longest pause between two tries to write to a store that fails.
pub const LEDGER_RETRY_LONGEST: Duration = Duration::from_millis(500);
/// Largest part of a batch in one value of the store, in bytes; it leaves room for a few bytes more.
pub const LEDGER_BATCH_PART_BYTES: usize = STORE_VALUE_BYTES - 1_024;
/// Largest part of a snapshot, in bytes: small, so that the log's commits come in between.
pub const LEDGER_SNAPSHOT_PART_BYTES: usize = 256 * 1024;
/// Length of the log after which a snapshot is written, in bytes, or twice the last snapshot's if that
/// is more: what a new owner has to replay.
pub const LEDGER_LOG_BYTES: u64 = 1024 * 1024;
/// Messages of the ledger waiting on one stream.
pub const QUOTA_QUEUE: usize = 256;
/// Largest report of a proxy, in bytes: all its agents with all uses that are not confirmed.
pub const QUOTA_MESSAGE_BYTES: usize = 8 * 1024 * 1024;
/// Streams of proxies that one ledger serves.
pub const QUOTA_STREAMS: usize = SYNC_SESSIONS;
/// Agents or rows of usage looked at in one go.
pub const LEDGER_PAGE: usize = 1_000;
/// What a verification lists of what it finds wrong.
pub const VERIFY_FINDINGS: usize = 100;
/// Agents that a verification looks at before the end of the log, the same one after each batch.
pub const VERIFY_AGENT_CHECKS: usize = 5_000_000;

// Callers of a proxy.

/// Connections one proxy holds open to callers.
pub const CONNECTIONS: usize = 4_000;
/// Time for a caller to send the head of a request.
pub const HEADER_TIME: Duration = Duration::from_secs(5);
/// Idle time of a kept-alive connection.
pub const KEEP_ALIVE_TIME: Duration = Duration::from_secs(75);
/// Largest head of a request, in bytes.
pub const HEADER_BYTES: usize = 64 * 1024;
/// Most headers of a request.
pub const HEADERS: usize = 64;
/// Largest body of a request, in bytes.
pub const REQUEST_BYTES: usize = 10 * 1024 * 1024;
/// Deepest nesting of a request's body.
pub const REQUEST_DEPTH: usize = 64;
/// Most answers of one request (`n`).
pub const REQUEST_CHOICES: u32 = 128;
/// Time for a caller to send the whole body.
pub const REQUEST_BODY_TIME: Duration = Duration::from_mins(1);
/// Pause between two parts of a request body.
pub const REQUEST_BODY_IDLE: Duration = Duration::from_secs(10);
/// Time a caller may refuse to read before its connection is closed.
pub const WRITE_STALL: Duration = Duration::from_mins(1);
/// Bytes of request bodies all requests of a proxy hold together.
pub const REQUEST_BYTES_TOTAL: usize = 256 * 1024 * 1024;
/// Time open requests get to end after SIGTERM.
pub const DRAIN_TIME: Duration = Duration::from_secs(30);

// Providers.

/// Largest head of a provider's answer, in bytes.
pub const UPSTREAM_HEADER_BYTES: usize = 64 * 1024;
/// Largest plain answer of a provider, in bytes.
pub const UPSTREAM_ANSWER_BYTES: usize = 32 * 1024 * 1024;
/// Part of a provider's error body that is read, in bytes.
pub const UPSTREAM_ERROR_BYTES: usize = 64 * 1024;
/// Part of a provider's error text that is shown to the caller, in bytes.
pub const UPSTREAM_ERROR_SHOWN: usize = 512;
/// Largest event of a provider's stream, in bytes.
pub const STREAM_EVENT_BYTES: usize = 4 * 1024 * 1024;
/// Largest stream of a provider, in bytes.
pub const STREAM_BYTES: usize = 64 * 1024 * 1024;
/// Parts of a window in which calls and failures are counted.
pub const TALLY_SLOTS: usize = 10;
/// Longest time a target is left alone, whatever its provider asks for.
pub const BREAKER_LONGEST: Duration = Duration::from_mins(5);
/// Targets that a proxy or a control plane remembers.
pub const TARGETS: usize = 8_192;
/// Failures of one target that a control plane remembers.
pub const TARGET_ERRORS: usize = 5;
/// Length of what a failure is told as, in bytes.
pub const TARGET_REASON_BYTES: usize = 64;
/// Targets of one report, and of the answer to it.
pub const TARGETS_OF_REPORT: usize = 1_024;
/// Pause between two reports of a proxy.
pub const TARGETS_INTERVAL: Duration = Duration::from_millis(500);
/// How long the fleet's word on a target is good.
pub const FLEET_WORD: Duration = Duration::from_secs(2);
/// Pause between two trials of a target that the fleet leaves alone; one that was not used lapses.
pub const TRIAL_PAUSE: Duration = Duration::from_secs(1);
/// Window in which further attempts that fail are held against the requests.
pub const RETRY_BUDGET_WINDOW: Duration = Duration::from_secs(10);
/// Blocks of one streamed message that may be open at a time.
pub const STREAM_OPEN_BLOCKS: usize = 64;
/// Calls of tools in one answer that is translated.
pub const ANSWER_TOOL_CALLS: usize = 1_024;
/// Idle connections kept per provider host and worker.
pub const UPSTREAM_IDLE_CONNECTIONS: usize = 256;
/// Time an idle provider connection is kept.
pub const UPSTREAM_IDLE_TIME: Duration = Duration::from_secs(30);
/// Attempts of one request, over all models and retries.
pub const ATTEMPTS: usize = 32;
/// Longest `Retry-After` for which the same model is tried again.
pub const RETRY_AFTER_SAME_MODEL: Duration = Duration::from_secs(2);
/// Longest `Retry-After` that is believed.
pub const RETRY_AFTER_LONGEST: Duration = Duration::from_hours(24);
/// First pause before the same model is tried again; doubled each time, with full jitter.
pub const RETRY_FIRST: Duration = Duration::from_millis(100);
/// Longest pause before the same model is tried again.
pub const RETRY_LONGEST: Duration = Duration::from_secs(2);
/// Largest token count believed of a provider's usage report.
pub const USAGE_TOKENS: u64 = 100_000_000;
/// Output tokens that a call is taken to come to where neither caller nor policy sets a bound: what
/// gpt-4o writes at most. Asked for where a provider wants a bound.
pub const ASSUMED_OUTPUT_TOKENS: u64 = 16_384;
/// Input tokens that a picture or file is taken to come to which a request names but does not hold.
pub const LINKED_PART_TOKENS: u64 = 5_000;
/// Output tokens of a stream that money is reserved for before it begins.
pub const STREAM_FIRST_TOKENS: u64 = 256;
/// Output tokens of a stream that money is reserved for at a time while it runs.
pub const STREAM_RESERVE_TOKENS: u64 = 1_024;
/// The same near the end of a budget: for fewer tokens nothing is reserved.
pub const STREAM_LEAST_TOKENS: u64 = 32;
/// Time a stream whose reservation is used up waits for more money before it is ended.
pub const STREAM_EXTENSION_WAIT: Duration = Duration::from_secs(2);
/// Agents that no policy names and whose usage a proxy counts apart; the rest is counted together.
pub const UNLISTED_AGENTS: usize = 1_024;
/// Agents of which something may be new at once; beyond that all are looked through.
pub const AGENT_NEWS: usize = 131_072;
/// Uses of all agents of one report together.
pub const REPORT_USES: usize = 65_536;
/// Time a proxy that has just started waits for its ledger before it says that it is ready.
pub const LEDGER_FIRST_TIME: Duration = Duration::from_secs(2);
/// Time a proxy that stops gives its last report to be confirmed.
pub const LEDGER_FAREWELL_TIME: Duration = Duration::from_secs(2);
/// Plans of models one worker keeps.
pub const PLANS: usize = 1_024;
/// Time after which the caller of a held answer gets a sign of life, and between two of them.
pub const HELD_KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Time the last bytes of a finished stream are waited for, so that its connection can be reused.
pub const STREAM_TAIL_TIME: Duration = Duration::from_secs(1);
/// Pairs of agent and model that metrics name; the rest is counted together.
pub const METRIC_PAIRS: usize = 5_000;
/// Agents whose counters a plan keeps at hand.
pub const PLAN_AGENTS: usize = 1_024;
/// Agents whose budgets and limits the metrics of a control plane tell, the most active ones first.
pub const METRIC_AGENTS: usize = 1_000;
/// Definitions of webhooks that its metrics tell apart.
pub const METRIC_WEBHOOKS: usize = 1_000;
/// Spans that wait for the collector, unless the environment says otherwise; beyond it they are lost.
pub const TRACE_QUEUE: usize = 8_192;
/// Time the last spans get to be exported when a proxy stops.
pub const TRACE_FLUSH_TIME: Duration = Duration::from_secs(5);
/// Audit records that wait to be written, in bytes; beyond it they are lost, and counted.
pub const AUDIT_BYTES: usize = 64 * 1024 * 1024;
/// Places where they wait, so that workers do not meet at one; each has its part of the bytes.
pub const AUDIT_LANES: usize = 8;
/// Room that an emptied one keeps, in bytes.
pub const AUDIT_LANE_BYTES: usize = 1024 * 1024;
/// Lines of audit records that are written at once, in bytes.
pub const AUDIT_BUFFER_BYTES: usize = 64 * 1024;
/// Part of a request and of its answer that an audit record has, where the policy asks for it, in bytes.
pub const AUDIT_CONTENT_BYTES: usize = 64 * 1024;
/// Size from which a new file of audit records is begun, in bytes, unless the operator says otherwise.
pub const AUDIT_FILE_BYTES: u64 = 100 * 1024 * 1024;
/// Files of audit records that are kept, unless the operator says otherwise.
pub const AUDIT_FILES: u32 = 10;
/// Time for which records gather before they are written together.
pub const AUDIT_GATHER_TIME: Duration = Duration::from_millis(20);
/// Time the last audit records get to be written when a proxy stops.
pub const AUDIT_FLUSH_TIME: Duration = Duration::from_secs(5);
/// Most tokens of a simulated answer.
pub const SIMULATED_TOKENS: u32 = 16_384;
/// Most inputs of one embeddings request that a simulated model answers.
pub const SIMULATED_INPUTS: usize = 2_048;
/// Longest vector of a simulated embedding.
pub const SIMULATED_DIMENSIONS: usize = 3_072;

// Rights and the ledger.

/// Time for which a session's rights may be used without the ledger's word.
pub const LEASE: Duration = Duration::from_secs(10);
/// Pause between two reports of a proxy that has nothing to say.
pub const LEASE_RENEWAL: Duration = Duration::from_millis(2_500);
/// Part of a lease that must have passed before the log is told of its renewal.
pub const LEASE_RENEWAL_STEP: Duration = Duration::from_secs(1);
/// How far the rate of a clock may be off, in millionths.
pub const CLOCK_DRIFT_PPM: u64 = 500;
/// How far the wall clocks of two machines may be apart.
pub const CLOCK_SKEW: Duration = Duration::from_secs(10);
/// Up to this limit each permit is released at a time of its own.
pub const FEW_PERMITS: u64 = 60;
/// Up to this limit permits are released in steps of a three-thousandth of the window.
pub const MANY_PERMITS: u64 = 6_000;
/// Time a request waits for rights to requests or tokens.
pub const ADMISSION_WAIT: Duration = Duration::from_secs(2);
/// Time a request waits for money that other requests have set aside.
pub const BUDGET_WAIT: Duration = Duration::from_secs(30);
/// Requests of one agent that wait for rights at a proxy at once.
pub const PARKED_REQUESTS: usize = 4_096;
/// Time of demand that permits are held for.
pub const HOLD_AHEAD: Duration = Duration::from_millis(250);
/// Time of spend that money is held for.
pub const ESCROW_AHEAD: Duration = Duration::from_secs(2);
/// Time within which uses and settlements are reported.
pub const REPORT_INTERVAL: Duration = Duration::from_millis(200);
/// The same for an agent whose rights others wait for.
pub const REPORT_INTERVAL_PRESSED: Duration = Duration::from_millis(10);
/// How long an agent counts as one whose rights others wait for.
pub const PRESSED_TIME: Duration = Duration::from_secs(1);
/// Uses closer together than this are reported as one.
pub const USE_STEP: Duration = Duration::from_millis(2);
/// Uses of one agent kept apart until the ledger has confirmed them; beyond that they are merged.
pub const USES_KEPT: usize = 1_024;
/// Pause between two rounds of handing out what became free.
pub const PUSH_INTERVAL: Duration = Duration::from_millis(10);
/// Time the holders of idle rights get to give them back.
pub const RECALL_TIME: Duration = Duration::from_millis(250);
/// Pause between two recalls of one agent's rights.
pub const RECALL_PAUSE: Duration = Duration::from_millis(100);
/// The wait named to a caller when the rights it lacks are held elsewhere.
pub const HELD_ELSEWHERE: Duration = Duration::from_secs(1);
/// Releases named in one denial.
pub const DENIAL_RELEASES: usize = 16;
/// Promised releases remembered for one agent.
pub const PROMISES: usize = 1_024;
/// Sessions of the ledger, closed ones included.
pub const SESSIONS: usize = 4 * SYNC_SESSIONS;
/// Agents of one report.
pub const REPORT_AGENTS: usize = 512;
/// Days of one agent's money in one message: more than can still be settled, in any time zone and
/// before the oldest was archived.
pub const REPORT_PURSES: usize = 70;
/// Usage rows and past purses of one report.
pub const REPORT_ROWS: usize = 1_024;
/// Length from which a batch of the log is stored compressed, in bytes.
pub const LOG_COMPRESSED_BYTES: usize = 1_024;
/// Ids of corrections remembered, to know a repetition.
pub const ADJUSTMENTS: usize = 10_000;
/// Days whose money can still be settled.
pub const PURSE_DAYS: u32 = 62;
/// Days whose usage is kept.
pub const USAGE_DAYS: u32 = 400;
/// Usage rows of agents that no policy names, for one day; the rest is counted under one name.
pub const USAGE_UNLISTED: usize = 4_096;
/// Pause between two rounds of letting go of what the ledger needs no more.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_mins(5);
/// How long a closed session is remembered, for what its proxy may still say of it.
pub const SESSION_MEMORY: Duration = Duration::from_hours(7 * 24);
/// How long what a proxy knows of an agent's spend is good for a refusal.
pub const STANDING_TIME: Duration = Duration::from_secs(1);
/// How long the ledger must have been away before it counts as an outage: longer than another control
/// plane takes to own it.
pub const OUTAGE_GRACE: Duration = Duration::from_secs(10);
/// Time a request waits for a ledger that says nothing: until its silence is noticed, and until
/// another control plane owns it.
pub const OUTAGE_WAIT: Duration = Duration::from_secs(14);
/// Silence of the ledger in spite of questions after which those who wait no longer count on an answer.
/// Longer than [`LEASE_RENEWAL_STEP`], in whose steps answers are seen, and less than
/// [`ADMISSION_WAIT`].
pub const OUTAGE_SILENCE: Duration = Duration::from_millis(1_500);
/// How long requests are let through without the ledger, where the policy allows it.
pub const OUTAGE_ALLOWED_TIME: Duration = Duration::from_mins(5);
/// What they may cost at one proxy: one part in so many of the agent's smallest budget.
pub const OUTAGE_ALLOWED_SHARE: u64 = 20;
/// Silence after which a proxy takes its ledger for dead.
pub const LEDGER_SILENCE: Duration = Duration::from_secs(6);
/// Longest pause before a proxy connects to the ledger again.
pub const LEDGER_RECONNECT_LONGEST: Duration = Duration::from_secs(1);
/// Pause between two reports for waiting requests.
pub const WAITING_REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// Pause after which idle rights beyond the demand are given back.
pub const IDLE_TIME: Duration = Duration::from_secs(1);
/// Pause before what was told and not confirmed is told again.
pub const TELL_AGAIN: Duration = Duration::from_secs(2);
/// Reports confirmed in one message.
pub const CONFIRMED_REPORTS: usize = 4_096;
/// Rows of a proxy's journal; what is beyond stays unsettled after a crash.
pub const JOURNAL_ROWS: u32 = 65_536;
/// Reports of a proxy whose confirmation is waited for.
pub const REPORTS_AWAITED: usize = 1_024;
