//! What was taken from a socket for a caller that had stopped waiting: kept for the next call of the
//! same kind. Pure.
//!
//! Bounded by itself: while something is kept for a lane, a call on it takes that instead of asking
//! the daemon, so there is at most one entry for each operation that was under way at once.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use farsock_proto::v1;

/// Calls that draw from the same source of one socket, and can stand in for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Accepts, of sockets of one blocking mode.
    Accept {
        /// The listening socket.
        handle: u64,
        /// SOCK_NONBLOCK of the new one.
        nonblocking: bool,
    },
    /// Receives, from the data, the out-of-band byte or the error queue.
    Receive {
        /// The socket.
        handle: u64,
        /// MSG_OOB.
        out_of_band: bool,
        /// MSG_ERRQUEUE.
        error_queue: bool,
    },
}

/// Something that was taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// A connection.
    Connection(v1::AcceptResponse),
    /// Bytes or a message.
    Data(Data),
}

/// Bytes or a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Data {
    pub(crate) data: Bytes,
    pub(crate) address: Option<v1::Address>,
    pub(crate) end_of_stream: bool,
    pub(crate) flags: Vec<i32>,
    pub(crate) full_length: u64,
}

/// How a call wants data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    /// How many bytes at most.
    pub(crate) length: usize,
    /// MSG_PEEK: leave it there.
    pub(crate) peek: bool,
    /// What the socket is, if that is known.
    pub(crate) kind: Option<Kind>,
}

/// What becomes of data that is longer than a call wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The rest stays for the next call.
    Stream,
    /// The rest is cut off.
    Messages,
}

/// What there is for a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Offer {
    /// Nothing.
    Nothing,
    /// This.
    Item(Item),
    /// Something that is longer than wanted: the socket's kind must be told.
    NeedsKind,
}

/// See the file's text.
#[derive(Debug, Default)]
pub(crate) struct Returned {
    lanes: HashMap<Lane, VecDeque<Item>>,
}

impl Lane {
    pub(crate) fn handle(self) -> u64 {
        match self {
            Self::Accept { handle, .. } | Self::Receive { handle, .. } => handle,
        }
    }
}

impl Returned {
    /// Puts something back. What comes later was taken later.
    pub(crate) fn put(&mut self, lane: Lane, item: Item) {
        self.lanes.entry(lane).or_default().push_back(item);
    }

    /// Whether something is kept for the lane.
    pub(crate) fn has(&self, lane: Lane) -> bool {
        self.lanes.contains_key(&lane)
    }

    /// Takes the oldest connection.
    pub(crate) fn take_connection(&mut self, lane: Lane) -> Option<v1::AcceptResponse> {
        match self.pop(lane)? {
            Item::Connection(connection) => Some(connection),
            Item::Data(_) => None,
        }
    }

    /// Takes the oldest data, or of a stream's as much as is wanted.
    pub(crate) fn take_data(&mut self, lane: Lane, want: Want) -> Offer {
        let Some(Item::Data(oldest)) = self.lanes.get_mut(&lane).and_then(VecDeque::front_mut)
        else {
            return Offer::Nothing;
        };
        if oldest.data.len() <= want.length {
            let whole = oldest.clone();
            if !want.peek {
                self.pop(lane);
            }
            return Offer::Item(Item::Data(whole));
        }
        match want.kind {
            None => Offer::NeedsKind,
            Some(Kind::Stream) => {
                let mut part = oldest.clone();
                part.data.truncate(want.length);
                part.full_length = part.data.len() as u64;
                if !want.peek {
                    let _ = oldest.data.split_to(want.length);
                    oldest.full_length = oldest.data.len() as u64;
                }
                Offer::Item(Item::Data(part))
            }
            Some(Kind::Messages) => {
                let mut cut = oldest.clone();
                cut.data.truncate(want.length);
                let truncated = v1::MessageFlag::Trunc.into();
                if !cut.flags.contains(&truncated) {
                    cut.flags.push(truncated);
                }
                if !want.peek {
                    self.pop(lane);
                }
                Offer::Item(Item::Data(cut))
            }
        }
    }

