//! What the recording thread does: messages in, files out. Trouble with one file ends that file only.

use super::{Counts, Message, Size};
use crate::clock::Clock;
use crate::output::{self, Output};
use kring::capture::{SinkError, VideoFormat, WavWriter, Y4mWriter};
use kring::codec::Picture;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

/// Pictures that wait for the announced size; then the first one's own is taken.
const MAX_EARLY: usize = 10;
/// The most pixels of an announced size that are believed: the other side must not fill the disk with them.
const MAX_PIXELS: u32 = 3840 * 2160;

pub(super) struct Writer {
    clock: Clock,
    output: Arc<Output>,
    counts: Arc<Counts>,
    log: Option<Lines>,
    sound: Option<WavWriter>,
    pictures: Pictures,
}

/// A file that ends with a whole line after every write, even one that failed.
struct Lines {
    file: File,
    length: u64,
}

impl Lines {
    fn write(&mut self, line: &Value) -> io::Result<()> {
        let line = format!("{line}\n");
        let written = self.file.write_all(line.as_bytes());
        match &written {
            Ok(()) => self.length += line.len() as u64,
            Err(_) => {
                let _ =
                    self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.set_len(self.length));
            }
        }
        written
    }
}

struct Pictures {
    path: PathBuf,
    /// Not even tried any more.
    failed: bool,
    file: Option<Y4mWriter>,
    full: Option<Size>,
    early: Vec<(Picture, Instant)>,
    scaled: Option<Picture>,
}

impl Writer {
    pub(super) fn open(
        folder: &Path,
        clock: Clock,
        output: Arc<Output>,
        counts: Arc<Counts>,
    ) -> Result<Writer, String> {
        let failed = |path: &Path, error: &io::Error| {
            format!("expected to write {}, got \"{error}\"; choose another --record folder", path.display())
        };
        std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e))?;
        let log = folder.join("log.jsonl");
        let log = File::create(&log).map_err(|e| failed(&log, &e))?;
        let sound = WavWriter::create(folder.join("recv-audio.wav")).map_err(|e| e.to_string())?;
        // Pictures get their file once their size is known; that it can be made is known now.
        let path = folder.join("recv-video.y4m");
        let made = File::create(&path).and_then(|_| std::fs::remove_file(&path));
        made.map_err(|e| failed(&path, &e))?;
        let pictures =
            Pictures { path, failed: false, file: None, full: None, early: Vec::new(), scaled: None };
        Ok(Writer {
            clock,
            output,
            counts,
            log: Some(Lines { file: log, length: 0 }),
            sound: Some(sound),
            pictures,
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>, spare: &SyncSender<Picture>) {
        loop {
            match messages.recv() {
                Ok(Message::End) | Err(_) => break,
                Ok(message) => self.take(message, spare),
            }
        }
        self.early(spare);
        if let Some(sound) = &mut self.sound
            && let Err(error) = sound.flush()
        {
            self.trouble("sound", error);
        }
        self.account();
    }

    fn take(&mut self, message: Message, spare: &SyncSender<Picture>) {
        match message {
            Message::Line(line) => self.line(&line),
            Message::Sound { silence, block } => self.hear(silence, &block),
            Message::Full(size) => {
                let sane = Picture::check_size(size.width, size.height).is_ok()
                    && size.width.saturating_mul(size.height) <= MAX_PIXELS;
                if sane && self.pictures.full.is_none() {
                    self.pictures.full = Some(size);
                    self.early(spare);
                }
            }
            Message::Picture { picture, at } => {
                self.counts.waiting.fetch_sub(picture.as_bytes().len(), Ordering::Relaxed);
                if self.pictures.full.is_some() {
                    self.show(&picture, at);
                    let _ = spare.try_send(picture);
                } else {
                    self.pictures.early.push((picture, at));
                    if self.pictures.early.len() >= MAX_EARLY {
                        self.early(spare);
                    }
                }
            }
            Message::End => {}
        }
    }

    /// Writes the pictures that waited for their size.
    fn early(&mut self, spare: &SyncSender<Picture>) {
        for (picture, at) in std::mem::take(&mut self.pictures.early) {
            self.show(&picture, at);
            let _ = spare.try_send(picture);
        }
    }

    fn line(&mut self, line: &Value) {
        let written = match &mut self.log {
            Some(log) => log.write(line),
            None => Ok(()),
        };
        if let Err(error) = written {
            self.log = None;
            self.trouble("log", error);
        }
    }

    fn hear(&mut self, silence: u64, block: &[f32]) {
        let Some(sound) = &mut self.sound else { return };
        let mut left = silence;
        let mut written = Ok(());
        while left > 0 && written.is_ok() {
            let now = left.min(480);
            written = sound.write(&[0.0; 480][..now as usize]);
            left -= now;
        }
        if let Err(error) = written.and_then(|()| sound.write(block)) {
            self.sound = None;
            self.trouble("sound", error);
        }
    }

    fn show(&mut self, picture: &Picture, at: Instant) {
        if self.pictures.failed {
            return;
        }
        match self.pictures.write(picture) {
            Ok(number) => {
                let fields = json!({"i": number, "w": picture.width(), "h": picture.height()});
                self.line(&output::line(&self.clock, "frame-out", at, fields));
            }
            Err(error) => {
                self.pictures.failed = true;
                self.pictures.file = None;
                self.trouble("pictures", error);
            }
        }
    }

    fn trouble(&self, what: &str, error: impl std::fmt::Display) {
        self.output
            .write_trouble(format_args!("{what} not recorded from here on, the call goes on: {error}"));
    }

    /// Says what was lost.
    fn account(&self) {
        let counts = [
            ("pictures", self.counts.dropped_pictures.load(Ordering::Relaxed)),
            ("samples of sound", self.counts.dropped_samples.load(Ordering::Relaxed)),
            ("lines of the log", self.counts.dropped_lines.load(Ordering::Relaxed)),
        ];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            self.output.write_trouble(format_args!(
                "the recording lacks {count} {what}: the disk was too slow; record to a faster one"
            ));
        }
    }
}

impl Pictures {
    /// Appends a picture, scaled to the full size; gives its number.
    fn write(&mut self, picture: &Picture) -> Result<u64, SinkError> {
        let own = Size { width: picture.width(), height: picture.height(), frames_per_second: 30.0 };
        let full = *self.full.get_or_insert(own);
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let Size { width, height, frames_per_second } = full;
                let format = VideoFormat::new(width, height, frames_per_second);
                self.file.insert(Y4mWriter::create(&self.path, &format)?)
            }
        };
        let number = file.pictures();
        if (picture.width(), picture.height()) == (full.width, full.height) {
            file.write(picture)?;
        } else {
            // The full size was checked, or is a picture's own.
            if let (None, Ok(blank)) = (&self.scaled, Picture::new(full.width, full.height)) {
                self.scaled = Some(blank);
            }
            if let Some(scaled) = &mut self.scaled {
                picture.scale_into(scaled);
                file.write(scaled)?;
            }
        }
        Ok(number)
    }
}
