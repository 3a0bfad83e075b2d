//! A control plane, a proxy and the link between them.

use std::collections::VecDeque;
use std::time::Duration;

use super::text::{TextCodec, encode_delta, encode_policy, resource};
use crate::id::{ProxyId, Revision};
use crate::limits::SYNC_SILENCE;
use crate::policy::Policy;
use crate::sync::{
    ClientEffect, ClientInput, ClientSession, CloseReason, Codec as _, Fault, Hello, Load,
    NackReason, Nonce, Offer, ProxyMessage, Recall, Received, Rejected, ServerEffect, ServerInput,
    ServerMessage, ServerSession, Update, Version,
};
use crate::time::Mono;

/// Revisions whose policy the control plane still has.
const REMEMBERED: usize = 3;
/// Bytes of one part of a snapshot.
const PART: usize = 3;

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// The operator applies a policy the proxy takes.
    Apply { agent: u32, limit: u32 },
    /// The operator applies a policy the proxy refuses.
    ApplyBad,
    /// A stream that was asked for opens. A careless control plane does not hear what the proxy
    /// says it has.
    Open { careless: bool },
    /// One message arrives.
    DeliverToProxy,
    /// One message arrives.
    DeliverToServer,
    /// The update handed over is installed or rejected.
    FinishInstall,
    /// Milliseconds pass.
    Advance(u64),
    /// For milliseconds nothing goes wrong.
    Calm { millis: u64, careless: bool },
    /// The stream breaks; what is on it is lost.
    Break,
    /// A byte of the next update on the stream changes.
    Damage(u8),
    /// The proxy's process dies and starts again.
    CrashProxy { disk_lost: bool },
    /// The control plane goes back to a backup.
    Restore { kept: usize },
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) snapshots: u32,
    pub(super) deltas: u32,
    pub(super) refused: u32,
    pub(super) ahead: u32,
}

/// A stream asked for, and what its hello claims.
#[derive(Debug)]
struct Asked {
    applied: Option<Version>,
}

#[derive(Debug)]
pub(super) struct World {
    now: Mono,
    random: u64,
    // The control plane.
    history: Vec<(Version, Policy)>,
    /// The highest revision any proxy was seen to have.
    seen: Revision,
    server: Option<ServerSession>,
    /// Whether its deltas never lead where they should.
    broken_deltas: bool,
    // The link.
    asked: Option<Asked>,
    to_server: VecDeque<ProxyMessage>,
    to_proxy: VecDeque<ServerMessage>,
    careless: bool,
    under_way: Option<Nonce>,
    // The proxy.
    client: ClientSession,
    in_force: Option<(Version, Policy)>,
    handed: Option<Received>,
    /// Every version any control plane ever had.
    ever: Vec<(Version, Policy)>,
    counts: Counts,
}

