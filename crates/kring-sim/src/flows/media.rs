//! One end of a call as rate control sees it: model encoders that follow their share, a queue with voice first.

use super::Figures;
use crate::rng::Rng;
use kring_core::rate::{Feedback, OVERHEAD, RateControl, Recorder, Share};
use kring_core::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

const FRAME: Duration = Duration::from_micros(33_333);
/// In so many of a million cases a program is busy when a packet comes.
const BUSY: u32 = 30_000;
/// Headers and seal of a packet, beside what is around the datagram.
const HEADERS: usize = 34;

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Voice,
    /// Which of how many.
    Picture(u64, usize),
    Report(Vec<u8>),
    Padding,
}

#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    number: u64,
    captured: Time,
    bytes: usize,
    content: Content,
}

impl Datagram {
    /// Bytes on the wire.
    pub(crate) fn wire(&self) -> usize {
        self.bytes + OVERHEAD as usize
    }
}

pub(crate) struct Endpoint {
    control: RateControl,
    recorder: Recorder,
    voice: VecDeque<Datagram>,
    pictures: VecDeque<Datagram>,
    waiting: usize,
    share: Share,
    next_voice: Option<Time>,
    next_picture: Option<Time>,
    next_report: Time,
    sent: u64,
    frames: u64,
    keyframe: bool,
    assembling: VecDeque<(u64, usize)>,
    video: bool,
    /// Came while the program was busy; until when it is.
    waiting_in: Vec<Datagram>,
    busy: Time,
    rng: Rng,
}

impl Endpoint {
    pub(crate) fn new(now: Time, most: u32, voice: bool, video: bool, mut rng: Rng) -> Endpoint {
        let phase = Duration::from_micros(rng.within(0..=33_000));
        Endpoint {
            control: RateControl::new(now, most),
            recorder: Recorder::default(),
            voice: VecDeque::new(),
            pictures: VecDeque::new(),
            waiting: 0,
            share: Share::default(),
            next_voice: voice.then_some(now + phase / 2),
            next_picture: video.then_some(now + phase),
            next_report: now,
            sent: 0,
            frames: 0,
            keyframe: true,
            assembling: VecDeque::new(),
            video,
            waiting_in: Vec::new(),
            busy: now,
            rng,
        }
    }

    pub(crate) fn estimate(&self) -> u32 {
        self.control.estimate()
    }

    pub(crate) fn encoded(&self) -> u64 {
        self.frames
    }

    /// Takes a datagram, at once or when the program gets to it: now and then it is busy for some milliseconds.
    pub(crate) fn arrive(&mut self, now: Time, datagram: &Datagram, figures: &mut Figures) {
        if now >= self.busy && self.rng.chance(BUSY) {
            self.busy = now + Duration::from_micros(self.rng.within(1_000..=20_000));
        }
        self.waiting_in.push(datagram.clone());
        self.catch_up(now, figures);
    }

    /// Works off what came while it was busy.
    pub(crate) fn catch_up(&mut self, now: Time, figures: &mut Figures) {
        if now >= self.busy {
            for datagram in std::mem::take(&mut self.waiting_in) {
                self.receive(now, &datagram, figures);
            }
        }
    }

    fn receive(&mut self, now: Time, datagram: &Datagram, figures: &mut Figures) {
        figures.packets.1 += 1;
        figures.deliver(now, datagram.wire());
        self.recorder.add(now, datagram.number);
        let took = now.since(datagram.captured).as_secs_f64() * 1000.0;
        match &datagram.content {
            Content::Voice => figures.voice.push((datagram.captured, took)),
            Content::Report(bytes) => {
                if let Ok(feedback) = Feedback::decode(bytes) {
                    self.control.report(now, &feedback);
                }
            }
            &Content::Picture(id, parts) => {
                let at = self.assembling.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                    self.assembling.push_back((id, 0));
                    if self.assembling.len() > 60 {
                        self.assembling.pop_front();
                    }
                    self.assembling.len() - 1
                });
                self.assembling[at].1 += 1;
                if self.assembling[at].1 == parts {
                    figures.pictures.push((datagram.captured, took));
                }
            }
            Content::Padding => {}
        }
    }

    /// What is sent now.
    pub(crate) fn run(&mut self, now: Time) -> Vec<Datagram> {
        if self.control.due().is_some_and(|at| at <= now) {
            self.control.tick(now);
        }
        let network = self.control.network();
        self.share = Share::new(network.target, network.loss, self.video, self.share);
        self.capture(now);
        let mut out = Vec::new();
        let due = self.next_report <= now && self.recorder.has_news() || self.recorder.is_due();
        if due && let Some(bytes) = self.recorder.report(now) {
            self.next_report = now + self.control.report_interval(bytes.len() + HEADERS);
            let size = bytes.len() + HEADERS;
            out.push(Datagram { number: 0, captured: now, bytes: size, content: Content::Report(bytes) });
        }
        out.extend(self.voice.drain(..));
        for datagram in &mut out {
            self.stamp(now, datagram);
        }
        while self.control.is_open(now) {
            let next = self.pictures.pop_front().inspect(|d| self.waiting -= d.bytes);
            let padding = || {
                let bytes = self.control.padding()?;
                Some(Datagram { number: 0, captured: now, bytes, content: Content::Padding })
            };
            let Some(mut datagram) = next.or_else(padding) else { break };
            self.stamp(now, &mut datagram);
            out.push(datagram);
        }
        out
    }

    fn stamp(&mut self, now: Time, datagram: &mut Datagram) {
        datagram.number = self.sent;
        self.sent += 1;
        self.control.sent(now, datagram.bytes);
    }

    fn capture(&mut self, now: Time) {
        while let Some(at) = self.next_voice.filter(|at| *at <= now) {
            let millis = if self.share.audio < 50_000 { 60 } else { 20 };
            self.next_voice = Some(at + Duration::from_millis(millis));
            let rate = self.share.audio.min(90_000) as usize;
            let bytes = (rate * millis as usize / 8000).saturating_sub(OVERHEAD as usize).max(60);
            self.voice.push_back(Datagram { number: 0, captured: at, bytes, content: Content::Voice });
        }
        while let Some(at) = self.next_picture.filter(|at| *at <= now) {
            self.next_picture = Some(at + FRAME);
            let rate = self.share.video as usize;
            if rate == 0 || self.waiting * 8 * 10 > rate {
                continue;
            }
            let mean = rate / 30 / 8;
            let times =
                if std::mem::take(&mut self.keyframe) { 4_000 } else { self.rng.within(600..=1400) as usize };
            let size = (mean * times / 1000).max(100);
            let parts = size.div_ceil(self.control.fragment());
            for _ in 0..parts {
                let bytes = size.div_ceil(parts) + HEADERS;
                self.waiting += bytes;
                let content = Content::Picture(self.frames, parts);
                self.pictures.push_back(Datagram { number: 0, captured: at, bytes, content });
            }
            self.frames += 1;
        }
    }

    pub(crate) fn due(&self, now: Time) -> Time {
        let mut due = now + Duration::from_secs(1);
        let report = if self.recorder.has_news() { Some(self.next_report.max(now)) } else { None };
        let picture = if self.pictures.is_empty() && self.control.padding().is_none() {
            None
        } else {
            self.control.opens()
        };
        for at in
            [self.control.due(), self.next_voice, self.next_picture, report, picture].into_iter().flatten()
        {
            due = due.min(at);
        }
        due
    }
}
