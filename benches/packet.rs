//! What one packet costs on its way through the core: seal and packetise, parse and open.
#![allow(missing_docs)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kring_core::crypto::default_provider;
use kring_core::media::{FrameHeader, FrameInfo, MediaKind, Packetiser, parse};
use std::hint::black_box;
use std::time::Duration;
use zeroize::Zeroizing;

fn header(frame_id: u32) -> FrameHeader {
    FrameHeader { keyframe: true, discardable: true, temporal_layer: 0, spatial_layer: 0, frame_id }
}

fn audio(c: &mut Criterion) {
    let (provider, base_key) = (default_provider(), Zeroizing::new([7; 32]));
    let kid = 1;
    let payload = [0x5a; 160];
    let info = FrameInfo::Audio { capture: 1_000_000, duration: Duration::from_millis(20), level: 30 };
    let mut group = c.benchmark_group("audio frame of 160 B");
    group.throughput(Throughput::Elements(1));

    let mut sealer = provider.sealer(kid, &base_key);
    let (mut metadata, mut plaintext, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    let packetiser = Packetiser::default();
    let mut frame_id = 0;
    let mut one = || {
        frame_id += 1;
        metadata.clear();
        plaintext.clear();
        header(frame_id).encode(&mut metadata);
        info.encode(&mut plaintext);
        plaintext.extend_from_slice(&payload);
        sealer.seal(&metadata, &plaintext, &mut sealed).unwrap();
        packetiser.packetise(&header(frame_id), 1, &sealed[metadata.len()..], 0).unwrap()
    };
    group.bench_function("seal + packetise", |b| b.iter(|| black_box(one())));

    let datagram = one().remove(0).bytes;
    let opener = provider.opener(kid, &base_key);
    let (mut metadata, mut opened) = (Vec::new(), Vec::new());
    group.bench_function("parse + open", |b| {
        b.iter(|| {
            let packet = parse(black_box(&datagram)).unwrap();
            metadata.clear();
            packet.header.encode(&mut metadata);
            opener.open(&metadata, packet.payload, &mut opened).unwrap();
            let mut rest = &opened[..];
            black_box(FrameInfo::decode(MediaKind::Audio, &mut rest).unwrap())
        });
    });
    group.finish();
}

fn video(c: &mut Criterion) {
    let (provider, base_key) = (default_provider(), Zeroizing::new([7; 32]));
    let mut group = c.benchmark_group("video frame of 8 kB");
    let payload = vec![0x5a; 8000];
    group.throughput(Throughput::Bytes(payload.len() as u64));
    let mut sealer = provider.sealer(129, &base_key);
    let (mut metadata, mut sealed) = (Vec::new(), Vec::new());
    header(1).encode(&mut metadata);
    group.bench_function("seal + packetise", |b| {
        b.iter_batched(
            || (),
            |()| {
                sealer.seal(&metadata, &payload, &mut sealed).unwrap();
                Packetiser::default().packetise(&header(1), 129, &sealed[metadata.len()..], 0).unwrap()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, audio, video);
criterion_main!(benches);
