//! `farsock journal`: what is done to one's sockets, as strace(1) shows it.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use farsock_client::{
    JournalDirection, JournalEvent, JournalOptions, JournalRecord, JournalStream,
    JournalStreamEvent,
};
use serde_json::{Value, json};

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::{self, Format, Output},
    payload,
    show::{Fields, Show},
};

/// How many records are printed without --follow.
const DEFAULT_COUNT: u64 = 10;

/// Watch operations on one's own sockets, as strace(1) would show them
///
/// Prints a line for each operation that ends from now on, whichever program asked for it: when it began (UTC), its session or else its owner,
/// the call, what it returned, and how long it took, in seconds. "attached" on stderr tells that it has begun. Payloads are "..." unless
/// --payload asks for them. `= ? (abandoned)` is a call whose client went away before its end. Whoever reads too slowly is told how
/// many records are missing.
///
/// Of the bulk data that nc, forward and programs stream there is a line when a stream is opened, such as `stream_open(3, 1048576) = 0`,
/// and one when it has ended, with what it moved: `stream_end(3) = 12 (5 sent until SHUT_WR, 7 received until EOF)`. One that was opened
/// again after a broken connection is `= 0 (resumed at 5 sent, 7 received)`. Datagrams have `datagrams_open` and `datagrams_end`, accepted
/// connections `accept_many_open`, an `accept` each, and `accept_many_end`.
///
/// With --session, only that session's operations, until it is over: that ends the command with exit status 4. Watching renews no lease.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock journal --follow                  until Ctrl-C, or the daemon's end
  farsock journal -n 1 --handle 3           the next call on socket 3
  farsock journal --follow --payload 32     and the first 32 bytes of each payload
  farsock journal --follow -o json | jq 'select(.errno_name == \"EAGAIN\")'")]
pub(crate) struct Journal {
    /// Go on until Ctrl-C, the daemon's end, or with --session the session's
    #[arg(short, long)]
    follow: bool,
    /// End after so many records [default: 10; with --follow: no end]
    #[arg(short = 'n', long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Only operations on this handle, or that made it
    #[arg(long, value_parser = handle)]
    handle: Option<u64>,
    /// How many bytes of each payload to show, 0-4096
    #[arg(long, value_name = "BYTES", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=4096))]
    payload: u32,
}

impl Journal {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let client = global.client().await?;
        let options = JournalOptions {
            handle: self.handle,
            session_id: global.session.clone(),
            payload_bytes: self.payload,
        };
        let mut journal = client
            .journal(options)
            .await
            .tried(|| "journal".to_owned())?;
        // The first poll installs the handler: whoever has read "attached" may interrupt.
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        let handled = poll_fn(|cx| Poll::Ready(interrupt.as_mut().poll(cx).is_pending())).await;
        output::note("attached");
        let mut left = match self.count {
            None if !self.follow => Some(DEFAULT_COUNT),
            count => count,
        };
        while left != Some(0) {
            let event = tokio::select! {
                event = journal.next() => event.tried(|| "journal".to_owned())?,
                // Without a handler, Ctrl-C ends the process as ever.
                _ = &mut interrupt, if handled => None,
            };
            match event {
                Some(JournalEvent::Record(record)) => {
                    print(output, &record)?;
                    left = left.map(|left| left - 1);
                }
                Some(JournalEvent::Missed(count)) => match output.format() {
                    Format::Json => output.json(&json!({ "missed": count }))?,
                    Format::Table | Format::Raw => {
                        output::note(format_args!("{count} records missed"));
                    }
                },
                None => break,
            }
            // Its reader may be a pipe, and is not to wait for the next one.
            output.flush()?;
        }
        Ok(())
    }
}

fn print(output: &mut Output, record: &JournalRecord) -> Result<(), Failure> {
    match output.format() {
        Format::Json => output.json(&fields(record).json())?,
        Format::Raw => output.cells(&[
            record.start_time.text(),
            record.owner.clone(),
            record.session_id.text(),
            record.call.clone(),
            record.result.clone(),
            seconds(record.waited),
            seconds(record.duration),
        ])?,
        Format::Table => output.line(line(record))?,
    }
    Ok(())
}

/// As strace(1) with -f, -tt and -T has it.
fn line(record: &JournalRecord) -> String {
    let time = record.start_time.text();
    // "2026-11-23T16:25:01.123456789Z": the date would only push the call to the right.
    let time = time.split_once('T').map_or(&*time, |(_, time)| time);
    let time = time.trim_end_matches('Z');
    let (seconds_text, fraction) = time.split_once('.').unwrap_or((time, ""));
    let who = match &record.session_id {
        Some(id) => short_id(id),
        None => &record.owner,
    };
    let waited = if record.waited.is_zero() {
        String::new()
    } else {
        format!(", waited {}", seconds(record.waited))
    };
    format!(
        "{seconds_text}.{fraction:0<6.6} [{who}] {} {} <{}{waited}>",
        record.call,
        record.result,
        seconds(record.duration)
    )
}

