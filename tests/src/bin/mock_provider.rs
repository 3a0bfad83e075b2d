//! `mock-provider`: the mock provider as a process, for benchmarks and for trying things out.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;

use agix_tests::mock_provider;
use clap::Parser;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A provider that speaks OpenAI's and Anthropic's protocols and misbehaves by script
#[derive(Debug, Parser)]
#[command(name = "mock-provider", version)]
struct Args {
    /// Where it listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let bound = match TcpListener::bind(args.listen).await {
        Ok(listener) => listener.local_addr().map(|address| (listener, address)),
        Err(error) => Err(error),
    };
    let mut out = std::io::stdout();
    match bound {
        Ok((listener, address)) => {
            drop(writeln!(out, "mock-provider is listening on {address}"));
            mock_provider::serve(listener, CancellationToken::new()).await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            drop(writeln!(
                std::io::stderr(),
                "error: {}: {error}",
                args.listen
            ));
            ExitCode::FAILURE
        }
    }
}
