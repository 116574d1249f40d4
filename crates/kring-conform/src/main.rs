//! `kring-conform`: see the crate's page, or `kring-conform --help`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::{Args, Parser, Subcommand};
use kring_conform::{By, Invitation, Log, Options, Step, answer, dial};
use kring_core::passcode::Passcode;
use kring_core::ticket::Ticket;
use kring_net::relay::{Pin, RelayAddress, resolve};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Walks an implementation of the Kring protocol through docs/protocol.md and names each section that it failed.
///
/// Exit code: 0 if nothing failed, 1 if something did, 2 if there was nothing to try.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Calls, as a good caller and then as bad ones; the other side has to answer some thirty calls.
    Dial {
        /// The ticket of what is walked through; `-` reads it from standard input, so that it stands on no command line.
        ticket: String,
        /// The ticket's passcode is in this file.
        #[arg(long)]
        passcode_file: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
    /// Prints a ticket and is called, by what is walked through, some thirty times.
    Answer {
        /// Where to listen.
        #[arg(long, default_value = "127.0.0.1:0")]
        bind: SocketAddr,
        /// Writes the ticket to this file instead.
        #[arg(long)]
        ticket_file: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
    /// Meets itself at a relay, well and badly.
    Relay {
        /// The relay, as in `kring --relay`: HOST:PORT or HOST:PORT#PIN.
        relay: RelayAddress,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Args)]
struct How {
    /// A JSON object for each step, instead of a line.
    #[arg(long)]
    json: bool,
    /// For how many seconds each thing is waited for.
    #[arg(long, default_value_t = 12)]
    patience: u64,
    /// The other side keeps its callers, or whom it calls, as contacts: calls without a ticket, and both dialling at once.
    #[arg(long)]
    contact: bool,
    /// What takes minutes and hours as well: four hours in all.
    #[arg(long)]
    long: bool,
    /// Only refusals with this in their names, behind the good call.
    #[arg(long)]
    only: Option<String>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return nothing_to_try(&error.to_string()),
    };
    match runtime.block_on(walk(cli.command)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => nothing_to_try(&error),
    }
}

fn nothing_to_try(why: &str) -> ExitCode {
    eprintln!("kring-conform: {why}");
    ExitCode::from(2)
}

/// Whether nothing failed.
async fn walk(command: Command) -> Result<bool, String> {
    match command {
        Command::Dial { ticket, passcode_file, how } => {
            let text = if ticket == "-" {
                std::io::read_to_string(std::io::stdin()).map_err(|e| e.to_string())?
            } else {
                ticket
            };
            let ticket: Ticket = text.trim().parse().map_err(|e| format!("that is no ticket: {e}"))?;
            let passcode = passcode_file.map(|file| read_passcode(&file)).transpose()?;
            let mut log = how.log();
            let options = Options { passcode, ..how.options() };
            dial(&ticket, &options, &mut log).await?;
            Ok(how.sum_up(&log))
        }
        Command::Answer { bind, ticket_file, how } => {
            let options = how.options();
            let invitation = Invitation::new(bind, &options)?;
            let ticket = invitation.ticket().to_string();
            match ticket_file {
                Some(file) => write_whole(&file, &ticket)?,
                None => println!("{ticket}"),
            }
            let mut log = how.log();
            answer(&invitation, &options, &mut log, |n, of, by| {
                let by = if by == By::Contact { ", dialled as a contact" } else { "" };
                eprintln!("call {} of {of} is awaited{by}", n + 1);
            })
            .await;
            Ok(how.sum_up(&log))
        }
        Command::Relay { relay, how } => {
            let addresses = resolve(&relay).await.map_err(|e| e.to_string())?;
            let mut log = how.log();
            kring_conform::relay(addresses[0], relay.pin().map(|Pin(pin)| pin), &how.options(), &mut log)
                .await;
            Ok(how.sum_up(&log))
        }
    }
}

impl How {
    fn options(&self) -> Options {
        let patience = Duration::from_secs(self.patience);
        Options {
            patience,
            only: self.only.clone(),
            contact: self.contact,
            long: self.long,
            ..Options::default()
        }
    }

    fn log(&self) -> Log {
        let json = self.json;
        Log::new(move |step: &Step| match serde_json::to_string(step) {
            Ok(line) if json => println!("{line}"),
            _ => println!("{step}"),
        })
    }

    fn sum_up(&self, log: &Log) -> bool {
        let failed = log.failed().count();
        if !self.json {
            println!("{} steps, {failed} failed", log.steps().len());
        }
        failed == 0
    }
}

fn read_passcode(file: &Path) -> Result<Passcode, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    Passcode::new(&text).map_err(|e| e.to_string())
}

fn write_whole(file: &Path, ticket: &str) -> Result<(), String> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut whole = tempfile::NamedTempFile::new_in(folder).map_err(|e| failed(&e))?;
    writeln!(whole, "{ticket}").map_err(|e| failed(&e))?;
    whole.persist(file).map_err(|e| failed(&e))?;
    Ok(())
}
