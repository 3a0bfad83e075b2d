//! How fast a policy reaches many proxies: clients of the real protocol, all in this process, and a
//! control plane as it is deployed.
//!
//! A client acknowledges an update when it has arrived; what a proxy does to put it in force is not
//! measured here.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agix_core::limits::{GRPC_MESSAGE_BYTES, HEARTBEAT_INTERVAL, RECONNECT_FIRST, SYNC_QUEUE};
use agix_proto::v1;
use agix_proto::v1::policy_sync_client::PolicySyncClient;
use agix_proto::v1::proxy_message::Body;
use agix_proto::v1::server_message::Body as Told;
use clap::Args;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::clock;
use crate::process::{self, Core, Process, free_address};

/// Pause between two looks at how far the clients are.
const LOOK: Duration = Duration::from_millis(1);
/// The longest anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// How many proxies, and how large a policy.
#[derive(Debug, Args)]
pub(crate) struct PropagationArgs {
    /// Clients that follow the policy
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Clients that come back at once
    #[arg(long, default_value_t = 1_000)]
    crowd: usize,
    /// Agents of the policy
    #[arg(long, default_value_t = 100_000)]
    agents: usize,
    /// Changes of one line
    #[arg(long, default_value_t = 20)]
    changes: usize,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    clients: usize,
    agents: usize,
    crowd: usize,
    /// From the start of `agixctl apply` until 99 of 100 have acknowledged a change of one line of a
    /// small policy, in milliseconds; shortest, median, longest.
    small_ms: [f64; 3],
    /// How long `agixctl apply` of the large policy takes.
    apply_ms: f64,
    /// As above, with the large policy.
    large_ms: [f64; 3],
    /// What one proxy is sent for that, in bytes.
    delta_bytes: u64,
    /// The crowd comes back and has missed one change of the large policy.
    back_ms: f64,
    /// It comes back and has nothing.
    anew_ms: f64,
    /// Memory of the control plane with the large policy and its clients, and the most it had while the
    /// crowd came back, in MiB.
    memory_mib: u32,
    peak_mib: u32,
}

/// A revision and its hash.
type Version = (u64, Vec<u8>);

/// Clients, as those who watch them see them.
struct Crowd {
    applied: Vec<AtomicU64>,
    newest: Mutex<Version>,
    /// Length of the newest delta.
    delta: AtomicU64,
}

struct Bench<'a> {
    args: &'a PropagationArgs,
    programs: &'a Path,
    dir: &'a Path,
    endpoint: String,
    control_plane: Process,
    line: usize,
    revision: u64,
}

/// Measures.
pub(crate) fn run(
    args: &PropagationArgs,
    (programs, core): (&Path, Core),
    progress: fn(&str),
) -> Result<Figures, Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let listen = free_address()?;
    let store = format!("embedded:{}", dir.path().join("store").display());
    let control_plane = Process::start(
        "agix-control-plane",
        core,
        &programs.join("agix-control-plane"),
        &["--listen", &listen.to_string(), "--store", &store],
        &dir.path().join("control-plane.log"),
    )?;
    let mut bench = Bench {
        args,
        programs,
        dir: dir.path(),
        endpoint: format!("http://{listen}"),
        control_plane,
        line: 0,
        revision: 0,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(bench.measure(progress))
}

