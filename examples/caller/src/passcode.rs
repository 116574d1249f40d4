//! Passcodes in: from a file or the environment, where secrets belong, or typed unseen.

use crate::exit::{Exit, Failure};
use kring::Passcode;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// More is no passcode, in bytes.
const MOST: u64 = 4096;
const VARIABLE: &str = "KRING_PASSCODE";

/// The passcode in `file`, else in the environment, if there is one.
pub(crate) fn read(file: Option<&Path>) -> Result<Option<Passcode>, Failure> {
    let text = match file {
        Some(path) => {
            let mut text = Zeroizing::new(String::with_capacity(MOST as usize));
            let read = File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
            read.map_err(|error| {
                let message =
                    format!("expected a passcode in {}, got \"{error}\"; check the file", path.display());
                Failure::new(Exit::Usage, message)
            })?;
            text
        }
        None => match std::env::var(VARIABLE) {
            Ok(text) if !text.is_empty() => Zeroizing::new(text),
            _ => return Ok(None),
        },
    };
    Passcode::new(&text).map(Some).map_err(|error| Failure::new(Exit::Usage, error))
}

/// A passcode as it is typed.
#[derive(Default)]
pub(crate) struct Typed(Zeroizing<String>);

impl Typed {
    pub(crate) fn push(&mut self, c: char) {
        // Reserved in full, so that growing leaves no copy behind.
        self.0.reserve_exact(MOST as usize);
        if (self.0.len() as u64) < MOST / 2 {
            self.0.push(c);
        }
    }

    pub(crate) fn backspace(&mut self) {
        self.0.pop();
    }

    /// What was typed, if it is a passcode; else what is wrong with it, and typing begins again.
    pub(crate) fn take(&mut self) -> Result<Passcode, String> {
        let typed = std::mem::take(&mut self.0);
        Passcode::new(&typed).map_err(|error| error.to_string())
    }
}
