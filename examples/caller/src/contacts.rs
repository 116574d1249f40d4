//! `kring contacts`: who was kept, under which name, and who is blocked.

use crate::args::Home;
use crate::exit::{Exit, Failure};
use crate::home::{self, date};
use crate::output::printable;
use crate::{qr, ticket};
use clap::{Args, Subcommand};
use kring::{ContactInfo, Fingerprint, HomeError, PublicIdentity, SafetyNumber, SafetyScan};
use serde_json::{Value, json};
use std::io::{self, IsTerminal};

#[derive(Args, Debug)]
pub(crate) struct Contacts {
    #[command(subcommand)]
    command: Option<Command>,
    /// Tell it as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    home: Home,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Keep the one who gave out a ticket, to be called by name.
    Add {
        /// The ticket, as for `kring call`
        ticket: Option<String>,
        /// What to call them
        #[arg(long, value_name = "NAME", value_parser = name)]
        name: String,
        #[command(flatten)]
        home: Home,
    },
    /// Call a contact something else.
    Rename {
        /// The name until now
        name: String,
        /// The name from now on
        #[arg(value_parser = self::name)]
        new: String,
        #[command(flatten)]
        home: Home,
    },
    /// Forget a contact: they do not get through any more without a ticket.
    Remove {
        /// The contact's name
        name: String,
        #[command(flatten)]
        home: Home,
    },
    /// Say that you have compared the safety number, or a call's code, with a contact: from now on they are verified.
    Verify {
        /// The contact's name
        name: String,
        /// Say that it holds no more
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        home: Home,
    },
    /// Show the safety number of you and a contact, to be compared in person or by any other way than a call.
    Number {
        /// The contact's name
        name: String,
        #[command(flatten)]
        home: Home,
    },
    /// Let somebody not get through any more, whatever ticket they hold.
    Block {
        /// A contact's name, or a fingerprint
        who: String,
        #[command(flatten)]
        home: Home,
    },
    /// Let somebody get through again, with a ticket.
    Unblock {
        /// A contact's name, or a fingerprint
        who: String,
        #[command(flatten)]
        home: Home,
    },
}

