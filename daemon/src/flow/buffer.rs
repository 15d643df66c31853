//! Where a stream's bytes are received: buffers that grow with what comes, and are used again.
//!
//! None is larger than what may be received into it, and none is kept for bytes that may not or do not come: of ten thousand streams
//! whose readers are slow each would otherwise hold some hundred KiB.

use std::{io, ops::Range};

use bytes::{Bytes, BytesMut};

use farsock_proto::message::MessageFlags;

use super::ledger::Item;
use crate::{
    socket::{ReceiveRequest, Socket},
    sys,
};
use std::os::fd::AsFd as _;

/// Room before each chunk, for whoever sends it on to put a header there.
pub(crate) const HEADROOM: usize = 16;
/// The smallest buffer, which is not kept while nothing comes.
const LEAST: usize = 16 << 10;
/// The largest. Each chunk costs system calls and wakes the client, so that large ones are worth more than a cache that they fit in.
const MOST: usize = 512 << 10;
/// How many buffers are kept for later.
const SPARES: usize = 2;
/// What is at most this large is copied rather than kept in a buffer that it would keep from being used again.
const SMALL: usize = 2 << 10;
/// Up to how many bytes small pieces are put together.
const TOGETHER: usize = 8 << 10;

impl Item for Bytes {
    fn cost(&self) -> u64 {
        self.len() as u64
    }

    fn part(&self, range: Range<u64>) -> Option<Self> {
        let at = |offset| usize::try_from(offset).ok();
        let (start, end) = (at(range.start)?, at(range.end)?);
        (start <= end && end <= self.len()).then(|| self.slice(start..end))
    }

    fn absorb(&mut self, next: &Self) -> bool {
        let length = self.len() + next.len();
        if length > TOGETHER {
            return false;
        }
        let mut both = BytesMut::with_capacity(length);
        both.extend_from_slice(self);
        both.extend_from_slice(next);
        *self = both.freeze();
        true
    }
}

/// `bytes`, in memory of their own if they are small.
pub(super) fn apart(bytes: Bytes, small: usize) -> Bytes {
    if bytes.len() <= small {
        Bytes::copy_from_slice(&bytes)
    } else {
        bytes
    }
}

/// What was received: the whole that is sent on, and what is kept of it.
pub(super) struct Chunk {
    pub(super) whole: Bytes,
    pub(super) kept: Bytes,
    /// Whether there was less than was asked for.
    pub(super) is_short: bool,
}

/// What a call received and gave back, which comes first. Control messages have no place in a stream of bytes.
fn take_pushback(socket: &Socket, most: usize) -> Option<Bytes> {
    if !socket.has_kept() {
        return None;
    }
    let request = ReceiveRequest {
        length: most,
        flags: MessageFlags::NONE,
        address: false,
    };
    let (part, _) = socket.take_kept(request, 0)?;
    Some(part.data).filter(|data| !data.is_empty())
}

/// The buffers of one stream.
#[derive(Debug)]
pub(super) struct Buffers {
    current: BytesMut,
    size: usize,
    spares: Vec<BytesMut>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self {
            current: BytesMut::new(),
            size: LEAST,
            spares: Vec::new(),
        }
    }
}

impl Buffers {
    /// Receives at most `room` bytes; none at the end of the stream. `head` writes into the room before the bytes, whose number it is
    /// told, and returns where what it wrote begins.
    pub(super) fn receive(
        &mut self,
        socket: &Socket,
        room: u64,
        head: impl FnOnce(&mut [u8], usize) -> usize,
    ) -> io::Result<Option<Chunk>> {
        let most = usize::try_from(room).unwrap_or(MOST).min(self.size);
        if self.current.capacity() < HEADROOM + most.min(self.size / 2) {
            self.current = match self.spares.pop() {
                Some(spare) if most == self.size && spare.capacity() >= HEADROOM + most => spare,
                _ => BytesMut::with_capacity(HEADROOM + most),
            };
        }
        self.current.clear();
        self.current.extend_from_slice(&[0; HEADROOM]);
        let asked = most.min(self.current.capacity() - HEADROOM);
        let outcome = match take_pushback(socket, asked) {
            Some(pushback) => {
                self.current.extend_from_slice(&pushback);
                Ok(pushback.len())
            }
            None => sys::message::receive_into(socket.as_fd(), &mut self.current, asked),
        };
        let received = match outcome {
            Ok(0) => {
                self.current = BytesMut::new();
                return Ok(None);
            }
            Ok(received) => received,
            Err(error) => {
                self.current.clear();
                if self.size == LEAST {
                    // Nothing comes for now: who waits shall hold little.
                    self.current = BytesMut::new();
                }
                return Err(error);
            }
        };
        let mut whole = self.current.split();
        if received == self.size {
            self.size = MOST.min(self.size * 2);
        } else if received < self.size / 8 && asked == self.size {
            self.size = LEAST.max(self.size / 2);
        }
        let start = head(&mut whole[..HEADROOM], received);
        let whole = whole.freeze();
        Ok(Some(Chunk {
            kept: apart(whole.slice(HEADROOM..), SMALL),
            whole: whole.slice(start..),
            is_short: received < asked,
        }))
    }

    /// Takes back what was acknowledged, to be used again if nothing else of its buffer is, and if there is `room` for as much.
    pub(super) fn give_back(&mut self, acknowledged: Vec<Bytes>, room: u64) {
        if room < self.size as u64 / 2 {
            return;
        }
        for bytes in acknowledged {
            if self.spares.len() == SPARES || bytes.len() <= SMALL {
                continue;
            }
            if let Ok(mut buffer) = bytes.try_into_mut() {
                buffer.clear();
                if buffer.try_reclaim(HEADROOM + self.size) {
                    self.spares.push(buffer);
                }
            }
        }
    }

    /// Nothing may be received for now, or nothing comes: keeps no buffer.
    pub(super) fn pause(&mut self) {
        self.current = BytesMut::new();
        self.spares = Vec::new();
    }

    /// Nothing is kept and nothing comes: lets all go.
    pub(super) fn rest(&mut self) {
        *self = Self::default();
    }
}
