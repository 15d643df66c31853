//! `farsock recvfrom`: recvfrom(2).

use farsock_client::RecvOptions;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    flags::RecvFlags,
    output::Output,
    received,
};

/// Receive a message, and print its sender's address and what was received
///
/// Waits until there is something; see --timeout. The table format shows the address, a space and the text on one line, in which line feeds and
/// all else that would drive a terminal are escaped; raw writes the message's exact bytes and nothing else; json holds both. A message that was longer than --length is told on stderr. Corresponds to
/// recvfrom(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock recvfrom 4 --timeout 5s
  farsock recvfrom 4 -o json | jq -r .address
  farsock recvfrom 4 -n 0 --peek -o json | jq .full_length      the next datagram's size")]
pub(crate) struct Recvfrom {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// How many bytes to receive at most: up to 2 MiB, which is `limits.max_payload_bytes` of `farsock -o json host`
    #[arg(short = 'n', long, value_name = "BYTES", default_value_t = received::DEFAULT_LENGTH)]
    length: usize,
    #[command(flatten)]
    flags: RecvFlags,
}

impl Recvfrom {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let options = RecvOptions {
            flags: self.flags.flags(),
            timeout: global.timeout,
        };
        let client = global.client().await?;
        let (received, address) = client
            .adopt(handle)
            .recv_from_with(self.length, options)
            .await
            .tried(|| format!("recvfrom {handle}"))?;
        received::print(output, &received, Some(address.as_ref()))
    }
}
