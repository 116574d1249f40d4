//! The `kring-relay` program: starts a relay, or looks at one.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)]

use clap::{Args, Parser, Subcommand};
use kring_net::relay::RelayAddress;
use kring_relay::{Config, Relay, doctor};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Brings Kring's callers together who can't reach each other, and forwards what it can't read.
#[derive(Parser)]
#[command(name = "kring-relay", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Command {
    /// Look at a relay from outside, as a caller would, and at this machine
    Doctor {
        /// HOST:PORT or HOST:PORT#PIN; without one, only at this machine
        relay: Option<RelayAddress>,
    },
}

#[derive(Args)]
struct Run {
    /// Settings in TOML; flags count before them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, with UDP and TCP [default: [::]:4433]
    #[arg(long, value_name = "ADDR:PORT")]
    bind: Option<SocketAddr>,
    /// Keep the relay's key here, so that clients can pin it; made if it is not there
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Show metrics for Prometheus here, by HTTP
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
    /// A relay to name to those that are refused; may be given four times
    #[arg(long = "other", value_name = "HOST:PORT")]
    others: Vec<RelayAddress>,
    /// Sessions at a time
    #[arg(long, value_name = "N")]
    max_sessions: Option<usize>,
    /// Threads that forward
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Seconds that sessions may go on after SIGTERM
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u32>,
    /// Listen with UDP only
    #[arg(long)]
    no_tcp: bool,
}

impl Run {
    fn config(self) -> Result<Config, kring_relay::ConfigError> {
        let mut config = self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
        config.bind = self.bind.unwrap_or(config.bind);
        config.key_file = self.key_file.or(config.key_file);
        config.metrics = self.metrics.or(config.metrics);
        config.limits.max_sessions = self.max_sessions.unwrap_or(config.limits.max_sessions);
        config.threads = self.threads.unwrap_or(config.threads);
        config.drain = self.drain_seconds.map_or(config.drain, |s| Duration::from_secs(s.into()));
        config.tcp &= !self.no_tcp;
        if !self.others.is_empty() {
            config.others = self.others;
        }
        Ok(config)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    runtime.block_on(async {
        match cli.command {
            Some(Command::Doctor { relay }) => look(relay).await,
            None => match cli.run.config() {
                Ok(config) => run(config).await,
                Err(error) => fail(&error),
            },
        }
    })
}

/// Says something to the operator. A log that nobody reads any more is no reason to end.
macro_rules! say {
    ($($what:tt)*) => {
        let _ = writeln!(std::io::stderr(), $($what)*);
    };
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    say!("kring-relay: {error}");
    ExitCode::FAILURE
}

async fn run(config: Config) -> ExitCode {
    let (drain, kept) = (config.drain, config.key_file.is_some());
    // Before it says that it is there, so that it can be told to stop from then on.
    let mut wishes = match Wishes::new() {
        Ok(wishes) => wishes,
        Err(error) => return fail(&error),
    };
    let relay = match Relay::start(config).await {
        Ok(relay) => relay,
        Err(error) => return fail(&error),
    };
    say!("kring-relay: listening at {}, pin {}", relay.address(), relay.pin());
    if !kept {
        say!("kring-relay: the pin holds until the end of this process; --key-file keeps it");
    }
    if let Some(address) = relay.metrics_address() {
        say!("kring-relay: metrics at http://{address}/metrics");
    }
    wishes.next().await;
    say!("kring-relay: takes nothing new; ends with its last session, in {} s at most", drain.as_secs());
    tokio::select! {
        () = relay.drain(drain) => {}
        () = wishes.next() => {}
    }
    ExitCode::SUCCESS
}

/// Wishes that it may stop: SIGTERM, or Ctrl-C.
struct Wishes {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Wishes {
    #[cfg(unix)]
    fn new() -> std::io::Result<Wishes> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Wishes {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Wishes> {
        Ok(Wishes {})
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

async fn look(relay: Option<RelayAddress>) -> ExitCode {
    for remark in doctor::machine() {
        println!("this machine: {remark}");
    }
    let Some(relay) = relay else { return ExitCode::SUCCESS };
    let mut well = false;
    let mut tell = |way: &str, found: Result<doctor::Found, doctor::Trouble>| match found {
        Ok(found) => {
            well = true;
            let seen = found.observed.map_or("nowhere yet".into(), |address| address.to_string());
            println!(
                "{way}: connects in {:.1} ms; {} of 20 packets through it and back, the fastest in {:.1} ms; sees you at {seen}",
                found.connect.as_secs_f64() * 1e3,
                found.came_back,
                found.through.as_secs_f64() * 1e3,
            );
        }
        Err(trouble) => println!("{way}: {trouble}"),
    };
    match doctor::look(&relay).await {
        Ok(ways) => {
            for (address, found) in ways {
                tell(&format!("UDP to {address}"), found);
            }
        }
        Err(error) => return fail(&error),
    }
    tell("TCP", doctor::look_tcp(&relay).await);
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
