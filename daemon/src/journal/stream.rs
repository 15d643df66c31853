//! Streams in the journal: what their openings and their ends read like.

use std::{
    fmt::{self, Write as _},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{CallText, Record};
use crate::{
    engine::{Engine, Owner},
    flow::{Half, Line, Side, Tally},
    operation::{AcceptMany, Context, Datagrams, Operation as _, Stream},
    table::Handle,
};

/// The kinds of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    Stream,
    Datagrams,
    AcceptMany,
}

/// What happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamEvent {
    /// Which opening it is; see [`Line::number`].
    pub(crate) opening: u64,
    pub(crate) what: What,
}

/// What can happen to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It was opened at these offsets.
    Opened {
        resumed: bool,
        took_over: bool,
        send_offset: u64,
        receive_offset: u64,
    },
    /// The opening has ended, and moved so much. Of connections none are sent.
    Ended { sent: Option<Side>, received: Side },
}

/// How an opening has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamOutcome {
    /// The client ended it.
    Finished,
    /// With the errno of that name.
    Kernel(&'static str),
    /// For that reason of the daemon's.
    Refused(&'static str),
    /// The client was gone.
    Abandoned,
}

/// An opening of a stream, which becomes a record when it ends, however that comes about: who watches then is told, so it is there
/// though nobody watches now.
#[derive(Debug)]
pub(crate) struct StreamEntry {
    engine: Arc<Engine>,
    owner: Owner,
    session_id: Option<String>,
    handle: Handle,
    kind: StreamKind,
    line: Arc<Line>,
    before: Tally,
    outcome: StreamOutcome,
    start: SystemTime,
    begin: Instant,
}

impl StreamKind {
    /// The verb, as the API names it.
    fn verb(self) -> &'static str {
        match self {
            Self::Stream => Stream::VERB,
            Self::Datagrams => Datagrams::VERB,
            Self::AcceptMany => AcceptMany::VERB,
        }
    }

    /// What the journal's names begin with.
    fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Datagrams => "datagrams",
            Self::AcceptMany => "accept_many",
        }
    }
}

impl StreamEntry {
    /// The opening that has `line`, when the flow had moved as much as `before` says.
    pub(crate) fn new(
        context: &Context,
        handle: Handle,
        kind: StreamKind,
        line: &Arc<Line>,
        before: Tally,
    ) -> Self {
        context.engine.journal.stream_begins();
        let session = context.session.as_ref();
        Self {
            engine: Arc::clone(&context.engine),
            owner: context.owner,
            session_id: session.map(|session| session.session_id().to_owned()),
            handle,
            kind,
            line: Arc::clone(line),
            before,
            outcome: StreamOutcome::Abandoned,
            start: SystemTime::now(),
            begin: Instant::now(),
        }
    }

    /// It has ended like this, and the line was left.
    pub(crate) fn end(mut self, outcome: StreamOutcome) {
        self.outcome = outcome;
    }

    fn record(&self) -> Record {
        let kind = self.kind;
        let left_at = self.line.left_at().unwrap_or(self.before);
        let Tally { sent, received } = left_at.since(self.before);
        let mut call = CallText::default();
        // A string takes all that is written.
        let _ = write!(call, "{}_end({})", kind.name(), self.handle);
        let ended = |side: Side| match side.ended? {
            Half::Shut => None,
            Half::Failed(name) => Some(name),
        };
        Record {
            // Given when it is sent.
            sequence: 0,
            owner: self.owner,
            session_id: self.session_id.clone(),
            request_id: None,
            verb: kind.verb(),
            handle: Some(self.handle),
            others: Vec::new(),
            result: result(kind, self.outcome, sent, received),
            errno_name: match self.outcome {
                StreamOutcome::Kernel(name) => Some(name),
                _ => ended(received).or(ended(sent)),
            },
            bytes: (kind != StreamKind::AcceptMany)
                .then(|| usize::try_from(sent.bytes + received.bytes).unwrap_or(usize::MAX)),
            start: self.start,
            waited: Duration::ZERO,
            duration: self.begin.elapsed(),
            stream: Some(StreamEvent {
                opening: self.line.number(),
                what: What::Ended {
                    sent: (kind != StreamKind::AcceptMany).then_some(sent),
                    received,
                },
            }),
            call,
            payload: None,
        }
    }
}

impl Drop for StreamEntry {
    fn drop(&mut self) {
        let Engine {
            journal, memory, ..
        } = &*self.engine;
        if let Some(channel) = journal.watched(self.owner) {
            channel.send(self.record());
        }
        journal.stream_ends();
        // What it kept is gone, or goes with its socket.
        memory.let_go();
    }
}

