//! An operation under way that is to be in the journal.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Answer, CallText, Channel, MAX_HANDLES, Payload, Record, description};
use crate::{
    error::Error,
    operation::{Context, Operation},
    socket::Watch,
    table::Handle,
};

/// What the result says of an operation that was dropped: its client has gone, or the deadline was over.
const ABANDONED: &str = "= ? (abandoned)";

/// Becomes a record when it is dropped: that is how operations are recorded that are dropped themselves.
#[derive(Debug)]
pub(crate) struct Entry {
    channel: Arc<Channel>,
    watch: Arc<Watch>,
    begin: Instant,
    /// None only while it is dropped.
    record: Option<Record>,
    /// The session's end waits for it. Dropped after the record is sent.
    _counted: Option<TaskTrackerToken>,
}

impl Entry {
    pub(super) fn new<O: Operation>(
        channel: Arc<Channel>,
        context: &Context,
        operation: &O,
    ) -> Self {
        let mut call = CallText::default();
        // It fails only if a value's Display does; then the text is as long as it got.
        let _ = operation.describe(&mut call);
        let payload = operation
            .payload()
            .filter(|_| channel.wants_payload())
            .map(Payload::of);
        let watch = context.watch.clone().unwrap_or_default();
        Self {
            channel,
            watch,
            begin: Instant::now(),
            _counted: context
                .session
                .as_ref()
                .map(|session| session.entries.token()),
            record: Some(Record {
                // Given when it is sent.
                sequence: 0,
                owner: context.owner,
                session_id: context
                    .session
                    .as_ref()
                    .map(|session| session.session_id().to_owned()),
                request_id: context.request_id,
                verb: O::VERB,
                handle: operation.handle(),
                others: bounded(operation.others()),
                result: ABANDONED.to_owned(),
                errno_name: None,
                bytes: None,
                start: SystemTime::now(),
                waited: Duration::ZERO,
                duration: Duration::ZERO,
                call,
                payload,
                stream: None,
            }),
        }
    }

    /// Who watches the operation, so that its waits are known.
    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// The operation is part of what that verb does.
    pub(crate) fn of(mut self: Box<Self>, verb: &'static str) -> Box<Self> {
        if let Some(record) = &mut self.record {
            record.verb = verb;
        }
        self
    }

    /// There was nothing to record.
    pub(crate) fn forget(entry: Option<Box<Self>>) {
        if let Some(mut entry) = entry {
            entry.record = None;
        }
    }

    /// The operation has ended.
    pub(crate) fn end(mut self, outcome: Result<Answer<'_>, &Error>) {
        let Some(record) = &mut self.record else {
            return;
        };
        (record.result, record.errno_name) = description::result(&outcome);
        if let Ok(answer) = outcome {
            record.others.extend(answer.made);
            record.others = bounded(std::mem::take(&mut record.others));
            record.bytes = answer.bytes;
            record.stream = answer.stream;
            let received = answer.payload.filter(|_| self.channel.wants_payload());
            if let Some(data) = received {
                record.payload = Some(Payload::of(data));
            }
        }
    }
}

/// No more handles than a record keeps.
fn bounded(mut handles: Vec<Handle>) -> Vec<Handle> {
    if handles.len() > MAX_HANDLES {
        handles.truncate(MAX_HANDLES);
        handles.shrink_to_fit();
    }
    handles
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(mut record) = self.record.take() {
            record.waited = self.watch.waited();
            record.duration = self.begin.elapsed();
            self.channel.send(record);
        }
    }
}
