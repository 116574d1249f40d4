//! The `kring` program: calls from a terminal. `main` parses, runs one command and ends with its exit code; all
//! messages are sentences on standard error that begin with `kring: `.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod answer;
mod app;
mod args;
mod clock;
mod contacts;
mod devices;
mod dial;
mod exit;
mod hints;
mod home;
mod keep;
mod keys;
mod media;
mod output;
mod passcode;
mod pixels;
mod qr;
mod record;
mod stats;
mod status;
mod stop;
mod talk;
mod tap;
mod terminal;
mod ticket;
mod tickets;
mod verify;
#[cfg(feature = "window")]
mod window;
#[cfg(not(feature = "window"))]
#[path = "window_none.rs"]
mod window;

use app::App;
use args::{Accept, Answer, Cli, Command, Common};
use clap::Parser;
use clock::Clock;
use exit::{Exit, Failure};
use output::Output;
use std::process::ExitCode;
use std::sync::Arc;
use stop::Stopper;

fn main() -> ExitCode {
    // Before all else: `--for` counts from here, and times are told by it.
    let clock = Clock::new();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    keys::restore_on_panic();
    let result = match cli.command {
        Command::Id(home) => home::show(home.home),
        Command::Devices(how) => devices::show(how.json),
        Command::Tickets(tickets) => tickets::run(tickets),
        Command::Contacts(contacts) => contacts::run(contacts),
        Command::Call(mut call) => dial::whom(call.ticket.as_deref(), call.common.home.home.clone())
            .and_then(|whom| {
                let settings = dial::Settings::new(whom, &call)?;
                devices::settle(&mut call.common, true);
                media::check(&call.common)?;
                run(clock, call.common, |app| Box::pin(dial::run(app, settings)))
            }),
        Command::Answer(answer) => answered(clock, answer),
    };
    let code = result.unwrap_or_else(|failure| {
        eprintln!("kring: {}", output::printable(&failure.message));
        failure.code
    });
    ExitCode::from(code as u8)
}

fn answered(clock: Clock, mut answer: Answer) -> Result<Exit, Failure> {
    // Whoever lets everybody in has to say what they get to hear.
    devices::settle(&mut answer.common, answer.accept == Accept::Ask);
    media::check(&answer.common)?;
    let ticket_file = answer.ticket_file.as_deref().map(ticket::TicketFile::prepare).transpose()?;
    let settings = answer::Settings {
        accept: answer.accept,
        expires: answer.expires,
        one_use: answer.one_use,
        contacts_only: answer.contacts_only,
        lobby: answer.lobby,
        passcode: passcode::read(answer.passcode_file.as_deref())?.filter(|_| !answer.contacts_only),
        ticket_file,
    };
    run(clock, answer.common, |app| Box::pin(answer::run(app, settings)))
}

type Running = std::pin::Pin<Box<dyn Future<Output = Result<Exit, Failure>>>>;

/// Runs a command on a runtime of two workers: media has threads of its own.
fn run(clock: Clock, common: Common, command: impl FnOnce(App) -> Running) -> Result<Exit, Failure> {
    let system =
        |error| Failure::new(Exit::Usage, format!("the system gives no threads or signals: {error}"));
    // Not before the options and files were found good: a process must not end while its first random number is drawn.
    kring::prepare();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(system)?;
    runtime.block_on(async {
        let stopper = Stopper::listen(clock.start(), common.run_for).map_err(system)?;
        let output = Arc::new(Output::new(clock, common.json));
        let app = App::new(clock, output, stopper, common)?;
        command(app).await
    })
}

/// Help goes to standard output; anything else is trouble.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() {
        eprint!("kring: {}", text.strip_prefix("error: ").unwrap_or(&text));
        return ExitCode::from(Exit::Usage as u8);
    }
    print!("{text}");
    ExitCode::SUCCESS
}
