//! A round trip to the ledger for rights that are not at hand: a control plane as it is deployed,
//! asked over gRPC. Every answer waits for a commit.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use agix_core::id::{AgentName, ProxyId};
use agix_core::limits::{GRPC_MESSAGE_BYTES, QUOTA_QUEUE};
use agix_core::quota::{
    AgentReport, AgentUpdate, FromLedger, Hello, PoolReport, Report, SessionId, ToLedger, Update,
};
use agix_core::time::Mono;
use agix_proto::v1;
use agix_proto::v1::ledger_admin_client::LedgerAdminClient;
use agix_proto::v1::quota_client::QuotaClient;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::{Place, agent_name, disk};
use crate::clock;
use crate::process::{self, Process, free_address};
use crate::stats::{self, Ranks};

/// Agents that ask in turn.
const AGENTS: usize = 2_000;
/// Agents that ask at a time.
const ASKERS: [usize; 3] = [1, 50, 200];
/// Time in which nothing counts yet.
const WARM_UP: Duration = Duration::from_millis(500);
/// Time in which an answer has to come.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a round trip takes.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// A few kilobytes written to the disk and made durable.
    pub disk: Option<Ranks>,
    /// By store, and by how many ask at a time.
    pub trips: Vec<Trips>,
}

/// Round trips of one kind.
#[derive(Debug, Serialize)]
pub(crate) struct Trips {
    /// The store.
    pub store: &'static str,
    /// Agents that ask at a time.
    pub askers: usize,
    /// From the question to the right.
    pub trip: Ranks,
    /// Questions answered a second.
    pub per_second: f64,
    /// Batches committed a second.
    pub commits_per_second: f64,
    /// Share of its core that the control plane used.
    pub busy: f64,
}

/// One proxy that asks.
struct Asker {
    say: mpsc::Sender<v1::QuotaRequest>,
    hear: Streaming<v1::QuotaResponse>,
    session: SessionId,
    number: u64,
    agents: VecDeque<Asked>,
    /// Who waits, and since when.
    waiting: Vec<(Asked, Instant)>,
}

/// What is known of an agent.
struct Asked {
    name: AgentName,
    granted: u64,
}

/// Measures round trips.
pub(super) fn run(place: &Place<'_>, progress: fn(&str)) -> Result<Figures, Box<dyn Error>> {
    process::pin_thread(place.other)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let dir = tempfile::tempdir()?;
    let disk = disk::alone(dir.path())?;
    let mut trips = Vec::new();
    let embedded = format!("embedded:{}", dir.path().join("store").display());
    for (store, spec) in [("memory", "memory"), ("embedded", &embedded)] {
        let (control_plane, endpoint) = start(place, dir.path(), spec)?;
        for askers in ASKERS {
            progress(&format!("round trips, {store} store, {askers} at a time"));
            let one = measure(&control_plane, &endpoint, store, (askers, place.span));
            trips.push(runtime.block_on(one)?);
        }
    }
    Ok(Figures { disk, trips })
}

/// A control plane with the policy of the bench.
fn start(place: &Place<'_>, dir: &Path, store: &str) -> Result<(Process, String), Box<dyn Error>> {
    let listen = free_address()?;
    let process = Process::start(
        "agix-control-plane",
        place.core,
        &place.programs.join("agix-control-plane"),
        &["--listen", &listen.to_string(), "--store", store],
        &dir.join("control-plane.log"),
    )?;
    let endpoint = format!("http://{listen}");
    let policy = dir.join("policy.yaml");
    fs::write(&policy, policy_text()?)?;
    let file = policy.display().to_string();
    let arguments = ["--endpoint", &endpoint, "apply", "--file", &file];
    process::run_when_ready(&place.programs.join("agixctl"), &arguments)?;
    Ok((process, endpoint))
}

fn policy_text() -> Result<String, Box<dyn Error>> {
    let mut text = "rate_limits:\n".to_owned();
    for number in 0..AGENTS {
        let agent = agent_name(number)?;
        writeln!(text, "  {agent}: {{ requests_per_minute: 1000000 }}")?;
    }
    Ok(text)
}

async fn measure(
    control_plane: &Process,
    endpoint: &str,
    store: &'static str,
    (askers, span): (usize, Duration),
) -> Result<Trips, Box<dyn Error>> {
    let channel = Endpoint::from_shared(endpoint.to_owned())?
        .tcp_nodelay(true)
        .connect()
        .await?;
    let mut asker = Asker::welcomed(channel.clone(), askers).await?;
    for _ in 0..askers {
        asker.ask().await?;
    }
    asker.go_on(WARM_UP, &mut Vec::new()).await?;
    let (batches, used) = (
        log_batches(&channel).await?,
        control_plane.processor_time()?,
    );
    let mut samples = Vec::with_capacity(1 << 20);
    let began = clock::now();
    asker.go_on(span, &mut samples).await?;
    let elapsed = (clock::now() - began).as_secs_f64();
    let used = control_plane.processor_time()?.saturating_sub(used);
    let batches = log_batches(&channel).await?.saturating_sub(batches);
    Ok(Trips {
        store,
        askers,
        per_second: f64::from(u32::try_from(samples.len())?) / elapsed,
        trip: stats::ranks(samples).ok_or("nothing was answered")?,
        commits_per_second: f64::from(u32::try_from(batches)?) / elapsed,
        busy: used.as_secs_f64() / elapsed,
    })
}

