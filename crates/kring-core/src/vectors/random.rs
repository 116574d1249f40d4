//! Randomness that is known: what each side draws, in the order in which it does.

use super::json::{Json, hex};
use crate::crypto::Provider;
use crate::crypto::pure::Pure;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

/// One side's source: the n-th draw is SHA-256(name ‖ n ‖ 0) ‖ SHA-256(name ‖ n ‖ 1) ‖ …, cut to the length wanted.
pub(super) struct Source {
    pub(super) provider: Arc<dyn Provider>,
    drawn: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Source {
    pub(super) fn new(name: &'static str) -> Source {
        let drawn: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let log = drawn.clone();
        let mut count = 0u8;
        let provider = Arc::new(Pure::with_random(Box::new(move |out| {
            let mut log = log.lock().expect("no test holds it while it fails");
            for (part, chunk) in out.chunks_mut(32).enumerate() {
                let mut hash = Sha256::new();
                hash.update(name);
                hash.update([count, part as u8]);
                chunk.copy_from_slice(&hash.finalize()[..chunk.len()]);
            }
            count += 1;
            log.push(out.to_vec());
            Ok(())
        })));
        Source { provider, drawn }
    }

    /// What was drawn since the last call, in order.
    pub(super) fn list(&self) -> Json {
        let drawn = std::mem::take(&mut *self.drawn.lock().expect("no test holds it while it fails"));
        Json::list(drawn.iter().map(hex))
    }

    /// What was drawn since the last call, under these names.
    pub(super) fn named(&self, names: &[(&'static str, usize)]) -> Vec<(&'static str, Json)> {
        let drawn = std::mem::take(&mut *self.drawn.lock().expect("no test holds it while it fails"));
        assert_eq!(
            drawn.iter().map(Vec::len).collect::<Vec<_>>(),
            names.iter().map(|(_, len)| *len).collect::<Vec<_>>(),
            "{names:?}"
        );
        names.iter().zip(drawn).map(|((name, _), bytes)| (*name, hex(bytes))).collect()
    }
}
