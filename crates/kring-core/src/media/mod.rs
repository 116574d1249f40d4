//! Media: from a sealed frame to datagrams, and from datagrams to what a decoder may have next.
//!
//! Data runs one way through the files of this folder, and no file knows its neighbours' state:
//!
//! - [`frame`](FrameHeader): what travels with every frame, in the clear and under its seal;
//! - [`packet`](Packet): datagrams, and a sealed frame cut into them;
//! - `parity`: parts beyond those of a sealed frame, of which any make up for as many lost ones;
//! - [`reassemble`](Reassembler): sealed frames put together again from datagrams;
//! - [`audio`]: an audio frame with copies of earlier ones, and how many of them the network calls for;
//! - [`jitter`](JitterBuffer): opened audio packets, played in time;
//! - [`video`](VideoBuffer): opened video frames, decodable and in order;
//! - [`cadence`](Cadence): decoded pictures, shown one after the other.
//!
//! Everything here is bounded whatever arrives, panics on no input and reads no clock.
//!
//! ```
//! use kring_core::media::{FrameHeader, Packetiser, Reassembler, parse};
//! use kring_core::time::Time;
//!
//! let (header, sealed) = (FrameHeader { frame_id: 1, ..FrameHeader::default() }, vec![7; 3000]);
//! let mut datagrams = Packetiser::default().packetise(&header, 5, &sealed, 0)?;
//! datagrams.swap(0, 2);
//! let mut reassembler = Reassembler::new();
//! let mut frames = Vec::new();
//! for (sequence, datagram) in (0..).zip(&mut datagrams) {
//!     datagram.stamp(sequence, Time::from_millis(10));
//!     frames.extend(reassembler.push(Time::from_millis(40), &parse(&datagram.bytes)?));
//! }
//! assert_eq!(frames.len(), 1);
//! assert_eq!((frames[0].header, &frames[0].bytes[..]), (header, &sealed[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod audio;
mod cadence;
mod frame;
mod jitter;
mod packet;
mod parity;
mod reassemble;
pub(crate) mod seen;
mod video;

pub use cadence::{Cadence, MAX_BEHIND};
pub use frame::{
    CAPTURE_BITS, DURATION_UNIT, FrameHeader, FrameHeaderError, FrameInfo, FrameInfoError, MAX_LAYER,
    MediaKind, SILENCE, unwrap_capture,
};
pub use jitter::{
    AudioPacket, JitterBuffer, JitterStats, MAX_AUDIO_PAYLOAD, MAX_HELD_TIME, MAX_PACKETS, Pace, Playout,
};
pub use packet::{
    Datagram, Fragment, HOP_HEADER_LEN, HopHeader, MAX_FRAGMENT, MAX_FRAGMENTS, MAX_FRAME, MAX_HEADERS,
    MAX_STREAM, Packet, PacketError, PacketiseError, Packetiser, SendTime, padding, parse, parse_padding,
    stamp,
};
pub use parity::MAX_PROTECTED;
pub use reassemble::{
    Incomplete, MAX_ASSEMBLY, MAX_HELD, MAX_IN_PROGRESS, MAX_IN_PROGRESS_PER_STREAM, Reassembler,
    ReassemblyCounters, SealedFrame,
};
pub use video::{MAX_HOLD, MAX_VIDEO_BYTES, MAX_VIDEO_FRAMES, VideoBuffer, VideoFrame, VideoStats};
