//! Consent to capture. Capture starts only from a [`Consent`], and only local code makes one: `kring-core`,
//! which reads what the network sends, does not depend on this crate and so cannot name the type.

use std::fmt;

/// What a device takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Sound of the room.
    Microphone,
    /// Pictures of the room.
    Camera,
    /// What the screen or a window shows.
    Screen,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Microphone => "microphone",
            Self::Camera => "camera",
            Self::Screen => "screen",
        })
    }
}

/// A person's leave to capture, given for one call.
///
/// It cannot be cloned, read from a message or had by default: it is made where the person said so.
///
/// ```
/// use kring_capture::{Consent, Kind};
/// let consent = Consent::to([Kind::Microphone]);
/// assert!(consent.covers(Kind::Microphone) && !consent.covers(Kind::Camera));
/// ```
///
/// ```compile_fail
/// let consent = kring_capture::Consent::to([kring_capture::Kind::Microphone]);
/// let another = consent.clone();
/// ```
#[derive(Debug)]
#[must_use = "consent does nothing until a source is started with it"]
pub struct Consent {
    microphone: bool,
    camera: bool,
    screen: bool,
}

impl Consent {
    /// Consent to these kinds and no others.
    pub fn to(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let mut consent = Self { microphone: false, camera: false, screen: false };
        for kind in kinds {
            *consent.flag(kind) = true;
        }
        consent
    }

    /// Consent to no device; enough for files and synthetic sources.
    pub fn to_nothing() -> Self {
        Self::to([])
    }

    /// Whether this kind may be captured.
    #[must_use]
    pub fn covers(&self, kind: Kind) -> bool {
        match kind {
            Kind::Microphone => self.microphone,
            Kind::Camera => self.camera,
            Kind::Screen => self.screen,
        }
    }

    fn flag(&mut self, kind: Kind) -> &mut bool {
        match kind {
            Kind::Microphone => &mut self.microphone,
            Kind::Camera => &mut self.camera,
            Kind::Screen => &mut self.screen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consent_covers_only_what_was_named() {
        let consent = Consent::to([Kind::Microphone, Kind::Screen]);
        assert!(consent.covers(Kind::Microphone) && consent.covers(Kind::Screen));
        assert!(!consent.covers(Kind::Camera));
        assert!(!Consent::to_nothing().covers(Kind::Microphone));
    }
}
