//! `farsock splice`: a relay between two sockets.

use farsock_client::{SpliceOptions, SplicedDirection};
use serde_json::{Value, json};

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried, bare_text},
    output::{Format, Output},
};

/// Relay between two connected sockets within the daemon, and print what was moved
///
/// What is received of each is sent on the other, until both directions have ended; the end of a stream is passed on. Datagram sockets must
/// be connected to their peers: what one receives for another without a peer is lost. Prints a line for each direction: the two handles,
/// how many bytes were moved, how many more were received and not delivered, and what ended it: `end` is the end of the stream. Exits with 0 however the directions ended, but fails if nothing was moved before --timeout. Corresponds to
/// recv(2) and send(2), or to splice(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock splice 3 4                  until both peers have ended
  farsock splice 3 4 --timeout 1h
  farsock splice 3 3                  an echo")]
pub(crate) struct Splice {
    /// A connected socket's handle
    #[arg(value_parser = handle)]
    first: u64,
    /// Another one's, or the same
    #[arg(value_parser = handle)]
    second: u64,
}

impl Splice {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { first, second } = self;
        let options = SpliceOptions {
            timeout: global.timeout,
        };
        let client = global.client().await?;
        let spliced = client
            .adopt(first)
            .splice_with(&second, options)
            .await
            .tried(|| format!("splice {first} {second}"))?;
        let there = &spliced.first_to_second;
        let back = spliced.second_to_first.as_ref();
        if output.format() == Format::Json {
            return Ok(output.json(&json!({
                "first_to_second": in_json(there),
                "second_to_first": back.map(in_json),
            }))?);
        }
        let mut rows = vec![row(first, second, there)];
        rows.extend(back.map(|back| row(second, first, back)));
        Ok(output.rows(&["FROM", "TO", "BYTES", "UNDELIVERED", "END"], &rows)?)
    }
}

fn row(from: u64, to: u64, direction: &SplicedDirection) -> Vec<String> {
    let numbers = [from, to, direction.bytes, direction.undelivered];
    let mut row: Vec<_> = numbers.iter().map(u64::to_string).collect();
    row.push(ended_by(direction).unwrap_or_else(|| "end".to_owned()));
    row
}

fn in_json(direction: &SplicedDirection) -> Value {
    json!({
        "bytes": direction.bytes,
        "undelivered": direction.undelivered,
        "error": ended_by(direction),
        "text": direction.error.as_ref().map(bare_text),
    })
}

/// The name of the errno or of the daemon's reason.
fn ended_by(direction: &SplicedDirection) -> Option<String> {
    let error = direction.error.as_ref()?;
    let reason = || error.reason().map(|reason| reason.as_str());
    let name = error.errno_name().or_else(reason);
    Some(name.map_or_else(|| format!("{:?}", error.code()), str::to_owned))
}