async fn log_batches(channel: &Channel) -> Result<u64, tonic::Status> {
    let request = v1::ListAgentsRequest {
        most_active: 1,
        ..v1::ListAgentsRequest::default()
    };
    let mut client = LedgerAdminClient::new(channel.clone());
    let answer = client.list_agents(request).await?;
    Ok(answer.into_inner().log_batches)
}

impl Asker {
    /// A session of its own.
    async fn welcomed(channel: Channel, askers: usize) -> Result<Self, Box<dyn Error>> {
        let (say, said) = mpsc::channel(QUOTA_QUEUE);
        let hello = ToLedger::Hello(Hello {
            proxy: ProxyId::new("bench")?,
            incarnation: u64::try_from(askers)?,
            resume: None,
            sent: Mono::default(),
        });
        say.send((&hello).into()).await?;
        let mut client = QuotaClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
        let mut hear = client
            .session(ReceiverStream::new(said))
            .await?
            .into_inner();
        let welcome = next(&mut hear).await?;
        let FromLedger::Welcome { session, .. } = welcome else {
            return Err("the ledger did not say welcome".into());
        };
        let agents = (0..AGENTS).map(|number| {
            Ok::<_, Box<dyn Error>>(Asked {
                name: agent_name(number)?,
                granted: 0,
            })
        });
        Ok(Self {
            say,
            hear,
            session,
            number: 0,
            agents: agents.collect::<Result<_, _>>()?,
            waiting: Vec::with_capacity(askers),
        })
    }

    /// A request of the next agent, which holds nothing: what it was given is used up.
    async fn ask(&mut self) -> Result<(), Box<dyn Error>> {
        let agent = self.agents.pop_front().ok_or("there are too few agents")?;
        self.number += 1;
        let requests = PoolReport {
            used: agent.granted,
            waiting: 1,
            ..PoolReport::default()
        };
        let report = ToLedger::Report(Report {
            session: self.session,
            number: self.number,
            sent: Mono::default(),
            agents: vec![AgentReport {
                agent: agent.name.clone(),
                requests: Some(requests),
                tokens: None,
                slots: None,
                money: None,
                recall_seen: 0,
            }],
            usage: Vec::new(),
            past: Vec::new(),
        });
        let began = clock::now();
        self.say.send((&report).into()).await?;
        self.waiting.push((agent, began));
        Ok(())
    }

    /// Whoever is answered is followed by the next, for `span`.
    async fn go_on(
        &mut self,
        span: Duration,
        samples: &mut Vec<u32>,
    ) -> Result<(), Box<dyn Error>> {
        let end = clock::now() + span;
        while clock::now() < end {
            let answer = tokio::time::timeout(PATIENCE, next(&mut self.hear)).await;
            let update = match answer.map_err(|_late| "the ledger does not answer")?? {
                FromLedger::Update(update) => update,
                FromLedger::Welcome { .. } | FromLedger::Closed { .. } => {
                    return Err("the session is over".into());
                }
            };
            for _ in 0..self.take(&update, samples) {
                self.ask().await?;
            }
        }
        Ok(())
    }

    /// Takes in what was granted; how many were answered.
    fn take(&mut self, update: &Update, samples: &mut Vec<u32>) -> usize {
        let now = clock::now();
        let mut answered = 0;
        for told in &update.agents {
            let granted = granted(told);
            let is_meant =
                |(agent, _): &(Asked, Instant)| agent.name == told.agent && agent.granted < granted;
            if let Some(place) = self.waiting.iter().position(is_meant) {
                let (agent, began) = self.waiting.swap_remove(place);
                samples.push(stats::nanos(now - began));
                self.agents.push_back(Asked { granted, ..agent });
                answered += 1;
            }
        }
        answered
    }
}

fn granted(told: &AgentUpdate) -> u64 {
    told.requests.as_ref().map_or(0, |pool| pool.granted)
}

async fn next(hear: &mut Streaming<v1::QuotaResponse>) -> Result<FromLedger, Box<dyn Error>> {
    let message = hear.message().await?.ok_or("the ledger ended the stream")?;
    Ok(FromLedger::try_from(message)?)
}