/// A session's id for people: enough of it to tell one from another.
pub(crate) fn short_id(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

fn seconds(duration: Duration) -> String {
    format!("{:.6}", duration.as_secs_f64())
}

fn fields(record: &JournalRecord) -> Fields {
    Fields::default()
        .with("sequence", record.sequence)
        .with("owner", record.owner.clone())
        .with("session_id", record.session_id.clone())
        .with("request_id", record.request_id)
        .with("verb", record.verb.clone())
        .with("handle", record.handle)
        .with("call", record.call.clone())
        .with("result", record.result.clone())
        .with("errno_name", record.errno_name.clone())
        .with("bytes", record.bytes)
        .with("start_time", record.start_time)
        .with("waited", record.waited)
        .with("duration", record.duration)
        .with(
            "payload_hex",
            record.payload.as_ref().map(|data| payload::to_hex(data)),
        )
        .with("stream", record.stream.as_ref().map(Stream))
}

/// What happened to a stream. In text it is in the call and its result.
struct Stream<'a>(&'a JournalStream);

impl Show for Stream<'_> {
    fn text(&self) -> String {
        self.json().to_string()
    }

    fn json(&self) -> Value {
        let fields = Fields::default().with("opening", self.0.opening);
        let fields = match &self.0.event {
            JournalStreamEvent::Opened {
                resumed,
                took_over,
                send_offset,
                receive_offset,
            } => fields
                .with("event", "opened")
                .with("resumed", *resumed)
                .with("took_over", *took_over)
                .with("send_offset", *send_offset)
                .with("receive_offset", *receive_offset),
            JournalStreamEvent::Ended { sent, received } => fields
                .with("event", "ended")
                .with("sent", sent.as_ref().map(Direction))
                .with("received", Direction(received)),
        };
        fields.json()
    }
}

/// What one direction moved.
struct Direction<'a>(&'a JournalDirection);

impl Show for Direction<'_> {
    fn text(&self) -> String {
        self.json().to_string()
    }

    fn json(&self) -> Value {
        let Self(direction) = self;
        Fields::default()
            .with("bytes", direction.bytes)
            .with("items", direction.items)
            .with("failed", direction.failed)
            .with("left", direction.left)
            .with("ended", direction.ended)
            .with("errno_name", direction.errno_name.clone())
            .json()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// A record of little.
    fn accepted() -> JournalRecord {
        JournalRecord {
            sequence: 1,
            owner: "uid 0".to_owned(),
            session_id: None,
            request_id: None,
            verb: "Accept".to_owned(),
            handle: Some(1),
            call: "accept(1)".to_owned(),
            result: "= 3 (127.0.0.1:5000)".to_owned(),
            errno_name: None,
            bytes: None,
            start_time: SystemTime::UNIX_EPOCH + Duration::from_millis(61_250),
            waited: Duration::ZERO,
            duration: Duration::from_micros(42),
            payload: None,
            stream: None,
        }
    }

    #[test]
    fn a_stream_is_an_object_in_json_and_null_where_there_is_none() {
        assert_eq!(fields(&accepted()).json()["stream"], Value::Null);
        let of = |event| JournalRecord {
            stream: Some(JournalStream { opening: 2, event }),
            ..accepted()
        };
        let opened = of(JournalStreamEvent::Opened {
            resumed: true,
            took_over: false,
            send_offset: 5,
            receive_offset: 7,
        });
        assert_eq!(
            fields(&opened).json()["stream"],
            json!({
                "opening": 2, "event": "opened", "resumed": true, "took_over": false, "send_offset": 5, "receive_offset": 7,
            })
        );
        let ended = of(JournalStreamEvent::Ended {
            sent: None,
            received: JournalDirection {
                items: 3,
                ended: true,
                errno_name: Some("EINVAL".to_owned()),
                ..JournalDirection::default()
            },
        });
        assert_eq!(
            fields(&ended).json()["stream"],
            json!({
                "opening": 2, "event": "ended", "sent": null,
                "received": {"bytes": 0, "items": 3, "failed": 0, "left": 0, "ended": true, "errno_name": "EINVAL"},
            })
        );
    }

    #[test]
    fn a_line_has_time_session_call_result_and_duration() {
        let mut record = accepted();
        assert_eq!(
            line(&record),
            "00:01:01.250000 [uid 0] accept(1) = 3 (127.0.0.1:5000) <0.000042>"
        );
        record.session_id = Some("0123456789abcdef0123456789abcdef".to_owned());
        record.start_time = SystemTime::UNIX_EPOCH;
        record.waited = Duration::from_micros(40);
        assert_eq!(
            line(&record),
            "00:00:00.000000 [01234567] accept(1) = 3 (127.0.0.1:5000) \
             <0.000042, waited 0.000040>"
        );
    }
}
