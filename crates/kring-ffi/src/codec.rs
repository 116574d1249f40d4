//! What codecs of the program's own have in common: names that last, and what their functions said.

use crate::error::{Failure, KRING_ERROR_STATE};
use kring::codec::{DecodeError, EncodeError};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// How many names a process may bring: they last as long as it does.
const MOST: usize = 64;

static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// The same name for as long as the process lasts.
pub(crate) fn lasting(name: &str) -> Result<&'static str, Failure> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > 16 || !name.chars().all(fine) {
        return Err(Failure::argument(format!(
            "expected a codec's name of 1 to 16 of a-z, 0-9 and -, got {name:?}"
        )));
    }
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return Ok(known);
    }
    if names.len() == MOST {
        return Err(Failure::new(
            KRING_ERROR_STATE,
            format!("expected at most {MOST} names of codecs in a process"),
        ));
    }
    let name: &'static str = Box::leak(name.into());
    names.insert(name);
    Ok(name)
}

pub(crate) fn encode_error(codec: &'static str, operation: &'static str, code: i32) -> EncodeError {
    EncodeError::Codec { codec, operation, code: code.into() }
}

pub(crate) fn decode_error(codec: &'static str, operation: &'static str, code: i32) -> DecodeError {
    DecodeError::Codec { codec, operation, code: code.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_has_to_be_one() {
        let first = lasting(&String::from("raw-1")).expect("a name");
        assert!(std::ptr::eq(first, lasting("raw-1").expect("a name")));
        for wrong in ["", "Raw", "raw 1", "a-name-that-is-too-long"] {
            assert!(lasting(wrong).is_err(), "{wrong:?}");
        }
    }
}
