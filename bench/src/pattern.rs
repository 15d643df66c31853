//! The bytes that streams carry, and how the far end knows that it has them all.
//!
//! A checksum costs little beside what carries the bytes: XXH3 runs at the speed of a copy (35 GB/s where a copy has 38), so that 2 GiB
//! take it 60 ms of a second or more, the same for every contestant.

use std::hash::Hasher;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::Failure;

/// After how many bytes the pattern begins anew: a prime number, so that chunks of any usual size that are lost, doubled or swapped show.
const PERIOD: usize = 1_048_573;

/// How long a chunk is, in bytes: what a program would read and write at a time for the sake of speed, and what socat is told to.
pub(crate) const CHUNK: usize = 262_144;

/// Bytes that look random and are the same every time.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Bytes);

/// What has arrived: how much, and its checksum.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Arrived {
    /// Bytes.
    bytes: u64,
    /// XXH3 of them, 64 bits.
    checksum: u64,
}

/// Counts and sums up what arrives.
#[derive(Default)]
pub(crate) struct Tally {
    bytes: u64,
    hasher: XxHash3_64,
}

impl Pattern {
    /// The pattern.
    pub(crate) fn new() -> Self {
        let mut state = 0_u64;
        let words = (0..(PERIOD + CHUNK).div_ceil(8)).map(|_| {
            // splitmix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        });
        let mut block: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        // A chunk that begins before the end of the period goes on with its beginning.
        block.copy_within(..CHUNK, PERIOD);
        block.truncate(PERIOD + CHUNK);
        Self(block.into())
    }

    /// The first `bytes` of it, in chunks that are not copied.
    pub(crate) fn chunks(&self, bytes: u64) -> impl Iterator<Item = Bytes> + Send + use<> {
        let block = self.0.clone();
        let mut left = bytes;
        let mut position = 0;
        std::iter::from_fn(move || {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
            let chunk = block.slice(position..position + length);
            left -= length as u64;
            position = (position + length) % PERIOD;
            (length > 0).then_some(chunk)
        })
    }

    /// What is to arrive of its first `bytes`.
    pub(crate) fn expected(&self, bytes: u64) -> Arrived {
        let mut tally = Tally::default();
        self.chunks(bytes).for_each(|chunk| tally.add(&chunk));
        tally.arrived()
    }
}

impl Tally {
    /// This has arrived next.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hasher.write(bytes);
    }

    /// What has arrived.
    pub(crate) fn arrived(&self) -> Arrived {
        Arrived {
            bytes: self.bytes,
            checksum: self.hasher.finish(),
        }
    }
}

impl Arrived {
    /// Checks that this is what was sent.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn check(self, expected: Self) -> Result<(), Failure> {
        if self == expected {
            return Ok(());
        }
        Err(format!(
            "{} of {} bytes arrived, with checksum {:016x} instead of {:016x}",
            self.bytes, expected.bytes, self.checksum, expected.checksum
        )
        .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrived(chunks: impl IntoIterator<Item = Bytes>) -> Arrived {
        let mut tally = Tally::default();
        chunks.into_iter().for_each(|chunk| tally.add(&chunk));
        tally.arrived()
    }

    #[test]
    fn chunks_are_the_pattern_again_and_again() {
        let pattern = Pattern::new();
        let bytes = 3 * PERIOD + 7;
        let chunks: Vec<u8> = pattern.chunks(bytes as u64).flatten().collect();
        assert_eq!(chunks.len(), bytes);
        let block = &pattern.0[..PERIOD];
        assert!(
            chunks
                .chunks(PERIOD)
                .all(|period| period == &block[..period.len()])
        );
        assert_eq!(pattern.chunks(0).count(), 0);
    }

    #[test]
    fn how_the_bytes_were_cut_makes_no_difference_and_anything_else_does() {
        let pattern = Pattern::new();
        let bytes = 20 * CHUNK as u64 + 1;
        let expected = pattern.expected(bytes);
        let whole: Vec<Bytes> = pattern.chunks(bytes).collect();

        let cut = whole.iter().flat_map(|chunk| {
            let middle = chunk.len() / 3;
            [chunk.slice(..middle), chunk.slice(middle..)]
        });
        assert!(arrived(cut).check(expected).is_ok());

        for change in [
            |chunks: &mut Vec<Bytes>| chunks.swap(3, 4),
            |chunks: &mut Vec<Bytes>| chunks[5] = chunks[4].clone(),
            |chunks: &mut Vec<Bytes>| drop(chunks.remove(1)),
            |chunks: &mut Vec<Bytes>| drop(chunks.pop()),
        ] {
            let mut changed = whole.clone();
            change(&mut changed);
            assert!(arrived(changed).check(expected).is_err());
        }
    }
}
