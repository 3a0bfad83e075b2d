//! A line for each finished request.

use std::sync::Arc;

use agix_core::usage::{Cost, PriceSource, UsageRecord};
use agix_proxy::UsageSink;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::task::TaskTracker;

use crate::output::{Output, local_time};

/// Lines waiting to be printed; beyond that they are left out, so that printing never holds up a
/// request.
const WAITING: usize = 256;

/// Prints a line for each record it is given.
#[derive(Debug)]
pub(super) struct Requests {
    sink: Arc<Sink>,
    printing: TaskTracker,
}

#[derive(Debug)]
struct Sink(Sender<UsageRecord>);

impl UsageSink for Sink {
    fn record(&self, record: UsageRecord) {
        // A full queue loses the line, not the request.
        drop(self.0.try_send(record));
    }
}

impl Requests {
    /// Begins printing.
    pub(super) fn start() -> Self {
        let (sender, receiver) = channel(WAITING);
        let printing = TaskTracker::new();
        printing.spawn(print(receiver));
        printing.close();
        Self {
            sink: Arc::new(Sink(sender)),
            printing,
        }
    }

    /// Where the proxy hands its records in.
    pub(super) fn sink(&self) -> Arc<dyn UsageSink> {
        Arc::<Sink>::clone(&self.sink)
    }

    /// Waits until everything is printed. The proxy must have stopped.
    pub(super) async fn stopped(self) {
        drop(self.sink);
        self.printing.wait().await;
    }
}

async fn print(mut records: Receiver<UsageRecord>) {
    while let Some(record) = records.recv().await {
        // Without a reader there is nobody to print for; the requests go on.
        drop(Output::raw(&line(&record)));
    }
}

/// `10:15:04  demo  gpt-4o -> claude-opus-4-6  2 attempts  12 in, 32 out  simulated`.
fn line(record: &UsageRecord) -> String {
    let asked = &record.model_asked;
    let way = match &record.answered_by {
        Some((answered, _)) if answered == asked => asked.to_string(),
        Some((answered, _)) => format!("{asked} -> {answered}"),
        None if record.caller_left => format!("{asked}: the caller left"),
        None => format!("{asked}: no model answered"),
    };
    let attempts = match record.attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    };
    let cost = match record.cost {
        Cost::Known(_, PriceSource::Simulated) => "simulated".to_owned(),
        Cost::Known(amount, _) => format!("${amount}"),
        Cost::Unknown => "cost unknown".to_owned(),
    };
    format!(
        "{}  {}  {way}  {attempts}  {} in, {} out  {cost}\n",
        local_time(record.accepted_at.as_millis()),
        record.agent,
        record.usage.total_input(),
        record.usage.total_output(),
    )
}
