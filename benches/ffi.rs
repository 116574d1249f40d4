//! What the C ABI adds to a frame: the same work by a trait in Rust, and by functions in C.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use kring::capture::{AudioSink, AudioSource, Captured, Consent, Kind, Played, SinkError, SourceError};
use kring::codec::Picture;
use kring_ffi::*;
use std::ffi::c_void;
use std::hint::black_box;
use std::ptr;
use std::time::Instant;

/// 20 ms.
const FRAME: usize = 960;
static SOUND: [f32; FRAME] = [0.25; FRAME];

/// What a source in Rust does to hand out the same frame.
struct InRust;

impl AudioSource for InRust {
    fn kind(&self) -> Option<Kind> {
        None
    }

    fn start(&mut self, _: &Consent, _: Instant) -> Result<(), SourceError> {
        Ok(())
    }

    fn read(&mut self, block: &mut [f32]) -> Result<Captured, SourceError> {
        block.fill(0.0);
        block.copy_from_slice(&SOUND[..block.len()]);
        Ok(Captured::new(Instant::now(), false))
    }

    fn stop(&mut self) {}
}

impl AudioSink for InRust {
    fn start(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    fn play(&mut self, block: &[f32], _: Played) -> Result<Instant, SinkError> {
        black_box(block);
        Ok(Instant::now())
    }

    fn stop(&mut self) {}
}

unsafe extern "C" fn read(_: *mut c_void, samples: *mut f32, count: usize, _: *mut u64) -> i32 {
    // SAFETY: as many samples are there as is said, FRAME at most.
    unsafe { samples.copy_from_nonoverlapping(SOUND.as_ptr(), count.min(FRAME)) };
    KRING_OK
}

unsafe extern "C" fn play(_: *mut c_void, samples: *const f32, _: usize, _: u32, _: *mut u64) -> i32 {
    black_box(samples);
    KRING_OK
}

fn sound(c: &mut Criterion) {
    let mut group = c.benchmark_group("20 ms of sound");
    let mut block = [0.0; FRAME];
    group.bench_function("asked for, in Rust", |b| b.iter(|| InRust.read(black_box(&mut block))));
    let source = kring_audio_source {
        struct_size: size_of::<kring_audio_source>() as u32,
        flags: 0,
        consent: 0,
        reserved: 0,
        user_data: ptr::null_mut(),
        start: None,
        read: Some(read),
        stop: None,
        drop_fn: None,
    };
    let mut source = measured::audio_source(source).expect("a source");
    source.start(&Consent::to_nothing(), Instant::now()).expect("it starts");
    group.bench_function("asked for, in C", |b| b.iter(|| source.read(black_box(&mut block))));

    group.bench_function("played, in Rust", |b| b.iter(|| InRust.play(black_box(&SOUND), Played::Decoded)));
    let sink = kring_audio_sink {
        struct_size: size_of::<kring_audio_sink>() as u32,
        flags: 0,
        user_data: ptr::null_mut(),
        start: None,
        play: Some(play),
        stop: None,
        drop_fn: None,
    };
    let mut sink = measured::audio_sink(sink).expect("a sink");
    sink.start().expect("it starts");
    group.bench_function("played, in C", |b| b.iter(|| sink.play(black_box(&SOUND), Played::Decoded)));

    let mut input = 0;
    // SAFETY: the pointers are good, as the header asks.
    assert_eq!(unsafe { kring_audio_input_new(0, &mut input) }, KRING_OK);
    let mut pushed = measured::pushed_audio(input).expect("an input");
    pushed.start(&Consent::to_nothing(), Instant::now()).expect("it starts");
    group.bench_function("pushed from C and read", |b| {
        b.iter(|| {
            // SAFETY: so many samples are there.
            unsafe { kring_audio_input_push(input, black_box(SOUND.as_ptr()), FRAME) };
            pushed.read(black_box(&mut block))
        });
    });
    group.finish();
}

fn pictures(c: &mut Criterion) {
    let (width, height) = (1280, 720);
    let mut group = c.benchmark_group("a picture of 1280x720");
    let from = Picture::new(width, height).expect("a size");
    let mut to = Picture::new(width, height).expect("a size");
    group.bench_function("one copy", |b| b.iter(|| to.copy_from(black_box(&from))));

    let mut input = 0;
    // SAFETY: the pointers are good, as the header asks.
    assert_eq!(unsafe { kring_video_input_new(0, width, height, 30.0, &mut input) }, KRING_OK);
    let mut pushed = measured::pushed_video(input).expect("an input");
    pushed.start(&Consent::to_nothing(), Instant::now()).expect("it starts");
    let picture = kring_picture {
        struct_size: size_of::<kring_picture>() as u32,
        pixels: KRING_PIXELS_I420,
        width,
        height,
        y: from.y().as_ptr(),
        u: from.u().as_ptr(),
        v: from.v().as_ptr(),
        y_stride: width as usize,
        u_stride: width as usize / 2,
        v_stride: width as usize / 2,
    };
    group.bench_function("pushed from C and read", |b| {
        b.iter(|| {
            // SAFETY: the planes are as is said.
            unsafe { kring_video_input_push(input, black_box(&picture)) };
            pushed.read(black_box(&mut to))
        });
    });
    group.finish();
}

criterion_group!(benches, sound, pictures);
criterion_main!(benches);
