//! `farsock accept`: accept4(2).

use farsock_client::AcceptOptions;
use serde_json::json;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::{Format, Output},
};

/// Take the next connection from a listening socket and print its handle and its peer
///
/// Waits until there is one; see --timeout. With `-o raw`, prints the handle alone. Corresponds to accept4(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock accept 1 --timeout 5s
  read C PEER < <(farsock accept 1)
  C=$(farsock accept 1 -o raw)")]
pub(crate) struct Accept {
    /// The listening socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// Let calls on the new socket end in EAGAIN instead of waiting (SOCK_NONBLOCK)
    #[arg(long)]
    nonblocking: bool,
}

impl Accept {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let listener = self.handle;
        let client = global.client().await?;
        let options = AcceptOptions {
            nonblocking: self.nonblocking,
            timeout: global.timeout,
        };
        let (socket, peer) = client
            .adopt(listener)
            .accept_with(options)
            .await
            .tried(|| format!("accept {listener}"))?;
        let handle = socket.into_handle();
        match output.format() {
            Format::Table => output.line(format_args!("{handle} {peer}"))?,
            Format::Raw => output.line(handle)?,
            Format::Json => output.json(&json!({
                "handle": handle,
                "peer_address": peer.to_string(),
            }))?,
        }
        Ok(())
    }
}
