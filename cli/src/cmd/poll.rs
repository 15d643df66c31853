//! `farsock poll`: poll(2).

use std::str::FromStr;

use farsock_client::PollEvents;
use serde_json::json;

use crate::{
    args::Global,
    exit::{Failure, Tried},
    output::{Format, Output},
    show::Show,
};

/// Wait until one of several sockets is ready, and print those that are
///
/// Prints a line for each: the handle and its events. When --timeout ends the wait, prints nothing and exits with 0. A handle that does
/// not exist is ready with `nval`. With -o json: {"ready": [{"index": ..., "handle": ..., "events": ["in", ...]}, ...]}, where `index` is
/// the place among the arguments, from 0. Corresponds to poll(2).
#[derive(clap::Args)]
#[command(after_help = "\
Events: in, pri, out, rdhup; err, hup and nval are always reported

Examples:
  farsock poll 1 2 3 --timeout 1s          something to receive or accept
  farsock poll 1:in,rdhup 2:out
  farsock poll 3 --timeout 0               what is ready now")]
pub(crate) struct Poll {
    /// The sockets, and the events to wait for; without events: in
    #[arg(value_name = "HANDLE[:EVENT,...]", required = true)]
    entries: Vec<Entry>,
}

impl Poll {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let client = global.client().await?;
        let entries: Vec<_> = self
            .entries
            .iter()
            .map(|entry| (entry.0, entry.1))
            .collect();
        let ready = client
            .poll(&entries, global.timeout)
            .await
            .tried(|| "poll".to_owned())?;
        if output.format() == Format::Json {
            let ready: Vec<_> = ready
                .iter()
                .map(|ready| {
                    json!({
                        "index": ready.index,
                        "handle": ready.handle,
                        "events": ready.events.json(),
                    })
                })
                .collect();
            return Ok(output.json(&json!({ "ready": ready }))?);
        }
        for ready in ready {
            output.cells(&[ready.handle.text(), ready.events.text()])?;
        }
        Ok(())
    }
}

/// A handle, and the events to wait for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry(u64, PollEvents);

impl FromStr for Entry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (handle, events) = text.split_once(':').unwrap_or((text, "in"));
        let handle = handle
            .parse()
            .map_err(|_| format!("'{handle}' is no handle"))?;
        let events = events.split(',').try_fold(PollEvents::NONE, |all, name| {
            Ok::<_, String>(all | event(name)?)
        })?;
        Ok(Self(handle, events))
    }
}

fn event(name: &str) -> Result<PollEvents, String> {
    match name {
        "in" => Ok(PollEvents::IN),
        "pri" => Ok(PollEvents::PRI),
        "out" => Ok(PollEvents::OUT),
        "rdhup" => Ok(PollEvents::RDHUP),
        // Always reported: asking for one alone waits for nothing else.
        "err" | "hup" | "nval" => Ok(PollEvents::NONE),
        _ => Err(format!(
            "'{name}' is no event: expected in, pri, out, rdhup, err, hup or nval"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_handle_with_events_or_without() {
        assert_eq!("3".parse(), Ok(Entry(3, PollEvents::IN)));
        let both = PollEvents::OUT | PollEvents::RDHUP;
        assert_eq!("3:out,rdhup".parse(), Ok(Entry(3, both)));
        assert_eq!("3:hup".parse(), Ok(Entry(3, PollEvents::NONE)));
        for wrong in ["", "x", "3:", "3:inn", "-1", ":in"] {
            assert!(wrong.parse::<Entry>().is_err(), "{wrong:?}");
        }
    }
}
