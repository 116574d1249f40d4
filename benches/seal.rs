//! What SFrame costs over raw AES-256-GCM of the same library, for a frame of 1,200 bytes: one thread, each as a call
//! does it, all copies and allocations included.
#![allow(missing_docs)]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kring_core::crypto::default_provider;
use std::hint::black_box;
use zeroize::Zeroizing;

const LEN: usize = 1200;
const METADATA: [u8; 5] = [0x30, 1, 2, 3, 4];

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("1,200 B");
    group.throughput(Throughput::Bytes(LEN as u64));
    let raw = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
    let (mut data, mut count) = (vec![0x5a; LEN], 0u64);
    let mut nonce = || {
        count += 1;
        let mut bytes = [0; 12];
        bytes[4..].copy_from_slice(&count.to_be_bytes());
        Nonce::assume_unique_for_key(bytes)
    };
    group.bench_function("raw seal", |b| {
        b.iter(|| {
            raw.seal_in_place_separate_tag(nonce(), Aad::from(METADATA), black_box(&mut data)).unwrap()
        });
    });
    let mut sealed = vec![0x5a; LEN];
    raw.seal_in_place_append_tag(Nonce::assume_unique_for_key([9; 12]), Aad::from(METADATA), &mut sealed)
        .unwrap();
    // Opening in place spoils what was sealed, so that a copy is part of it; a memory copy of that size costs some 15 ns.
    let mut copy = sealed.clone();
    group.bench_function("raw open", |b| {
        b.iter(|| {
            copy.copy_from_slice(black_box(&sealed));
            raw.open_in_place(Nonce::assume_unique_for_key([9; 12]), Aad::from(METADATA), &mut copy)
                .unwrap()
                .len()
        });
    });

    let (provider, base_key) = (default_provider(), Zeroizing::new([7; 32]));
    let plaintext = vec![0x5a; LEN];
    let mut sealer = provider.sealer(129, &base_key);
    let mut out = Vec::new();
    group.bench_function("SFrame seal", |b| {
        b.iter(|| sealer.seal(&METADATA, black_box(&plaintext), &mut out).unwrap());
    });
    let opener = provider.opener(129, &base_key);
    let mut opened = Vec::new();
    group.bench_function("SFrame open", |b| {
        b.iter(|| opener.open(&METADATA, black_box(&out[METADATA.len()..]), &mut opened).unwrap());
    });
    group.finish();
}

criterion_group!(benches, seal);
criterion_main!(benches);
