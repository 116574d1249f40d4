//! What sources of the program's own have in common, of sound and of pictures: consent, beginning and end, and the time.
//!
//! Guarantee: nothing is started without the consent that it says it needs, and what was started is stopped once.

use crate::audio_source::KRING_PACED;
use crate::callback::UserData;
use crate::error::{Failure, KRING_OK};
use crate::{pace, runtime};
use kring::capture::{Consent, Kind, SourceError};
use std::ffi::c_void;
use std::time::{Duration, Instant};

type Start = Option<unsafe extern "C" fn(*mut c_void) -> i32>;
type Stop = Option<unsafe extern "C" fn(*mut c_void)>;

/// A device by functions, but for its reading.
pub(crate) struct OwnDevice {
    consent: Option<Kind>,
    /// What it is called where it fails.
    kind: Kind,
    paced: bool,
    start: Start,
    stop: Stop,
    data: UserData,
    started: Option<Instant>,
}

impl OwnDevice {
    pub(crate) fn new(
        consent: Option<Kind>,
        kind: Kind,
        flags: u32,
        (start, stop): (Start, Stop),
        data: UserData,
    ) -> Result<OwnDevice, Failure> {
        pace::check_flags(flags)?;
        Ok(OwnDevice { consent, kind, paced: flags & KRING_PACED != 0, start, stop, data, started: None })
    }

    /// What a person has to consent to.
    pub(crate) fn consent(&self) -> Option<Kind> {
        self.consent
    }

    /// Whether the library keeps the time.
    pub(crate) fn is_paced(&self) -> bool {
        self.paced
    }

    /// What its functions are given.
    pub(crate) fn data(&self) -> *mut c_void {
        self.data.pointer()
    }

    /// Opens it, whose material begins `at`.
    pub(crate) fn start(&mut self, consent: &Consent, at: Instant) -> Result<(), SourceError> {
        check_consent(self.consent, consent)?;
        runtime::mark_own_thread();
        if let Some(start) = self.start {
            // SAFETY: the header says so of this function and this pointer.
            match unsafe { start(self.data.pointer()) } {
                KRING_OK => {}
                code => return Err(self.failed("start", code)),
            }
        }
        self.started = Some(at);
        Ok(())
    }

    /// When its material began.
    pub(crate) fn started(&self) -> Result<Instant, SourceError> {
        self.started.ok_or(SourceError::NotStarted)
    }

    /// When what was just read was captured: when it was `due`, or so long ago as its function says.
    pub(crate) fn captured(&self, due: Instant, age_us: u64) -> Instant {
        if self.paced {
            return due;
        }
        let now = Instant::now();
        now.checked_sub(Duration::from_micros(age_us)).unwrap_or(now)
    }

    /// What a function of the program's has said, as a source's error.
    pub(crate) fn failed(&self, what: &str, code: i32) -> SourceError {
        let cause = format!("the program's {what} function gave {code}");
        SourceError::Device { kind: self.kind, cause }
    }

    pub(crate) fn stop(&mut self) {
        if self.started.take().is_some()
            && let Some(stop) = self.stop
        {
            // SAFETY: the header says so of this function and this pointer.
            unsafe { stop(self.data.pointer()) };
        }
    }
}

/// What a device of the program's needs consent to, of what it may need.
pub(crate) fn consent_to(consent: u32, kinds: &[(u32, Kind)]) -> Result<Option<Kind>, Failure> {
    if consent == 0 {
        return Ok(None);
    }
    let found = kinds.iter().find(|(flag, _)| *flag == consent).map(|(_, kind)| Some(*kind));
    found.ok_or_else(|| {
        let flags: Vec<u32> = kinds.iter().map(|(flag, _)| *flag).collect();
        Failure::argument(format!("expected consent to be 0 or one of {flags:?}, got {consent}"))
    })
}

pub(crate) fn check_consent(needed: Option<Kind>, consent: &Consent) -> Result<(), SourceError> {
    needed.filter(|kind| !consent.covers(*kind)).map_or(Ok(()), |kind| Err(SourceError::NoConsent(kind)))
}