impl World {
    pub(super) fn new(random: u64, broken_deltas: bool) -> Self {
        Self {
            now: Mono::default(),
            random,
            history: Vec::new(),
            seen: Revision::NONE,
            server: None,
            broken_deltas,
            asked: None,
            to_server: VecDeque::new(),
            to_proxy: VecDeque::new(),
            careless: false,
            under_way: None,
            client: ClientSession::new(None, Mono::default()),
            in_force: None,
            handed: None,
            ever: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn in_force(&self) -> Option<Version> {
        self.in_force.as_ref().map(|(version, _)| *version)
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Apply { agent, limit } => drop(self.apply(&format!("agent-{agent}"), limit)),
            Action::ApplyBad => drop(self.apply("bad", 1)),
            Action::Open { careless } => self.open(careless),
            Action::DeliverToProxy => self.deliver_to_proxy(),
            Action::DeliverToServer => self.deliver_to_server(),
            Action::FinishInstall => self.finish_install(),
            Action::Advance(millis) => self.advance(Duration::from_millis(millis)),
            Action::Calm { millis, careless } => {
                self.calm(Duration::from_millis(millis), careless);
            }
            Action::Break => self.break_stream(),
            Action::Damage(byte) => self.damage(byte),
            Action::CrashProxy { disk_lost } => self.crash_proxy(disk_lost),
            Action::Restore { kept } => {
                self.history.truncate(kept);
                self.break_stream();
            }
        }
        if self.handed.is_none() {
            assert_eq!(
                self.client.applied(),
                self.in_force(),
                "the machine lost track"
            );
        }
    }

    /// Lets everything happen that is due or on its way, without any fault, until nothing changes
    /// any more but signs of life.
    pub(super) fn settle(&mut self) {
        self.calm(SYNC_SILENCE * 4, false);
    }

    fn calm(&mut self, span: Duration, careless: bool) {
        let end = self.now.after(span);
        while self.now < end {
            let mut steps = 0;
            while self.asked.is_some()
                || !self.to_proxy.is_empty()
                || !self.to_server.is_empty()
                || self.handed.is_some()
            {
                self.act(Action::Open { careless });
                self.act(Action::DeliverToProxy);
                self.act(Action::DeliverToServer);
                self.act(Action::FinishInstall);
                steps += 1;
                assert!(steps < 1_000, "the two never come to rest");
            }
            self.act(Action::Advance(100));
        }
    }

    /// A policy the proxy takes, different from all before.
    pub(super) fn apply_good(&mut self) -> Version {
        self.apply("agent-last", 1_000)
    }

    fn apply(&mut self, agent: &str, limit: u32) -> Version {
        let mut policy = self
            .history
            .last()
            .map_or_else(Policy::default, |(_, it)| it.clone());
        // What made a policy bad is mended by the next.
        policy.rate_limits.remove("bad");
        policy.put(resource(agent, limit));
        let newest = self
            .history
            .last()
            .map_or(Revision::NONE, |(it, _)| it.revision);
        let revision = newest.max(self.seen).next();
        let version = Version {
            revision,
            hash: TextCodec.hash(&policy),
        };
        self.history.push((version, policy.clone()));
        self.ever.push((version, policy));
        self.serve(ServerInput::Current(version));
        version
    }

    fn open(&mut self, careless: bool) {
        let Some(Asked { applied }) = self.asked.take() else {
            return;
        };
        self.careless = careless;
        let newest = self.history.last().map(|(version, _)| *version);
        self.server = Some(ServerSession::new(newest, self.now));
        self.tell(ClientInput::Connected);
        self.to_server.push_front(ProxyMessage::Hello(Hello {
            proxy: ProxyId::new("proxy").unwrap(),
            incarnation: 1,
            version: String::new(),
            address: String::new(),
            applied,
        }));
    }

    fn deliver_to_server(&mut self) {
        let Some(message) = self.to_server.pop_front() else {
            return;
        };
        let input = match message {
            ProxyMessage::Hello(hello) if self.careless => {
                assert!(hello.applied.is_none() || hello.applied == self.in_force());
                ServerInput::Hello {
                    applied: None,
                    recall: Recall::NotHeld,
                }
            }
            ProxyMessage::Hello(hello) => {
                let held = hello
                    .applied
                    .is_some_and(|version| self.remembers(version).is_some());
                let recall = if held { Recall::Held } else { Recall::NotHeld };
                ServerInput::Hello {
                    applied: hello.applied,
                    recall,
                }
            }
            ProxyMessage::Ack { nonce, revision } => {
                assert_eq!(self.under_way.take(), Some(nonce), "a stray answer");
                ServerInput::Ack { nonce, revision }
            }
            ProxyMessage::Nack {
                nonce,
                revision,
                reasons,
            } => {
                assert_eq!(self.under_way.take(), Some(nonce), "a stray answer");
                ServerInput::Nack {
                    nonce,
                    revision,
                    reasons,
                }
            }
            ProxyMessage::Heartbeat { applied, .. } => {
                self.seen = self.seen.max(applied);
                ServerInput::Heartbeat
            }
        };
        self.serve(input);
    }

    fn remembers(&self, version: Version) -> Option<&Policy> {
        let recent = self.history.iter().rev().take(REMEMBERED);
        recent
            .into_iter()
            .find(|(it, _)| *it == version)
            .map(|(_, policy)| policy)
    }

    fn serve(&mut self, input: ServerInput) {
        let Some(server) = &mut self.server else {
            return;
        };
        let effects = server.handle(input, self.now);
        self.carry_out_for_server(effects);
    }

    fn carry_out_for_server(&mut self, effects: Vec<ServerEffect>) {
        for effect in effects {
            match effect {
                ServerEffect::Send { offer, update } => self.send(offer, update),
                ServerEffect::Heartbeat { current } => {
                    self.to_proxy
                        .push_back(ServerMessage::Heartbeat { current });
                }
                ServerEffect::Applied(version) => self.seen = self.seen.max(version.revision),
                ServerEffect::Refused { version, reasons } => {
                    assert!(!reasons.is_empty(), "{version:?}");
                    self.counts.refused += 1;
                }
                ServerEffect::Ahead { applied, .. } => {
                    self.seen = self.seen.max(applied.revision);
                    self.counts.ahead += 1;
                }
                ServerEffect::Close(reason) => {
                    let broken = [CloseReason::Silent, CloseReason::Unanswered];
                    assert!(broken.contains(&reason), "{reason}");
                    self.break_stream();
                }
            }
        }
    }

    fn send(&mut self, offer: Offer, update: Update) {
        let (version, policy) = self.history.last().cloned().unwrap();
        assert_eq!(version, offer.version, "only the newest is sent");
        assert_eq!(
            self.under_way.replace(offer.nonce),
            None,
            "two updates at once"
        );
        if let Update::Delta { base, revision } = update {
            assert_eq!(revision, version.revision);
            let mut recent = self.history.iter().rev().take(REMEMBERED);
            if let Some((_, old)) = recent.find(|(it, _)| it.revision == base) {
                let mut delta = old.delta_to(&policy);
                if self.broken_deltas {
                    delta.upserts.push(resource("agent-0", 77));
                }
                let content = encode_delta(&delta);
                self.to_proxy.push_back(ServerMessage::Delta {
                    offer,
                    base,
                    content,
                });
                self.counts.deltas += 1;
                return;
            }
        }
        self.counts.snapshots += 1;
        let bytes = encode_policy(&policy);
        let mut parts = bytes.chunks(PART).peekable();
        while let Some(part) = parts.next() {
            self.to_proxy.push_back(ServerMessage::Snapshot {
                offer,
                content: part.to_vec(),
                last: parts.peek().is_none(),
            });
        }
    }

    fn deliver_to_proxy(&mut self) {
        if let Some(message) = self.to_proxy.pop_front() {
            self.tell(ClientInput::Message(message));
        }
    }

    fn tell(&mut self, input: ClientInput) {
        let effects = self.client.handle(input, self.now);
        self.carry_out_for_proxy(effects);
    }

    fn carry_out_for_proxy(&mut self, effects: Vec<ClientEffect>) {
        for effect in effects {
            match effect {
                ClientEffect::Connect { applied, .. } => {
                    assert!(
                        applied.is_none() || applied == self.in_force(),
                        "a false hello"
                    );
                    self.asked = Some(Asked { applied });
                }
                ClientEffect::Disconnect(fault) => {
                    let broken = [Fault::Silent, Fault::ConnectTimeout, Fault::Mismatch];
                    assert!(broken.contains(&fault), "{fault}");
                    self.break_stream();
                }
                ClientEffect::Install(received) => {
                    assert!(
                        self.handed.replace(received).is_none(),
                        "two installs at once"
                    );
                }
                ClientEffect::Ack(Offer { nonce, version }) => {
                    assert_eq!(self.in_force(), Some(version), "a false acknowledgement");
                    let revision = version.revision;
                    self.to_server
                        .push_back(ProxyMessage::Ack { nonce, revision });
                }
                ClientEffect::Nack { offer, reasons } => {
                    let Offer {
                        nonce,
                        version: Version { revision, .. },
                    } = offer;
                    self.say(ProxyMessage::Nack {
                        nonce,
                        revision,
                        reasons,
                    });
                }
                ClientEffect::Heartbeat => {
                    let applied = self.in_force().map_or(Revision::NONE, |it| it.revision);
                    let load = Load::default();
                    self.to_server
                        .push_back(ProxyMessage::Heartbeat { applied, load });
                }
                ClientEffect::Behind { .. } => {}
            }
        }
    }

    fn say(&mut self, message: ProxyMessage) {
        assert!(self.server.is_some(), "{message:?} without a stream");
        self.to_server.push_back(message);
    }

    fn finish_install(&mut self) {
        let Some(received) = self.handed.take() else {
            return;
        };
        let version = received.version;
        let base = self
            .in_force
            .as_ref()
            .map_or_else(Policy::default, |(_, it)| it.clone());
        let outcome = received.into_policy(&base, &TextCodec).and_then(|policy| {
            if policy.rate_limits.contains_key("bad") {
                return Err(Rejected::Refused(vec![NackReason::unreadable("bad")]));
            }
            Ok(policy)
        });
        match outcome {
            Ok(policy) => {
                let before = self.in_force().map_or(Revision::NONE, |it| it.revision);
                assert!(version.revision > before, "{version:?} after {before}");
                assert!(
                    self.ever.iter().any(|it| it.0 == version && it.1 == policy),
                    "{version:?} was never a policy of the control plane"
                );
                self.in_force = Some((version, policy));
                self.tell(ClientInput::Installed);
            }
            Err(rejected) => self.tell(ClientInput::Rejected(rejected)),
        }
    }

    fn advance(&mut self, span: Duration) {
        self.now = self.now.after(span);
        if let Some(server) = &mut self.server
            && server.poll_timeout().is_some_and(|at| at <= self.now)
        {
            let effects = server.handle_timeout(self.now);
            self.carry_out_for_server(effects);
        }
        if self.client.poll_timeout().is_some_and(|at| at <= self.now) {
            let effects = self.client.handle_timeout(self.now);
            self.carry_out_for_proxy(effects);
        }
    }

    fn break_stream(&mut self) {
        self.server = None;
        self.asked = None;
        self.to_server.clear();
        self.to_proxy.clear();
        self.under_way = None;
        self.random = self.random.rotate_left(7) ^ 0x9e37_79b9_7f4a_7c15;
        self.tell(ClientInput::Disconnected {
            random: self.random,
        });
    }

    fn damage(&mut self, byte: u8) {
        for message in &mut self.to_proxy {
            if let ServerMessage::Snapshot { content, .. } | ServerMessage::Delta { content, .. } =
                message
                && !content.is_empty()
            {
                // The first byte makes it unreadable, a later one another policy.
                let at = if byte.is_multiple_of(2) {
                    0
                } else {
                    content.len().saturating_sub(2)
                };
                content[at] = if byte.is_multiple_of(2) {
                    byte
                } else {
                    b'1' + byte % 9
                };
                return;
            }
        }
    }

    fn crash_proxy(&mut self, disk_lost: bool) {
        if disk_lost {
            self.in_force = None;
        }
        self.handed = None;
        self.client = ClientSession::new(self.in_force(), self.now);
        self.break_stream();
    }
}
