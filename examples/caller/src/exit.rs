//! How the program ends: one code for each kind of trouble, stable between versions.

use kring::{End, EndedBy};
use std::fmt;

/// Exit codes. The help text and the README hold the same table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    Usage = 2,
    TicketDamaged = 10,
    TicketExpired = 11,
    Unreachable = 12,
    Refused = 13,
    Declined = 14,
    Busy = 15,
    NotAnswered = 16,
    Contact = 17,
    NotAdmitted = 18,
    MediaFile = 20,
    Identity = 21,
    Bind = 22,
    Lost = 23,
    Handshake = 24,
    Write = 25,
    Device = 26,
    Interrupted = 130,
    Terminated = 143,
}

/// All codes and what they mean.
pub(crate) const CODES: &[(Exit, &str)] = &[
    (Exit::Done, "done: the call took place, or the waiting is over"),
    (Exit::Usage, "the command line is not understood"),
    (Exit::TicketDamaged, "the ticket is damaged or none"),
    (Exit::TicketExpired, "the ticket has expired"),
    (Exit::Unreachable, "nobody answers at the known addresses"),
    (Exit::Refused, "the other side accepts neither the ticket nor the contact"),
    (Exit::Declined, "the call was declined"),
    (Exit::Busy, "the other side is in another call"),
    (Exit::NotAnswered, "nobody answered in time"),
    (Exit::Contact, "there is no such contact, the name is taken, or they are blocked or cannot be called"),
    (Exit::NotAdmitted, "not let in: the passcode, or who lets in, said no"),
    (Exit::MediaFile, "a media file is missing, unreadable or of the wrong kind"),
    (Exit::Identity, "the file of the identity, tickets or contacts is damaged or cannot be used"),
    (Exit::Bind, "the address or port cannot be had"),
    (Exit::Lost, "the call was lost"),
    (Exit::Handshake, "the handshake failed, the clocks differ, or nothing is in common"),
    (Exit::Write, "a recording, ticket or statistics file cannot be written"),
    (Exit::Device, "a microphone, speaker or camera cannot be had"),
    (Exit::Interrupted, "ended by Ctrl-C before a call was answered"),
    (Exit::Terminated, "ended by SIGTERM before a call was answered"),
];

/// The table for `--help`.
pub(crate) fn table() -> String {
    let lines = CODES.iter().map(|(code, text)| format!("  {:>3}  {text}", *code as u8));
    format!("Exit codes:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Why the program cannot go on: a sentence, and the code it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Exit,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(code: Exit, message: impl fmt::Display) -> Failure {
        Failure { code, message: message.to_string() }
    }
}

/// The code for the end of a call that this side dialled.
pub(crate) fn of_call(end: &End, answered: bool) -> Exit {
    match end {
        End::HungUp { .. } | End::GoingAway { .. } if answered => Exit::Done,
        End::HungUp { by: EndedBy::Peer } | End::Declined { .. } => Exit::Declined,
        End::HungUp { .. } | End::GoingAway { .. } | End::NotAnswered => Exit::NotAnswered,
        End::Busy => Exit::Busy,
        End::NotAdmitted => Exit::NotAdmitted,
        End::Unreachable(_) => Exit::Unreachable,
        End::Refused => Exit::Refused,
        End::Vanished | End::BothDialled => Exit::Lost,
        _ => Exit::Handshake,
    }
}

/// A word for the end of a call, for programs that read the events.
pub(crate) fn reason(end: &End) -> &'static str {
    match end {
        End::HungUp { .. } => "hung-up",
        End::Declined { .. } => "declined",
        End::Busy => "busy",
        End::NotAnswered => "not-answered",
        End::NotAdmitted => "not-admitted",
        End::GoingAway { .. } => "going-away",
        End::Vanished => "vanished",
        End::BothDialled => "both-dialled",
        End::Unreachable(_) => "unreachable",
        End::Refused => "refused",
        End::ClockOff => "clock-off",
        End::NothingInCommon => "nothing-in-common",
        End::Handshake(_) => "handshake",
        End::ProtocolError { .. } => "protocol-error",
        _ => "other",
    }
}

/// Who ended it, where that is known.
pub(crate) fn ended_by(end: &End) -> Option<&'static str> {
    match end {
        End::HungUp { by } | End::Declined { by } | End::GoingAway { by } | End::ProtocolError { by } => {
            Some(match by {
                EndedBy::Local => "local",
                EndedBy::Peer => "peer",
                EndedBy::Network => "network",
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_up_is_success_only_after_the_answer() {
        let end = End::HungUp { by: EndedBy::Peer };
        assert_eq!(of_call(&end, true), Exit::Done);
        assert_eq!(of_call(&end, false), Exit::Declined);
        assert_eq!(of_call(&End::GoingAway { by: EndedBy::Local }, false), Exit::NotAnswered);
        assert_eq!(of_call(&End::Vanished, true), Exit::Lost);
    }

    #[test]
    fn the_manual_lists_every_code_with_the_same_words() {
        let manual = include_str!("../README.md");
        for (code, text) in CODES {
            let row = format!("| {} | {text} |", *code as u8);
            assert!(manual.contains(&row), "README.md lacks {row:?}");
        }
    }
}