/// "= 12 (5 sent until SHUT_WR, 7 received)".
fn result(kind: StreamKind, outcome: StreamOutcome, sent: Side, received: Side) -> String {
    let details: Vec<String> = match kind {
        StreamKind::Stream => vec![
            Text(sent, "sent", "SHUT_WR", "undelivered").of_bytes(),
            Text(received, "received", "EOF", "unacknowledged").of_bytes(),
        ],
        StreamKind::Datagrams => vec![
            Text(sent, "sent", "", "undelivered").of_datagrams(),
            Text(received, "received", "", "unacknowledged").of_datagrams(),
        ],
        StreamKind::AcceptMany => Text(received, "accepted", "", "unacknowledged").remarks(),
    };
    let detail = details.join(", ");
    let moved = match kind {
        StreamKind::Stream => sent.bytes + received.bytes,
        StreamKind::Datagrams | StreamKind::AcceptMany => sent.items + received.items,
    };
    // What follows a word within the parentheses, and what has them to itself.
    let (after, alone) = match detail.is_empty() {
        true => (String::new(), String::new()),
        false => (format!(", {detail}"), format!(" ({detail})")),
    };
    match outcome {
        StreamOutcome::Finished => format!("= {moved}{alone}"),
        StreamOutcome::Kernel(name) => format!("= -1 {name}{alone}"),
        StreamOutcome::Refused(reason) => format!("= {reason}{alone}"),
        StreamOutcome::Abandoned => format!("= ? (abandoned{after})"),
    }
}

/// A direction, what its bytes did, what its end in order is called, and what is left of it.
struct Text(Side, &'static str, &'static str, &'static str);

impl Text {
    /// "5 sent until SHUT_WR with 3 undelivered".
    fn of_bytes(&self) -> String {
        let Self(side, did, shut, _) = self;
        let until = match side.ended {
            None => String::new(),
            Some(Half::Shut) => format!(" until {shut}"),
            Some(Half::Failed(name)) => format!(" until {name}"),
        };
        format!("{} {did}{until}{}", side.bytes, self.with())
    }

    /// "100 bytes in 2 sent with 1 failed".
    fn of_datagrams(&self) -> String {
        let Self(side, did, ..) = self;
        let (bytes, items) = (side.bytes, side.items);
        format!("{bytes} bytes in {items} {did}{}", self.with())
    }

    /// "1 failed" and "3 undelivered", as far as there are any.
    fn remarks(&self) -> Vec<String> {
        let Self(side, _, _, left) = self;
        [(side.failed, "failed"), (side.left, left)]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }

    fn with(&self) -> String {
        match self.remarks().join(" and ") {
            none if none.is_empty() => none,
            remarks => format!(" with {remarks}"),
        }
    }
}

/// "resumed at 5 sent, 7 received": where an opening goes on; nothing of one that begins.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened {
                resumed,
                took_over,
                send_offset,
                receive_offset,
            } => {
                let how = match (took_over, resumed) {
                    (true, _) => "took over",
                    (false, true) => "resumed",
                    (false, false) => return Ok(()),
                };
                write!(f, "{how} at {send_offset} sent, {receive_offset} received")
            }
            Self::Ended { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(bytes: u64, ended: Option<Half>) -> Side {
        Side {
            bytes,
            ended,
            ..Side::default()
        }
    }

    #[test]
    fn a_streams_end_tells_both_ways_how_far_they_came_and_how_they_ended() {
        let text = |outcome, sent, received| result(StreamKind::Stream, outcome, sent, received);
        let shut = Some(Half::Shut);
        assert_eq!(
            text(StreamOutcome::Finished, side(5, shut), side(7, shut)),
            "= 12 (5 sent until SHUT_WR, 7 received until EOF)"
        );
        let reset = Some(Half::Failed("ECONNRESET"));
        assert_eq!(
            text(
                StreamOutcome::Refused("HANDLE_CLOSED"),
                side(5, None),
                side(7, reset)
            ),
            "= HANDLE_CLOSED (5 sent, 7 received until ECONNRESET)"
        );
        let stuck = Side {
            left: 3,
            ..side(5, None)
        };
        assert_eq!(
            text(StreamOutcome::Abandoned, stuck, side(0, None)),
            "= ? (abandoned, 5 sent with 3 undelivered, 0 received)"
        );
    }

    #[test]
    fn the_ends_of_datagrams_and_connections_count_them() {
        let sent = Side {
            bytes: 100,
            items: 2,
            failed: 1,
            ..Side::default()
        };
        let received = Side {
            bytes: 64,
            items: 1,
            left: 128,
            ..Side::default()
        };
        assert_eq!(
            result(
                StreamKind::Datagrams,
                StreamOutcome::Finished,
                sent,
                received
            ),
            "= 3 (100 bytes in 2 sent with 1 failed, 64 bytes in 1 received with 128 unacknowledged)"
        );
        let accepted = Side {
            items: 2,
            ..Side::default()
        };
        let many =
            |outcome, accepted| result(StreamKind::AcceptMany, outcome, Side::default(), accepted);
        assert_eq!(many(StreamOutcome::Finished, accepted), "= 2");
        assert_eq!(many(StreamOutcome::Abandoned, accepted), "= ? (abandoned)");
        let failed = Side {
            failed: 1,
            left: 3,
            ..accepted
        };
        assert_eq!(
            many(StreamOutcome::Finished, failed),
            "= 2 (1 failed, 3 unacknowledged)"
        );
    }
}
