//! The journal: a record of each operation that ends, and of each opening of a stream, for whoever watches.
//!
//! Each owner has a channel of its own, so that nobody can see, or count, what others do. It is a ring: a reader that falls behind loses the
//! oldest records and is told how many, and holds up no operation. No tasks.

mod description;
mod entry;
mod stream;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use farsock_proto::payload::c_string;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};

pub(crate) use self::{
    description::{Answer, CallText},
    entry::Entry,
    stream::{StreamEntry, StreamEvent, StreamKind, StreamOutcome, What},
};
use crate::{
    engine::Owner,
    error::{Error, Result},
    operation::{Context, Operation},
    table::Handle,
};

/// How many records of an owner are kept for slow readers.
pub(crate) const CAPACITY: usize = 4096;
/// The most bytes of a payload that a record keeps.
pub(crate) const MAX_PAYLOAD: usize = 4096;

/// How many handles a record keeps: as many as one Poll may name. Messages full of SCM_RIGHTS may name more.
const MAX_HANDLES: usize = crate::operation::MAX_MESSAGES;

/// All channels.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// How many readers there are, of all owners. Mostly none: then an operation pays for one look at this, and for nothing else.
    readers: AtomicUsize,
    /// How many streams are open: their ends, too, come before the journal's.
    streams: AtomicUsize,
    channels: Mutex<Channels>,
}

/// An owner has a channel just while it has readers.
#[derive(Debug, Default)]
struct Channels {
    ended: bool,
    by_owner: HashMap<Owner, Arc<Channel>>,
}

#[derive(Debug)]
struct Channel {
    records: broadcast::Sender<Arc<Record>>,
    /// How many readers want payloads: without one, none is copied.
    payload_readers: AtomicUsize,
    /// The last record's number; held while a record is sent, so that they arrive in order.
    last: Mutex<u64>,
}

/// An operation that has ended.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) sequence: u64,
    pub(crate) owner: Owner,
    pub(crate) session_id: Option<String>,
    pub(crate) request_id: Option<u64>,
    pub(crate) verb: &'static str,
    pub(crate) handle: Option<Handle>,
    /// Handles beside that one: those it asked about, and those it made.
    pub(crate) others: Vec<Handle>,
    /// "= 0 (127.0.0.1:4000)".
    pub(crate) result: String,
    pub(crate) errno_name: Option<&'static str>,
    pub(crate) bytes: Option<usize>,
    pub(crate) start: SystemTime,
    pub(crate) waited: Duration,
    pub(crate) duration: Duration,
    /// What happened to a stream.
    pub(crate) stream: Option<StreamEvent>,
    call: CallText,
    payload: Option<Payload>,
}

/// The start of a payload.
#[derive(Clone, Debug)]
struct Payload {
    data: Bytes,
    /// How long all of it is.
    length: usize,
}

/// What a reader is told.
#[derive(Debug)]
pub(crate) enum News {
    /// An operation has ended.
    Record(Arc<Record>),
    /// The reader fell behind by so many records.
    Missed(u64),
}

/// Somebody who watches an owner's operations.
#[derive(Debug)]
pub(crate) struct Reader {
    journal: Arc<Journal>,
    owner: Owner,
    payload: bool,
    /// None only while it is dropped.
    records: Option<broadcast::Receiver<Arc<Record>>>,
}

impl Journal {
    /// Watches the owner's operations from now on, with their payloads or without.
    ///
    /// # Errors
    /// The daemon is shutting down.
    pub(crate) fn watch(self: &Arc<Self>, owner: Owner, payload: bool) -> Result<Reader> {
        let mut channels = self.lock();
        if channels.ended {
            return Err(Error::Draining);
        }
        let channel = channels.by_owner.entry(owner).or_insert_with(|| {
            Arc::new(Channel {
                records: broadcast::Sender::new(CAPACITY),
                payload_readers: AtomicUsize::new(0),
                last: Mutex::new(0),
            })
        });
        let count = usize::from(payload);
        channel.payload_readers.fetch_add(count, Ordering::Relaxed);
        let records = Some(channel.records.subscribe());
        self.readers.fetch_add(1, Ordering::Relaxed);
        Ok(Reader {
            journal: Arc::clone(self),
            owner,
            payload,
            records,
        })
    }

