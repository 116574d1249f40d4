//! `kring tickets`: what was given out and still holds, and taking it back.

use crate::args::Home;
use crate::exit::{Exit, Failure};
use crate::home::{self, date};
use clap::{Args, Subcommand};
use kring::{TicketId, TicketInfo};
use serde_json::json;

#[derive(Args, Debug)]
pub(crate) struct Tickets {
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
    /// Let nobody through with that ticket any more, from now on; calls under way go on.
    Revoke {
        /// Its id, as the list shows it; or `all`
        id: String,
        #[command(flatten)]
        home: Home,
    },
}

pub(crate) fn run(tickets: Tickets) -> Result<Exit, Failure> {
    if let Some(Command::Revoke { id, home }) = tickets.command {
        return revoke(&home::open(home.home.or(tickets.home.home))?, &id);
    }
    let all = home::open(tickets.home.home)?.tickets();
    if tickets.json {
        let one = |t: &TicketInfo| json!({"id": t.id.to_string(), "issued": t.issued.0, "expires": t.expires.0, "one_use": t.one_use});
        println!("{}", json!({"tickets": all.iter().map(one).collect::<Vec<_>>()}));
        return Ok(Exit::Done);
    }
    if all.is_empty() {
        println!("no ticket holds; `kring answer` gives one out");
    }
    for ticket in all {
        let once = if ticket.one_use { ", for one call" } else { "" };
        println!("{}  issued {}, ends {}{once}", ticket.id, date(ticket.issued.0), date(ticket.expires.0));
    }
    Ok(Exit::Done)
}

fn revoke(home: &kring::Home, id: &str) -> Result<Exit, Failure> {
    let ids: Vec<TicketId> = match id {
        "all" => home.tickets().iter().map(|t| t.id).collect(),
        id => vec![id.parse().map_err(|error| Failure::new(Exit::Usage, error))?],
    };
    for id in ids {
        if !home.revoke(id).map_err(home::failed_list)? {
            let message = format!("no ticket {id} holds; see `kring tickets`");
            return Err(Failure::new(Exit::TicketDamaged, message));
        }
        println!("{id} is revoked");
    }
    Ok(Exit::Done)
}
