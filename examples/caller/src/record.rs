//! Recording on a thread of its own.
//!
//! Guarantee: nothing here ever makes the call wait. What the disk is too slow for is dropped and counted (sound is
//! replaced by silence, so that sample n stays n/48000 s after sample 0); each file is whole between any two seconds.

mod writer;

use crate::clock::Clock;
use crate::exit::{Exit, Failure};
use crate::output::{self, Output};
use kring::TrackInfo;
use kring::codec::Picture;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;
use writer::Writer;

/// Messages that may wait for the disk; some 20 s of a call.
const QUEUE: usize = 4096;
/// Bytes of pictures that may wait for the disk.
const PICTURE_BYTES: usize = 64 << 20;
/// Written pictures that are kept to be used again.
const SPARE: usize = 8;

/// What goes to the disk.
enum Message {
    Line(Value),
    Sound {
        /// Samples of silence before it, in place of blocks that were dropped.
        silence: u64,
        block: Vec<f32>,
    },
    /// The size and rate that all pictures are written in.
    Full(Size),
    Picture {
        picture: Picture,
        at: Instant,
    },
    End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Size {
    width: u32,
    height: u32,
    frames_per_second: f32,
}

/// What the call's threads and the writer share.
#[derive(Default)]
struct Counts {
    /// Bytes of pictures on their way.
    waiting: AtomicUsize,
    dropped_pictures: AtomicU64,
    dropped_samples: AtomicU64,
    dropped_lines: AtomicU64,
}

/// A running recording of one call.
pub(crate) struct Recorder {
    tape: Tape,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Makes the folder and its files, in place of those of an earlier recording.
    ///
    /// # Errors
    /// If one of them cannot be written.
    pub(crate) fn open(folder: &Path, clock: Clock, output: Arc<Output>) -> Result<Recorder, Failure> {
        let counts = Arc::new(Counts::default());
        let writer = Writer::open(folder, clock, output, counts.clone()).map_err(|error| {
            Failure::new(Exit::Write, format!("cannot record in {}: {error}", folder.display()))
        })?;
        let (queue, messages) = sync_channel(QUEUE);
        let (spare, spares) = sync_channel(SPARE);
        let thread = std::thread::Builder::new().name("kring-record".into());
        let thread = thread.spawn(move || writer.run(&messages, &spare)).map_err(|error| {
            Failure::new(
                Exit::Write,
                format!("cannot record: the system gives no thread ({error}); close other programs"),
            )
        })?;
        let spares = Arc::new(std::sync::Mutex::new(spares));
        Ok(Recorder { tape: Tape { clock, queue, spares, counts }, thread })
    }

    /// Where sources, sinks and events write to.
    pub(crate) fn tape(&self) -> Tape {
        self.tape.clone()
    }

    /// Waits until all is on the disk.
    pub(crate) async fn finish(self) {
        let done = tokio::task::spawn_blocking(move || {
            // May wait for room: nothing may be lost now, and there is nothing left to hold up.
            let _ = self.tape.queue.send(Message::End);
            let _ = self.thread.join();
        });
        let _ = done.await;
    }
}

/// The way to a recording; clones lead to the same one.
#[derive(Clone)]
pub(crate) struct Tape {
    clock: Clock,
    queue: SyncSender<Message>,
    /// Buffers of pictures that were written.
    spares: Arc<std::sync::Mutex<Receiver<Picture>>>,
    counts: Arc<Counts>,
}

impl Tape {
    /// Writes a line to the log.
    pub(crate) fn line(&self, ev: &str, at: Instant, fields: Value) {
        let line = output::line(&self.clock, ev, at, fields);
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.counts.dropped_lines.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps a block that is played; `missing` counts the samples that were dropped before it.
    pub(crate) fn sound(&self, block: &[f32], missing: &mut u64) {
        let message = Message::Sound { silence: *missing, block: block.to_vec() };
        match self.queue.try_send(message) {
            Ok(()) => *missing = 0,
            Err(_) => {
                *missing += block.len() as u64;
                self.counts.dropped_samples.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        }
    }

    /// Tells the size of the pictures to come.
    pub(crate) fn full_size(&self, tracks: &[TrackInfo]) {
        let size = tracks.iter().find_map(|track| {
            let (width, height) = track.size?;
            let rate = if track.frame_rate_milli == 0 { 30_000 } else { track.frame_rate_milli };
            Some(Size { width: width.into(), height: height.into(), frames_per_second: rate as f32 / 1000.0 })
        });
        if let Some(size) = size {
            let _ = self.queue.try_send(Message::Full(size));
        }
    }

    /// Keeps a picture that is shown.
    pub(crate) fn picture(&self, picture: &Picture, at: Instant) {
        let bytes = picture.as_bytes().len();
        let dropped = || self.counts.dropped_pictures.fetch_add(1, Ordering::Relaxed);
        if self.counts.waiting.load(Ordering::Relaxed) + bytes > PICTURE_BYTES {
            dropped();
            return;
        }
        let spare = self.spares.lock().ok().and_then(|spares| spares.try_recv().ok());
        let copy = match spare {
            Some(mut spare) => {
                spare.copy_from(picture);
                spare
            }
            None => picture.clone(),
        };
        self.counts.waiting.fetch_add(bytes, Ordering::Relaxed);
        match self.queue.try_send(Message::Picture { picture: copy, at }) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.counts.waiting.fetch_sub(bytes, Ordering::Relaxed);
                dropped();
            }
        }
    }
}
