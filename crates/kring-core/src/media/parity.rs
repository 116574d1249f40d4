//! Parity over the parts of a sealed frame, so that any as many as it has parts make it whole.
//!
//! Guarantee: work and memory follow the parts that are there. What contradicts gives bytes that do not open, as a
//! forged part would; nothing here is authenticated.
//!
//! The code is Leopard-RS over GF(2¹⁶) with as many recovery shards as originals, so that it does not depend on how many
//! of these are sent. (S.-J. Lin, T. Y. Al-Naffouri, Y. S. Han, W.-H. Chung: Novel Polynomial Basis With Fast Fourier
//! Transform and Its Application to Reed–Solomon Erasure Codes, 2016.)

use std::collections::BTreeMap;

use reed_solomon_simd::{Error, ReedSolomonDecoder, ReedSolomonEncoder};

/// The most parts of a frame that can have parity.
pub const MAX_PROTECTED: u16 = 255;

/// The first `wanted` shards of parity over `sealed` cut in parts of `part` bytes, an even number.
pub(super) fn encode(sealed: &[u8], part: usize, wanted: usize) -> Vec<Vec<u8>> {
    let shards = || -> Result<Vec<Vec<u8>>, Error> {
        let count = sealed.len().div_ceil(part);
        let mut encoder = ReedSolomonEncoder::new(count, count, part)?;
        let mut chunks = sealed.chunks_exact(part);
        chunks.by_ref().try_for_each(|chunk| encoder.add_original_shard(chunk))?;
        if !chunks.remainder().is_empty() {
            encoder.add_original_shard(padded(chunks.remainder(), part))?;
        }
        Ok(encoder.encode()?.recovery_iter().take(wanted).map(<[u8]>::to_vec).collect())
    };
    shards().unwrap_or_default()
}

/// Makes a frame of `count` parts of `part` bytes whole, the last one `last` bytes long. `parts` are those of the frame
/// itself and, from `count` on, its parity.
pub(super) fn restore(
    count: u16,
    part: usize,
    last: usize,
    parts: &BTreeMap<u16, Vec<u8>>,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(part * usize::from(count));
    let mut decoder = ReedSolomonDecoder::new(count.into(), count.into(), part).ok()?;
    for (&index, shard) in parts.iter().take(count.into()) {
        match index.checked_sub(count) {
            None if shard.len() == part => decoder.add_original_shard(index.into(), shard).ok()?,
            None => decoder.add_original_shard(index.into(), padded(shard, part)).ok()?,
            Some(parity) => decoder.add_recovery_shard(parity.into(), shard).ok()?,
        }
    }
    let decoded = decoder.decode().ok()?;
    for index in 0..count {
        let shard = match parts.get(&index) {
            Some(shard) => shard,
            None => decoded.restored_original(index.into())?,
        };
        let len = if index + 1 == count { last } else { part };
        bytes.extend_from_slice(shard.get(..len)?);
    }
    Some(bytes)
}

fn padded(shard: &[u8], len: usize) -> Vec<u8> {
    let mut shard = shard.to_vec();
    shard.resize(len, 0);
    shard
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_code_is_the_one_written_down() {
        // A vector for other implementations: docs/protocol.md, section 10.
        let sealed: Vec<u8> = (0..11).collect();
        let shards = encode(&sealed, 4, 3);
        let hex = |shard: &[u8]| data_encoding::HEXLOWER.encode(shard);
        let hex: Vec<_> = shards.iter().map(|s| hex(s)).collect();
        assert_eq!(hex, ["3383000c", "ecbf0203", "6b150a06"]);
    }

    proptest! {
        #[test]
        fn any_as_many_parts_as_there_are_make_the_frame(
            len in 3..6000usize, part in 1..300usize, pick in proptest::collection::vec(any::<u16>(), 60),
        ) {
            let part = part * 2;
            let sealed: Vec<u8> = (0..len).map(|n| (n * n >> 3) as u8).collect();
            let count = len.div_ceil(part);
            prop_assume!(count >= 2 && count <= MAX_PROTECTED.into());
            let mut all: Vec<Vec<u8>> = sealed.chunks(part).map(<[u8]>::to_vec).collect();
            all.extend(encode(&sealed, part, count));
            prop_assert_eq!(all.len(), 2 * count);
            let mut parts: BTreeMap<u16, Vec<u8>> = (0..).zip(all).collect();
            for pick in pick.iter().cycle().take(10_000) {
                if parts.len() == count {
                    break;
                }
                parts.remove(&(pick % (2 * count) as u16));
                if let Some(&first) = parts.keys().nth(usize::from(*pick) % parts.len()).filter(|_| parts.len() > count) {
                    parts.remove(&first);
                }
            }
            prop_assert_eq!(restore(count as u16, part, len - part * (count - 1), &parts), Some(sealed));
        }
    }
}
