//! What both commands have in common: clock, output, and what ends them.

use crate::args::Common;
use crate::clock::Clock;
use crate::exit::Failure;
use crate::home;
use crate::output::Output;
use crate::record::Recorder;
use crate::stats::StatsFile;
use crate::stop::Stopper;
use kring::{Endpoint, TrackInfo, TrackSource};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

pub(crate) struct App {
    pub(crate) clock: Clock,
    pub(crate) output: Arc<Output>,
    pub(crate) stopper: Stopper,
    pub(crate) stats: Option<StatsFile>,
    pub(crate) common: Common,
    saving: Option<JoinHandle<Result<(), Failure>>>,
}

impl App {
    /// Opens the statistics file, and says so if nothing is sent.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn new(
        clock: Clock,
        output: Arc<Output>,
        stopper: Stopper,
        common: Common,
    ) -> Result<App, Failure> {
        let stats = common.stats.as_deref().map(StatsFile::create).transpose()?;
        if common.mic == crate::args::Microphone::None && common.camera == crate::args::Camera::None {
            output.warn(
                "nothing is sent, as neither --mic nor --camera is given; see --help for what they take",
            );
        }
        Ok(App { clock, output, stopper, stats, common, saving: None })
    }

    /// Begins a recording, if one is wanted.
    pub(crate) fn recorder(&self, folder: Option<&Path>) -> Result<Option<Recorder>, Failure> {
        folder.map(|folder| Recorder::open(folder, self.clock, self.output.clone())).transpose()
    }

    /// Loads the identity and binds the socket. A new identity is saved meanwhile; [`kept`](App::kept) waits for that.
    pub(crate) fn endpoint(&mut self, contacts_only: bool, lobby: bool) -> Result<Endpoint, Failure> {
        let loaded = home::identity(self.common.home.home.clone())?;
        if loaded.new {
            let (path, fingerprint) =
                (loaded.path.display().to_string(), loaded.identity.fingerprint().to_string());
            let output = self.output.clone();
            self.saving = Some(std::thread::spawn(move || {
                loaded.saving.map_or(Ok(()), home::kept)?;
                let text = format!("new identity {fingerprint}, kept in {path}");
                output.event("new-identity", json!({"fingerprint": fingerprint, "path": path}), &text);
                Ok(())
            }));
        }
        let lists = home::open(self.common.home.home.clone())?;
        let builder = Endpoint::builder().identity(loaded.identity).bind(self.common.bind);
        let builder = builder.home(lists).contacts_only(contacts_only).lobby(lobby);
        let builder = builder.relay_only(self.common.relay_only);
        let builder = match self.common.relay.clone() {
            Some(relay) => builder.relay(relay),
            None => builder,
        };
        #[cfg(feature = "port-mapping")]
        let builder = builder.port_mapping(self.common.map_port);
        #[cfg(feature = "lan")]
        let builder = builder.lan(self.common.lan);
        #[cfg(feature = "dht")]
        let builder = match self.common.dht_node.clone() {
            nodes if nodes.is_empty() => builder.dht(self.common.dht),
            nodes => builder.dht(self.common.dht).dht_nodes(nodes),
        };
        let endpoint = builder.build();
        endpoint.map_err(|error| Failure::new(crate::exit::Exit::Bind, error))
    }

    /// Waits until a new identity is safe on the disk.
    pub(crate) fn kept(&mut self) -> Result<(), Failure> {
        self.saving
            .take()
            .map_or(Ok(()), |thread| thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
    }
}

/// Where somebody is, in words.
pub(crate) fn place(address: std::net::SocketAddr) -> String {
    if kring::is_relayed(&address) { "a relay".into() } else { address.to_string() }
}

/// Somebody's tracks in words.
pub(crate) fn tracks_text(tracks: &[TrackInfo]) -> String {
    let one = |track: &TrackInfo| {
        let source = source_name(track.source);
        track.size.map_or(source.to_owned(), |(w, h)| format!("{source} {w}x{h}"))
    };
    match tracks {
        [] => "nothing".into(),
        tracks => tracks.iter().map(one).collect::<Vec<_>>().join(", "),
    }
}

/// Somebody's tracks as JSON.
pub(crate) fn tracks_json(tracks: &[TrackInfo]) -> Value {
    let one = |track: &TrackInfo| {
        let (width, height) = track.size.unzip();
        json!({"source": source_name(track.source), "codec": track.codec, "w": width, "h": height})
    };
    tracks.iter().map(one).collect()
}

fn source_name(source: TrackSource) -> &'static str {
    match source {
        TrackSource::Microphone => "microphone",
        TrackSource::Camera => "camera",
        TrackSource::Screen => "screen",
        _ => "something",
    }
}