/// A name that a contact can have.
pub(crate) fn name(text: &str) -> Result<String, String> {
    kring::check_contact_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// What went wrong with a list or a name.
pub(crate) fn failed(error: HomeError) -> Failure {
    match error {
        HomeError::Contact(_) | HomeError::NoSecret { .. } => {
            Failure::new(Exit::Contact, format!("{error} (`kring contacts` lists them)"))
        }
        error => home::failed_list(error),
    }
}

pub(crate) fn run(contacts: Contacts) -> Result<Exit, Failure> {
    let default = contacts.home.home;
    let open = |home: Home| home::open(home.home.or(default.clone()));
    match contacts.command {
        None => return list(&home::open(default)?, contacts.json),
        Some(Command::Add { ticket, name, home }) => {
            let ticket = ticket::read(ticket.as_deref())?;
            open(home)?.add_contact(&name, &ticket).map_err(failed)?;
            println!("{} is kept as {name}; `kring call {name}` calls them", ticket.fingerprint());
        }
        Some(Command::Rename { name, new, home }) => {
            open(home)?.rename_contact(&name, &new).map_err(failed)?;
            println!("{} is called {new} now", printable(&name));
        }
        Some(Command::Remove { name, home }) => {
            open(home)?.remove_contact(&name).map_err(failed)?;
            println!("{} is no contact any more", printable(&name));
        }
        Some(Command::Verify { name, undo, home }) => {
            let home = open(home)?;
            home.set_verified(&name, !undo).map_err(failed)?;
            println!("{} is {} now", printable(&name), if undo { "unverified" } else { "verified" });
        }
        Some(Command::Number { name, home }) => {
            let folder = home.home.or(default);
            let own = home::identity(folder.clone())?.identity.public();
            number(&own, &home::open(folder)?, &name, contacts.json)?;
        }
        Some(Command::Block { who, home }) => {
            let home = open(home)?;
            let fingerprint = find(&home, &who)?;
            home.block(fingerprint).map_err(failed)?;
            println!("{fingerprint} is blocked");
        }
        Some(Command::Unblock { who, home }) => {
            let home = open(home)?;
            let fingerprint = find(&home, &who)?;
            if !home.unblock(&fingerprint).map_err(failed)? {
                return Err(Failure::new(Exit::Contact, format!("{fingerprint} is not blocked")));
            }
            println!("{fingerprint} is not blocked any more; they need a new ticket to call");
        }
    }
    Ok(Exit::Done)
}

/// Shows the safety number of this identity and a contact's, and what the contact may scan.
fn number(own: &PublicIdentity, home: &kring::Home, name: &str, as_json: bool) -> Result<(), Failure> {
    let contact = home.contact(name).map_err(|error| failed(error.into()))?;
    let Some(peer) = contact.identity else {
        let message = format!(
            "{} was never called, so that only their fingerprint is known: {}",
            contact.name, contact.fingerprint
        );
        return Err(Failure::new(Exit::Contact, message));
    };
    let (number, scan) = (SafetyNumber::of(own, &peer), SafetyScan::new(*own, peer));
    if as_json {
        println!("{}", json!({"number": number.to_string(), "scan": scan.to_string()}));
        return Ok(());
    }
    println!("{number}");
    if io::stdout().is_terminal() {
        let (columns, rows) = crossterm::terminal::size().unwrap_or((80, 24));
        let text = scan.to_qr_text();
        for line in qr::draw(&text, rows.saturating_sub(2).into(), columns.into()).unwrap_or_default() {
            println!("\x1b[97;40m{line}\x1b[0m");
        }
    }
    Ok(())
}

fn find(home: &kring::Home, who: &str) -> Result<Fingerprint, Failure> {
    match who.parse() {
        Ok(fingerprint) => Ok(fingerprint),
        Err(_) => Ok(home.contact(who).map_err(|error| failed(error.into()))?.fingerprint),
    }
}

fn list(home: &kring::Home, as_json: bool) -> Result<Exit, Failure> {
    let (contacts, blocked) = (home.contacts(), home.blocked());
    if as_json {
        let blocked: Vec<_> = blocked
            .iter()
            .map(|(who, since)| json!({"fingerprint": who.to_string(), "since": since.0}))
            .collect();
        println!(
            "{}",
            json!({"contacts": contacts.iter().map(object).collect::<Vec<_>>(), "blocked": blocked})
        );
        return Ok(Exit::Done);
    }
    if contacts.is_empty() {
        println!(
            "no contacts; a call offers to keep the other side, and `kring contacts add` keeps who gave out a ticket"
        );
    }
    for contact in &contacts {
        println!("{}  {}{}", contact.name, contact.fingerprint, state(contact));
    }
    for (who, since) in blocked.iter().filter(|(who, _)| home.contact_of(who).is_none()) {
        println!("blocked  {who}  since {}", date(since.0));
    }
    Ok(Exit::Done)
}

fn state(contact: &ContactInfo) -> String {
    let mut text = match contact.last_call {
        Some(at) => format!("  last call {}", date(at.0)),
        None => "  no call yet".into(),
    };
    if contact.verified {
        text += ", verified";
    }
    if contact.blocked {
        text += ", BLOCKED";
    } else if !contact.callable {
        text += ", a new ticket is needed to call";
    }
    text
}

fn object(contact: &ContactInfo) -> Value {
    json!({
        "name": contact.name,
        "fingerprint": contact.fingerprint.to_string(),
        "verified": contact.verified,
        "since": contact.since.0,
        "last_call": contact.last_call.map(|at| at.0),
        "callable": contact.callable,
        "blocked": contact.blocked,
    })
}
