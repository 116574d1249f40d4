//! Media: from a sealed frame to datagrams, and from datagrams to what a decoder may have next.
//!
//! Data runs one way through the files of this folder, and no file knows its neighbours' state:
//!
//! - [`frame`](FrameHeader): what travels with every frame, in the clear and under its seal;
//! - [`packet`](Packet): datagrams, and a sealed frame cut into them;
//! - [`reassemble`](Reassembler): sealed frames put together again from datagrams;
//! - [`jitter`](JitterBuffer): opened audio packets, played in time.
//!
//! Everything here is bounded whatever arrives, panics on no input and reads no clock.

mod frame;
mod jitter;
mod packet;
mod reassemble;

pub use frame::{
    CAPTURE_BITS, DURATION_UNIT, FrameHeader, FrameHeaderError, FrameInfo, FrameInfoError, MAX_LAYER,
    MediaKind, SILENCE, unwrap_capture,
};
pub use jitter::{
    AudioPacket, JitterBuffer, JitterStats, MAX_AUDIO_PAYLOAD, MAX_HELD_TIME, MAX_PACKETS, Playout,
};
pub use packet::{
    Datagram, Fragment, HOP_HEADER_LEN, HopHeader, MAX_FRAGMENT, MAX_FRAGMENTS, MAX_FRAME, MAX_HEADERS,
    MAX_STREAM, Packet, PacketError, PacketiseError, Packetiser, SendTime, parse, stamp,
};
pub use reassemble::{
    Incomplete, MAX_ASSEMBLY, MAX_HELD, MAX_IN_PROGRESS, MAX_IN_PROGRESS_PER_STREAM, Reassembler,
    ReassemblyCounters, SealedFrame,
};