    /// Begins an operation's entry, if its owner is watched. Whoever reads of the reader's start, and then begins an operation, finds it
    /// watched.
    pub(crate) fn begin<O: Operation>(
        &self,
        context: &Context,
        operation: &O,
    ) -> Option<Box<Entry>> {
        let channel = self.watched(context.owner)?;
        Some(Box::new(Entry::new(channel, context, operation)))
    }

    /// Ends the readers, after what they have yet to read, and after the ends of the streams that are open. For when no operation is
    /// under way.
    pub(crate) fn end(&self) {
        let mut channels = self.lock();
        channels.ended = true;
        if self.streams.load(Ordering::SeqCst) == 0 {
            channels.by_owner.clear();
        }
    }

    /// A stream was opened.
    fn stream_begins(&self) {
        self.streams.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended, and its record is written.
    fn stream_ends(&self) {
        if self.streams.fetch_sub(1, Ordering::SeqCst) == 1 {
            let mut channels = self.lock();
            // Either this sees the end, or the end has seen that there is no stream.
            if channels.ended {
                channels.by_owner.clear();
            }
        }
    }

    /// The owner's channel, if somebody watches.
    fn watched(&self, owner: Owner) -> Option<Arc<Channel>> {
        if self.readers.load(Ordering::Relaxed) == 0 {
            return None;
        }
        self.lock().by_owner.get(&owner).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Channels> {
        // Nothing panics between two changes that belong together.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    fn wants_payload(&self) -> bool {
        self.payload_readers.load(Ordering::Relaxed) > 0
    }

    fn send(&self, mut record: Record) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        record.sequence = *last;
        // Without readers it is lost, and nobody misses it.
        let _ = self.records.send(Arc::new(record));
    }
}

impl Reader {
    /// What is news already.
    pub(crate) fn try_next(&mut self) -> Option<News> {
        match self.records.as_mut()?.try_recv() {
            Ok(record) => Some(News::Record(record)),
            Err(TryRecvError::Lagged(count)) => Some(News::Missed(count)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }

    /// The next news; none when the daemon has ended its last operation.
    pub(crate) async fn next(&mut self) -> Option<News> {
        match self.records.as_mut()?.recv().await {
            Ok(record) => Some(News::Record(record)),
            Err(RecvError::Lagged(count)) => Some(News::Missed(count)),
            Err(RecvError::Closed) => None,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.journal.readers.fetch_sub(1, Ordering::Relaxed);
        let mut channels = self.journal.lock();
        self.records = None;
        // Gone if the journal has ended.
        if let Some(channel) = channels.by_owner.get(&self.owner) {
            let count = usize::from(self.payload);
            channel.payload_readers.fetch_sub(count, Ordering::Relaxed);
            if channel.records.receiver_count() == 0 {
                channels.by_owner.remove(&self.owner);
            }
        }
    }
}

impl Record {
    /// The call with its arguments, and up to `bytes` bytes of its payload among them.
    pub(crate) fn call(&self, bytes: usize) -> String {
        self.call.with_payload(|| {
            let payload = self.payload.as_ref().filter(|_| bytes > 0)?;
            let shown = payload.data.slice(..bytes.min(payload.data.len()));
            let cut = if shown.len() < payload.length {
                "..."
            } else {
                ""
            };
            Some(format!("{}{cut}", c_string(&shown)))
        })
    }

    /// The first `bytes` bytes of its payload, if it is known.
    pub(crate) fn payload(&self, bytes: usize) -> Option<Bytes> {
        let data = &self.payload.as_ref().filter(|_| bytes > 0)?.data;
        Some(data.slice(..bytes.min(data.len())))
    }

    /// Whether it was on this handle, among others, or made it.
    pub(crate) fn concerns(&self, handle: Handle) -> bool {
        self.handle == Some(handle) || self.others.contains(&handle)
    }
}

impl Payload {
    /// Copies what a record keeps of it: the whole would keep much more memory from being freed.
    fn of(data: &[u8]) -> Self {
        Self {
            data: Bytes::copy_from_slice(&data[..data.len().min(MAX_PAYLOAD)]),
            length: data.len(),
        }
    }
}

#[cfg(test)]
mod tests;
