//! A call as a dishonest program would use it; for `kring-fuzz` and `kring-conform`.
#![allow(missing_docs)]

use super::report::decode;
use super::{Call, Report};
use crate::fuzzing::raw::ReportRead;
use crate::media::{Datagram, FrameHeader};

impl Call {
    /// Seals any bytes as a control message; `secret` rekeys afterwards, as after a sender key.
    #[doc(hidden)]
    pub fn hostile_control(&mut self, plaintext: &[u8], secret: bool) -> bool {
        self.line.channel.seal(plaintext, secret, &mut self.to_stream).is_ok()
    }

    /// Seals any bytes as a frame, in whatever phase.
    #[doc(hidden)]
    pub fn hostile_frame(&mut self, track: u8, header: &FrameHeader, plaintext: &[u8]) -> Vec<Datagram> {
        self.seal(track, header, None, plaintext).unwrap_or_default()
    }

    /// Bytes that the call holds because of its peer, and pictures that wait to be sent.
    #[doc(hidden)]
    #[must_use]
    pub fn held(&self) -> usize {
        self.inbox.held() + self.line.reader.held() + self.pictures.held()
    }
}

impl Report {
    /// All that the report in `bytes` says.
    pub(crate) fn read(bytes: &[u8]) -> Option<ReportRead> {
        let told = decode(bytes).ok()?;
        let pictures = told.pictures.iter().map(|p| (p.track, p.decoded, p.lost)).collect();
        Some(ReportRead { counts: told.counts, arrivals: told.arrivals, pictures })
    }

    /// The report in `bytes`, its counts encoded again, if it has them all.
    #[doc(hidden)]
    #[must_use]
    pub fn recoded(bytes: &[u8]) -> Option<Vec<u8>> {
        let told = decode(bytes).ok()?;
        let mut out = Vec::new();
        told.pictures.iter().for_each(|state| state.encode(&mut out));
        told.counts?.encode(&mut out);
        Some(out)
    }
}
