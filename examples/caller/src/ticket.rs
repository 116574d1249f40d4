//! Tickets in and out: read from where secrets belong, written whole and for their owner only.

use crate::exit::{Exit, Failure};
use kring::{Ticket, TicketError};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// More is no ticket, in bytes.
const MOST: u64 = 64 * 1024;

/// Reads the ticket that `argument` names and checks that it still holds.
pub(crate) fn read(argument: Option<&str>) -> Result<Ticket, Failure> {
    let text = match argument {
        Some("-") => take(io::stdin().lock(), "standard input")?,
        Some(text) => match text.strip_prefix('@') {
            Some(path) => take(File::open(path).map_err(|e| unreadable(path, &e))?, path)?,
            None => text.to_owned(),
        },
        None => std::env::var("KRING_TICKET").map_err(|_| {
            let message =
                "expected a ticket: give it as argument, as @FILE, as - (standard input), or in KRING_TICKET";
            Failure::new(Exit::Usage, message)
        })?,
    };
    parse(&text)
}

fn parse(text: &str) -> Result<Ticket, Failure> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let failed = |error: TicketError| match error {
        TicketError::Expired { .. } => Failure::new(Exit::TicketExpired, error),
        _ => Failure::new(Exit::TicketDamaged, error),
    };
    let ticket: Ticket = text.parse().map_err(failed)?;
    if ticket.expires().0 <= seconds {
        let hours = (seconds - ticket.expires().0) / 3600;
        return Err(failed(TicketError::Expired { hours }));
    }
    Ok(ticket)
}

fn take(input: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    input.take(MOST).read_to_string(&mut text).map_err(|e| unreadable(name, &e))?;
    Ok(text)
}

fn unreadable(name: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::TicketDamaged, format!("expected a ticket in {name}, got \"{error}\"; check the file"))
}

/// A ticket file in the making: that it can be written is known before there is a ticket.
pub(crate) struct TicketFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl TicketFile {
    pub(crate) fn prepare(path: &Path) -> Result<TicketFile, Failure> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Made with mode 0600.
        match NamedTempFile::new_in(folder) {
            Ok(file) if !path.is_dir() => Ok(TicketFile { path: path.to_owned(), file }),
            Ok(_) => Err(unwritable(path, &io::ErrorKind::IsADirectory.into())),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    pub(crate) fn write(mut self, ticket: &Ticket) -> Result<(), Failure> {
        let written = writeln!(self.file, "{ticket}");
        written.map_err(|e| unwritable(&self.path, &e))?;
        self.file.persist(&self.path).map(drop).map_err(|e| unwritable(&self.path, &e.error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let message = format!(
        "expected to write the ticket to {}, got \"{error}\"; choose another --ticket-file",
        path.display()
    );
    Failure::new(Exit::Write, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_ticket_has_the_code_for_it() {
        for text in ["", "hello", "kring1", "kring1aaaa", "kring2aaaa"] {
            assert_eq!(parse(text).unwrap_err().code, Exit::TicketDamaged, "{text}");
        }
        assert_eq!(read(Some("@/no/such/file")).unwrap_err().code, Exit::TicketDamaged);
    }
}
