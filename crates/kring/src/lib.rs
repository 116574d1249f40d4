//! End-to-end encrypted calls between people's own machines: voice and pictures over QUIC, with a Noise handshake
//! that is post-quantum from the first day. No account, no server in between.
//!
//! A call in ten lines; the other side runs `kring answer`, or the second example:
//!
//! ```no_run
//! use kring::capture::{Consent, TestCard, Tone};
//! use kring::{Endpoint, Media, Ticket};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let ticket: Ticket = std::env::args().nth(1).ok_or("give me a ticket")?.parse()?;
//!     let media = Media::new(Consent::to_nothing()).microphone(Tone::new()).camera(TestCard::new(640, 360, 30.0)?);
//!     let endpoint = Endpoint::builder().build()?;
//!     let call = endpoint.dial(&ticket, media);
//!     println!("talking, protected by {:?}", call.connected().await?);
//!     println!("{}", call.ended().await);
//!     Ok(())
//! }
//! ```
//!
//! Taking calls:
//!
//! ```no_run
//! use kring::capture::Consent;
//! use kring::{DEFAULT_LIFETIME, Endpoint, Media};
//!
//! # async fn answer() -> Result<(), Box<dyn std::error::Error>> {
//! let (identity, _new) = kring::store::load_or_create("kring/identity".as_ref())?;
//! let endpoint = Endpoint::builder().identity(identity).bind("0.0.0.0:4433".parse()?).build()?;
//! println!("send this to whoever may call you: {}", endpoint.ticket(DEFAULT_LIFETIME)?);
//! while let Some(incoming) = endpoint.incoming().await {
//!     println!("{} calls", incoming.peer().fingerprint());
//!     let call = incoming.answer(Media::new(Consent::to_nothing()));
//!     while let Some(event) = call.next_event().await {
//!         println!("{event:?}");
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With a [`Home`] tickets outlive the program, and the other side of a call can be [kept](Endpoint::keep) as a contact, to be
//! [called again](Endpoint::dial_contact) without a ticket:
//!
//! ```no_run
//! # use kring::capture::Consent;
//! # use kring::{Endpoint, Home, Media};
//! # async fn again() -> Result<(), Box<dyn std::error::Error>> {
//! let (identity, _new) = kring::store::load_or_create("kring/identity".as_ref())?;
//! let endpoint = Endpoint::builder().identity(identity).home(Home::in_folder("kring")?).build()?;
//! let call = endpoint.dial_contact("Ben", Media::new(Consent::to_nothing()))?;
//! call.connected().await?;
//! # Ok(())
//! # }
//! ```
//!
//! Behind a home router, a relay lets others come through; the call goes on directly where a direct way is found
//! ([`Event::Path`] tells), and either side may change networks meanwhile:
//!
//! ```no_run
//! # async fn relayed() -> Result<(), Box<dyn std::error::Error>> {
//! let endpoint = kring::Endpoint::builder().relay("relay.example:443".parse()?).build()?;
//! endpoint.relay_reached().await?;
//! println!("{}", endpoint.ticket(kring::DEFAULT_LIFETIME)?);
//! # Ok(())
//! # }
//! ```
//!
//! An app brings its own microphone, speaker, camera or view by the traits in [`capture`], and its own encoder or
//! decoder by those in [`codec`]. A source that opens a device needs a [`Consent`](capture::Consent), which only local
//! code makes; it starts once the call is answered and closes when the call ends.
//!
//! Who is on the other side is proven by its key, but whose key that is only people can find out: by reading each other the
//! call's [`Code`] ([`Event::Code`]), or by comparing their [`SafetyNumber`]. What is known is a type: a [`Peer<Unverified>`] has
//! media, a [`Peer<KeyChanged>`] none until a person accepts it ([`Call::who`]).
//!
//! Everything here runs on tokio, and on threads of its own for media. Futures may be dropped at any point;
//! dropping a [`Call`] hangs up.
//!
//! What is promised of this API stands in docs/stability.md, recipes in docs/cookbook.md.
//!
//! # Features
//!
//! `opus` and `h264` are on by default; without them an app brings its codecs. So are `audio-io`, which gives
//! `capture::Microphone` and `capture::Speaker`, and `camera`, which gives `capture::Camera`; without them an app
//! brings its devices by the traits. `os-key-store`, off by default, seals what [`store::best`] keeps with a key of the system's
//! key store. `port-mapping` and `lan`, on by default, and `dht`, off by default, are further ways to find each other, and each has to be
//! switched on at the builder as well. `default-features = false` is the protocol alone.
#![forbid(unsafe_code)]

mod call;
mod clock;
mod dial;
mod driver;
mod endpoint;
mod engine;
mod event;
mod find;
mod home;
mod media;
mod peer;
mod people;
mod reach;
mod shared;
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation;
mod standing;
mod stats;
pub mod store;
mod switch;

pub use call::Call;
pub use endpoint::{Endpoint, EndpointBuilder, Incoming, Knock, RelayError};
pub use event::{End, Event, Safety};
pub use find::Finds;
pub use home::{ContactInfo, Home, HomeError, TicketInfo};
pub use kring_core::KeptError;
pub use kring_core::call::{EndedBy, Timeouts};
pub use kring_core::contact::{ContactError, ContactKeyId, check_name as check_contact_name};
pub use kring_core::crypto::CryptoError;
pub use kring_core::handshake::{Counters, HandshakeError, Pass};
pub use kring_core::identity::{Fingerprint, FingerprintError, Identity, IdentityError, PublicIdentity};
pub use kring_core::offer::{TrackInfo, TrackSource, TrackState};
pub use kring_core::passcode::{Passcode, PasscodeError};
pub use kring_core::ticket::{DEFAULT_LIFETIME, Ticket, TicketError, TicketId, TicketIdError};
pub use kring_core::time::WallTime;
pub use kring_core::verify::{
    Code, CodeFailure, Emoji, Pin, SafetyMismatch, SafetyNumber, SafetyScan, ScanError,
};
pub use kring_net::BindError;
#[cfg(feature = "port-mapping")]
pub use kring_net::mapping::MappingError;
pub use kring_net::path::is_name as is_relayed;
pub use kring_net::relay::{AddressError as RelayAddressError, RelayAddress};
pub use media::{CAMERA, MICROPHONE, Media};
pub use peer::{KeyChanged, Peer, Unverified, Verified, Who};
pub use reach::Path;
pub use stats::{AudioStats, QualityLimitationReason, RemoteStats, Stats, TransportStats, VideoStats};
pub use switch::SwitchError;

/// Sources and sinks: files, tone, test card, and the traits for an app's own.
pub use kring_capture as capture;
/// Codecs, and the traits for an app's own.
pub use kring_codec as codec;

/// Begins to collect the randomness of this process's first key, on a thread of its own. Where aws-lc measures the CPU's
/// jitter for it (unless built with `AWS_LC_SYS_NO_JITTER_ENTROPY=1`) that takes some 30 ms once; an app that calls this
/// when it starts dials that much quicker. Without it all works the same.
pub fn prepare() {
    let collect = || {
        let _ = kring_core::crypto::default_provider().random(&mut [0; 32]);
    };
    // Without a thread the first key collects it.
    let _ = std::thread::Builder::new().name("kring-prepare".into()).spawn(collect);
}
