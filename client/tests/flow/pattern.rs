//! Bytes that can be told from all others, without being kept: pseudorandom ones of a seed.

use farsock_client::{Bytes, OwnedWriteHalf};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The SHA-256 of what one end wrote or read.
pub(crate) type Sum = [u8; 32];

#[derive(Clone)]
pub(crate) struct Pattern {
    state: u64,
    /// What is left of the last eight bytes.
    rest: Vec<u8>,
}

impl Pattern {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            rest: Vec::new(),
        }
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.rest);
        while bytes.len() < count {
            self.state = self
                .state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            bytes.extend_from_slice(&(self.state ^ (self.state >> 29)).to_le_bytes());
        }
        self.rest = bytes.split_off(count);
        bytes
    }

    /// The next bytes, which stay the next.
    pub(crate) fn peek(&self, count: usize) -> Vec<u8> {
        self.clone().take(count)
    }

    pub(crate) fn skip(&mut self, count: usize) {
        self.take(count);
    }

    /// These must be the next.
    pub(crate) fn expect(&mut self, bytes: &[u8]) {
        assert!(
            self.take(bytes.len()) == bytes,
            "other bytes than were sent"
        );
    }

    /// Writes so many, in pieces of many sizes.
    pub(crate) async fn write<W: AsyncWrite + Unpin>(mut self, writer: &mut W, count: u64) -> Sum {
        let mut sum = Sha256::new();
        let mut left = count;
        let mut size = 1;
        while left > 0 {
            let part = self.take(usize::try_from(left).unwrap_or(size).min(size));
            writer.write_all(&part).await.unwrap();
            sum.update(&part);
            left -= part.len() as u64;
            size = if size > 200_000 { 1 } else { size * 3 };
        }
        sum.finalize().into()
    }

    /// Writes so many, without copies.
    pub(crate) async fn write_chunks(mut self, writer: &mut OwnedWriteHalf, count: u64) -> Sum {
        let mut sum = Sha256::new();
        let mut left = count;
        while left > 0 {
            let part = Bytes::from(self.take(usize::try_from(left).unwrap_or(1).min(100_000)));
            left -= part.len() as u64;
            sum.update(&part);
            writer.write_chunk(part).await.unwrap();
        }
        sum.finalize().into()
    }

    /// Reads to the end; all must be the next. Tells how many they were.
    pub(crate) async fn check<R: AsyncRead + Unpin>(self, reader: &mut R) -> u64 {
        self.check_and_sum(reader).await.0
    }

    /// Checks, and tells their SHA-256 as well.
    pub(crate) async fn check_and_sum<R: AsyncRead + Unpin>(
        mut self,
        reader: &mut R,
    ) -> (u64, Sum) {
        let mut sum = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut count = 0;
        loop {
            let read = reader.read(&mut buffer).await.unwrap();
            if read == 0 {
                return (count, sum.finalize().into());
            }
            self.expect(&buffer[..read]);
            sum.update(&buffer[..read]);
            count += read as u64;
        }
    }
}