impl Bench<'_> {
    async fn measure(&mut self, progress: fn(&str)) -> Result<Figures, Box<dyn Error>> {
        progress("a small policy");
        self.apply(10)?;
        let (followers, mut tasks) = self.connect(self.args.clients, None);
        self.wait(&followers, 100).await?;
        let small = self.changes(&followers, 10).await?;
        progress("a large policy");
        let apply_ms = self.apply(self.args.agents)?;
        self.wait(&followers, 100).await?;
        let large = self.changes(&followers, self.args.agents).await?;
        let memory = self.control_plane.resident_kib()?;
        let delta_bytes = followers.delta.load(Ordering::Relaxed);
        let newest = followers.newest.lock();
        let missed = newest.unwrap_or_else(PoisonError::into_inner).clone();
        tasks.shutdown().await;
        progress("a crowd that comes back");
        self.apply(self.args.agents)?;
        let (back_ms, peak) = self.crowd(Some(&missed)).await?;
        progress("a crowd that has nothing");
        let (anew_ms, more) = self.crowd(None).await?;
        Ok(Figures {
            clients: self.args.clients,
            agents: self.args.agents,
            crowd: self.args.crowd,
            small_ms: spread(small),
            apply_ms,
            large_ms: spread(large),
            delta_bytes,
            back_ms,
            anew_ms,
            memory_mib: memory / 1_024,
            peak_mib: peak.max(more) / 1_024,
        })
    }

    /// Applies a policy of so many agents, another one each time; says how long that took.
    fn apply(&mut self, agents: usize) -> Result<f64, Box<dyn Error>> {
        self.line += 1;
        let mut text = String::from("rate_limits:\n");
        writeln!(text, "  changing: {{ requests_per_minute: {} }}", self.line)?;
        for agent in 0..agents {
            writeln!(text, "  agent-{agent}: {{ requests_per_minute: 60 }}")?;
        }
        let policy = self.dir.join("policy.yaml");
        fs::write(&policy, text)?;
        let file = policy.display().to_string();
        let arguments = ["--endpoint", &self.endpoint, "apply", "--file", &file];
        let began = clock::now();
        let program = self.programs.join("agixctl");
        if self.revision == 0 {
            process::run_when_ready(&program, &arguments)?;
        } else {
            process::run(&program, &arguments)?;
        }
        self.revision += 1;
        Ok(millis(began.elapsed()))
    }

    /// Changes one line now and then; says how long each change took to be acknowledged.
    async fn changes(
        &mut self,
        followers: &Crowd,
        agents: usize,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut times = Vec::new();
        for _ in 0..self.args.changes {
            let began = clock::now();
            // In place, so that the clients go on meanwhile.
            tokio::task::block_in_place(|| self.apply(agents))?;
            self.wait(followers, 99).await?;
            times.push(millis(began.elapsed()));
        }
        Ok(times)
    }

    /// Lets a crowd come that has `version`; says how long it took until all were current, and how much
    /// memory the control plane had at most.
    async fn crowd(&self, version: Option<&Version>) -> Result<(f64, u32), Box<dyn Error>> {
        let began = clock::now();
        let (crowd, mut tasks) = self.connect(self.args.crowd, version);
        let peak = self.wait(&crowd, 100).await?;
        let took = millis(began.elapsed());
        tasks.shutdown().await;
        Ok((took, peak))
    }

    /// Waits until so many of a hundred have the current revision.
    async fn wait(&self, crowd: &Crowd, percent: usize) -> Result<u32, Box<dyn Error>> {
        let began = clock::now();
        let mut peak = 0;
        loop {
            peak = peak.max(self.control_plane.resident_kib()?);
            let current = crowd.applied.iter();
            let current = current.filter(|it| it.load(Ordering::Relaxed) >= self.revision);
            let count = current.count();
            if count * 100 >= crowd.applied.len() * percent {
                return Ok(peak);
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("only {count} clients became current").into());
            }
            sleep(LOOK).await;
        }
    }

    fn connect(&self, count: usize, version: Option<&Version>) -> (Arc<Crowd>, JoinSet<()>) {
        let crowd = Arc::new(Crowd {
            applied: (0..count).map(|_| AtomicU64::new(0)).collect(),
            newest: Mutex::default(),
            delta: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        for place in 0..count {
            let (crowd, endpoint) = (Arc::clone(&crowd), self.endpoint.clone());
            let version = version.cloned().unwrap_or_default();
            tasks.spawn(async move {
                // As a proxy does, whose stream was lost because everybody was busy.
                loop {
                    drop(follow(&crowd, place, endpoint.clone(), version.clone()).await);
                    sleep(RECONNECT_FIRST).await;
                }
            });
        }
        (crowd, tasks)
    }
}

/// One client, from its hello on.
async fn follow(
    crowd: &Crowd,
    place: usize,
    endpoint: String,
    (applied_revision, applied_hash): Version,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let channel = Endpoint::from_shared(endpoint)?
        .tcp_nodelay(true)
        .connect()
        .await?;
    let (say, said) = mpsc::channel(SYNC_QUEUE);
    let tell = |body| v1::ProxyMessage { body: Some(body) };
    say.send(tell(Body::Hello(v1::Hello {
        proxy_id: format!("client-{place}"),
        incarnation: 1,
        version: "bench".to_owned(),
        address: "127.0.0.1:1".to_owned(),
        applied_revision,
        applied_hash,
    })))
    .await?;
    let mut client = PolicySyncClient::new(channel).max_decoding_message_size(GRPC_MESSAGE_BYTES);
    let mut hear = client.watch(ReceiverStream::new(said)).await?.into_inner();
    let mut pulse = interval(HEARTBEAT_INTERVAL);
    let mut applied = applied_revision;
    loop {
        let message = tokio::select! {
            message = hear.message() => message?.ok_or("the stream ended")?,
            _ = pulse.tick() => {
                let heartbeat = v1::Heartbeat {
                    applied_revision: applied,
                    load: Some(v1::Load::default()),
                };
                say.send(tell(Body::Heartbeat(heartbeat))).await?;
                continue;
            }
        };
        let (revision, nonce, hash) = match message.body {
            Some(Told::Snapshot(part)) if part.last => (part.revision, part.nonce, part.hash),
            Some(Told::Delta(delta)) => {
                let length = u64::try_from(delta.delta.len())?;
                crowd.delta.store(length, Ordering::Relaxed);
                (delta.revision, delta.nonce, delta.hash)
            }
            _ => continue,
        };
        applied = revision;
        say.send(tell(Body::Ack(v1::Ack { nonce, revision })))
            .await?;
        if let Some(mine) = crowd.applied.get(place) {
            mine.store(revision, Ordering::Relaxed);
        }
        let newest = crowd.newest.lock();
        *newest.unwrap_or_else(PoisonError::into_inner) = (revision, hash);
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn spread(mut times: Vec<f64>) -> [f64; 3] {
    times.sort_unstable_by(f64::total_cmp);
    let at = |place: usize| times.get(place).copied().unwrap_or_default();
    let last = times.len().saturating_sub(1);
    [at(0), at(last / 2), at(last)]
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clients,
            agents,
            crowd,
            small_ms: [least, median, most],
            apply_ms,
            large_ms: [large_least, large_median, large_most],
            delta_bytes,
            back_ms,
            anew_ms,
            memory_mib,
            peak_mib,
        } = self;
        writeln!(
            f,
            "{clients} clients, one line changed, from `agixctl apply` to 99 % acknowledged:\n  \
             small policy         {least:.0} ms, {median:.0} ms, {most:.0} ms \
             (shortest, median, longest)\n  \
             {agents} agents       {large_least:.0} ms, {large_median:.0} ms, {large_most:.0} ms, \
             a delta of {delta_bytes} bytes for each\n\
             apply of {agents} agents {apply_ms:.0} ms\n\
             {crowd} clients at once, with {agents} agents:\n  \
             one change behind    {back_ms:.0} ms until all are current\n  \
             with nothing         {anew_ms:.0} ms\n\
             memory of the control plane {memory_mib} MiB with {clients} clients, at most {peak_mib} \
             MiB with {crowd}"
        )
    }
}
