//! Where the identity, tickets and contacts are kept. An identity that is there is never replaced.

use crate::exit::{Exit, Failure};
use kring::store::{Saving, StoreError};
use kring::{Home, HomeError, Identity};
use std::env;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// The folder for this program's data: what the command line names, else the environment, else the system's place.
pub(crate) fn folder(named: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let set = |name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let system = || {
        if cfg!(target_os = "macos") {
            set("HOME").map(|home| home.join("Library/Application Support/kring"))
        } else if cfg!(windows) {
            set("APPDATA").map(|data| data.join("kring"))
        } else {
            // The XDG base directory specification has relative paths ignored.
            let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
            data.or_else(|| set("HOME").map(|home| home.join(".local/share"))).map(|data| data.join("kring"))
        }
    };
    named.or_else(|| set("KRING_HOME")).or_else(system).ok_or_else(|| {
        let message =
            "expected a folder for the identity, and the environment names none; give one with --home";
        Failure::new(Exit::Usage, message)
    })
}

/// The identity and where it is kept, or will be.
pub(crate) struct Loaded {
    pub(crate) identity: Identity,
    pub(crate) path: PathBuf,
    /// Whether it was made just now.
    pub(crate) new: bool,
    /// If it is on its way to the disk.
    pub(crate) saving: Option<Saving>,
}

/// Loads the identity, or makes it in the first run.
#[cfg(not(feature = "os-key-store"))]
pub(crate) fn identity(named: Option<PathBuf>) -> Result<Loaded, Failure> {
    let path = folder(named)?.join("identity");
    let (identity, saving) = kring::store::open(&path).map_err(failed)?;
    Ok(Loaded { identity, path, new: saving.is_some(), saving })
}

/// Loads the identity, or makes it in the first run.
#[cfg(feature = "os-key-store")]
pub(crate) fn identity(named: Option<PathBuf>) -> Result<Loaded, Failure> {
    let path = folder(named)?.join("identity");
    let store = kring::store::best(path.with_file_name("")).map_err(failed)?;
    let (identity, new) = kring::store::load_or_create_in(&*store).map_err(failed)?;
    Ok(Loaded { identity, path, new, saving: None })
}

/// Opens the lists of tickets and contacts.
pub(crate) fn open(named: Option<PathBuf>) -> Result<Home, Failure> {
    let folder = folder(named)?;
    #[cfg(feature = "os-key-store")]
    let home = Home::open(kring::store::best(folder).map_err(|error| failed_list(error.into()))?);
    #[cfg(not(feature = "os-key-store"))]
    let home = Home::in_folder(folder);
    home.map_err(failed_list)
}

/// What went wrong with a list.
pub(crate) fn failed_list(error: HomeError) -> Failure {
    Failure::new(Exit::Identity, error)
}

/// Waits until a new identity is safe on the disk.
pub(crate) fn kept(saving: Saving) -> Result<(), Failure> {
    saving.wait().map_err(failed)
}

fn failed(error: StoreError) -> Failure {
    Failure::new(Exit::Identity, format!("no identity, so no call: {error}"))
}

/// Shows the identity; makes it if there is none.
pub(crate) fn show(named: Option<PathBuf>) -> Result<Exit, Failure> {
    let Loaded { identity, path, new, saving } = identity(named)?;
    saving.map_or(Ok(()), kept)?;
    println!("fingerprint {}", identity.fingerprint());
    println!("kept in     {}", path.display());
    let written = std::fs::metadata(&path).and_then(|about| about.modified());
    if let Ok(since) = written.map(|at| at.duration_since(UNIX_EPOCH).unwrap_or_default()) {
        println!("written     {}{}", date(since.as_secs()), if new { ", just now" } else { "" });
    }
    Ok(Exit::Done)
}

/// Seconds since 1970 as a date and time, UTC.
pub(crate) fn date(seconds: u64) -> String {
    let (mut days, in_day) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02} {:02}:{:02} UTC", days + 1, in_day / 3600, in_day / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01 00:00 UTC");
        assert_eq!(date(951_827_640), "2000-02-29 12:34 UTC");
        assert_eq!(date(1_735_689_599), "2024-12-31 23:59 UTC");
    }
}
