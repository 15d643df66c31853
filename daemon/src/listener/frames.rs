//! HTTP/2's frames, followed in a stream of bytes without keeping any (RFC 9113, section 4.1).

/// The length of a frame's head.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PADDED: u8 = 8;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// How many bytes follow.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

impl Frame {
    fn new(head: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = head;
        Self {
            length: usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & !(1 << 31),
        }
    }

    /// Whether it begins a call.
    pub(super) fn is_headers(self) -> bool {
        self.kind == HEADERS
    }

    /// Whether it carries payload, as far as the head says.
    pub(super) fn is_payload(self) -> bool {
        self.kind == DATA && self.length > 0 && self.flags & PADDED == 0
    }
}

/// A place in a stream of frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD],
    /// How much of the next head has passed.
    have: usize,
    /// How much of the current frame is to come.
    rest: usize,
}

impl Frames {
    /// Goes on over `bytes`, and calls `each` with the frames whose heads end within them.
    pub(super) fn pass(&mut self, mut bytes: &[u8], mut each: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            if self.rest > 0 {
                let count = self.rest.min(bytes.len());
                self.rest -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + count].copy_from_slice(&bytes[..count]);
            self.have += count;
            bytes = &bytes[count..];
            if self.have == HEAD {
                self.have = 0;
                let frame = Frame::new(self.head);
                self.rest = frame.length;
                each(frame);
            }
        }
    }

    /// How much of the current frame is to come.
    pub(super) fn rest(&self) -> usize {
        self.rest
    }

    /// Whether the last frame is whole, and the next has not begun.
    pub(super) fn is_between(&self) -> bool {
        self.rest == 0 && self.have == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_are_followed_wherever_the_bytes_are_cut(
            frames in prop::collection::vec((0..600_usize, any::<u8>(), any::<u8>(), any::<u32>()), 0..20),
            cuts in prop::collection::vec(1..700_usize, 1..20),
        ) {
            let mut bytes = Vec::new();
            let mut sent = Vec::new();
            for (length, kind, flags, stream) in frames {
                let [.., b, c] = length.to_be_bytes();
                bytes.extend([0, b, c, kind, flags]);
                bytes.extend(stream.to_be_bytes());
                bytes.extend(std::iter::repeat_n(0xff, length));
                sent.push(Frame { length, kind, flags, stream: stream & 0x7fff_ffff });
            }
            let (mut place, mut seen, mut rest) = (Frames::default(), Vec::new(), &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (piece, more) = rest.split_at(rest.len().min(*cut));
                place.pass(piece, |frame| seen.push(frame));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(seen, sent);
            prop_assert!(place.is_between());
        }
    }
}
