//! The Noise handshake's CPU at both ends together: message 1, message 2, confirm.
#![allow(missing_docs)]

use criterion::{Criterion, criterion_group, criterion_main};
use kring_core::crypto::default_provider;
use kring_core::handshake::{Accept, Acceptor, Binding, Dial, Progress};
use kring_core::identity::Identity;
use kring_core::ticket::Ticket;
use kring_core::time::WallTime;
use std::sync::Arc;

fn handshake(c: &mut Criterion) {
    let provider = default_provider();
    let now = WallTime(1_800_000_000);
    let caller = Identity::generate(&*provider, now).unwrap();
    let callee = Arc::new(Identity::generate(&*provider, now).unwrap());
    let address = "192.0.2.1:4433".parse().unwrap();
    let ticket = Ticket::issue(&callee, &[address], WallTime(now.0 + 3600), &*provider).unwrap();
    let binding = Binding::Quic([7; 32]);
    c.bench_function("handshake, both ends", |b| {
        b.iter(|| {
            let mut acceptor = Acceptor::new(callee.clone(), provider.clone());
            acceptor.add(&ticket);
            let (mut dial, hello) = Dial::new(&caller, &ticket, binding, now, &provider).unwrap();
            let mut accept = Accept::new(binding);
            let Ok(Progress::Reply(reply)) = accept.handle(&hello, &mut acceptor, now) else { panic!() };
            let (_, confirm) = dial.handle(&reply, b"", now).unwrap().unwrap();
            let Ok(Progress::Done(session)) = accept.handle(&confirm, &mut acceptor, now) else { panic!() };
            session
        });
    });
}

criterion_group!(benches, handshake);
criterion_main!(benches);