    /// The socket is closed: forgets what is kept for it, and tells the connections' handles.
    pub(crate) fn close(&mut self, handle: u64) -> Vec<u64> {
        if self.lanes.is_empty() {
            return Vec::new();
        }
        self.lanes
            .extract_if(|lane, _| lane.handle() == handle)
            .flat_map(|(_, items)| items)
            .filter_map(|item| match item {
                Item::Connection(connection) => Some(connection.handle),
                Item::Data(_) => None,
            })
            .collect()
    }

    fn pop(&mut self, lane: Lane) -> Option<Item> {
        let items = self.lanes.get_mut(&lane)?;
        let item = items.pop_front();
        if items.is_empty() {
            self.lanes.remove(&lane);
        }
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: Lane = Lane::Receive {
        handle: 1,
        out_of_band: false,
        error_queue: false,
    };

    fn data(text: &'static str) -> Item {
        Item::Data(Data {
            data: Bytes::from_static(text.as_bytes()),
            full_length: text.len() as u64,
            ..Data::default()
        })
    }

    fn want(length: usize, kind: Option<Kind>) -> Want {
        Want {
            length,
            peek: false,
            kind,
        }
    }

    fn text(offer: Offer) -> String {
        let Offer::Item(Item::Data(data)) = offer else {
            panic!("{offer:?}");
        };
        String::from_utf8(data.data.to_vec()).expect("text")
    }

    #[test]
    fn what_is_put_back_comes_out_in_order_and_once() {
        let mut returned = Returned::default();
        returned.put(LANE, data("one"));
        returned.put(LANE, data("two"));
        assert_eq!(text(returned.take_data(LANE, want(9, None))), "one");
        assert_eq!(text(returned.take_data(LANE, want(9, None))), "two");
        assert_eq!(returned.take_data(LANE, want(9, None)), Offer::Nothing);
    }

    #[test]
    fn a_stream_keeps_the_rest_and_a_message_is_cut() {
        let mut returned = Returned::default();
        returned.put(LANE, data("stream"));
        assert_eq!(returned.take_data(LANE, want(2, None)), Offer::NeedsKind);
        let stream = Some(Kind::Stream);
        assert_eq!(text(returned.take_data(LANE, want(2, stream))), "st");
        assert_eq!(text(returned.take_data(LANE, want(9, stream))), "ream");

        returned.put(LANE, data("message"));
        let Offer::Item(Item::Data(cut)) = returned.take_data(LANE, want(4, Some(Kind::Messages)))
        else {
            panic!("there is a message");
        };
        assert_eq!((&*cut.data, cut.full_length), (&b"mess"[..], 7));
        assert_eq!(cut.flags, [v1::MessageFlag::Trunc as i32]);
        assert_eq!(returned.take_data(LANE, want(9, None)), Offer::Nothing);
    }

    #[test]
    fn a_peek_leaves_it_there() {
        let mut returned = Returned::default();
        returned.put(LANE, data("seen"));
        let peek = Want {
            peek: true,
            ..want(9, None)
        };
        assert_eq!(text(returned.take_data(LANE, peek)), "seen");
        assert_eq!(text(returned.take_data(LANE, want(9, None))), "seen");
    }

    #[test]
    fn closing_a_listener_tells_the_connections_that_nobody_took() {
        let mut returned = Returned::default();
        let lane = Lane::Accept {
            handle: 1,
            nonblocking: false,
        };
        let connection = v1::AcceptResponse {
            handle: 7,
            peer_address: None,
        };
        returned.put(lane, Item::Connection(connection));
        returned.put(LANE, data("gone"));
        assert_eq!(returned.close(2), []);
        assert_eq!(returned.close(1), [7]);
        assert_eq!(returned.take_connection(lane), None);
        assert_eq!(returned.take_data(LANE, want(9, None)), Offer::Nothing);
    }
}
