//! `farsock recv`: recv(2).

use farsock_client::RecvOptions;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    flags::RecvFlags,
    output::Output,
    received,
};

/// Receive, and print what was received
///
/// Waits until there is something; see --timeout. The table format shows text, and escapes what would drive a terminal, but for line feeds and
/// tabs; raw writes the exact bytes and nothing else, whatever they do to a terminal; json holds `text` if it is UTF-8 and `data` in base64 otherwise, with the flags and the full
/// length. The end of a stream and truncation are told on stderr. Corresponds to recv(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock recv 2 --timeout 5s
  farsock recv 2 -n 4 --waitall          exactly 4 bytes of a stream
  farsock recv 2 --peek                  what is next, without taking it
  farsock recv 2 -o raw > received.bin")]
pub(crate) struct Recv {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// How many bytes to receive at most: up to 2 MiB, which is `limits.max_payload_bytes` of `farsock -o json host`
    #[arg(short = 'n', long, value_name = "BYTES", default_value_t = received::DEFAULT_LENGTH)]
    length: usize,
    #[command(flatten)]
    flags: RecvFlags,
}

impl Recv {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let options = RecvOptions {
            flags: self.flags.flags(),
            timeout: global.timeout,
        };
        let client = global.client().await?;
        let received = client
            .adopt(handle)
            .recv_with(self.length, options)
            .await
            .tried(|| format!("recv {handle}"))?;
        received::print(output, &received, None)
    }
}
