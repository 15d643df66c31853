//! `farsock send`: send(2).

use farsock_client::SendOptions;
use serde_json::json;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    flags::SendFlags,
    output::Output,
    payload::PayloadArgs,
};

/// Send on a connected socket and print how many bytes the kernel took
///
/// One call: one datagram on a datagram socket; everything on a stream socket, unless it is non-blocking or --timeout ends the
/// wait. At most 2 MiB in one call, which is `limits.max_payload_bytes` of `farsock -o json host`; `nc` sends more. Corresponds to send(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock send 3 hello
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | farsock send 3
  farsock send 3 --hex 'de ad be ef'
  farsock send 3 ''                       a datagram of 0 bytes")]
pub(crate) struct Send {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    flags: SendFlags,
}

impl Send {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let options = SendOptions {
            flags: self.flags.flags(),
            timeout: global.timeout,
        };
        let payload = self.payload.read()?;
        let client = global.client().await?;
        let sent = client
            .adopt(handle)
            .send_with(payload, options)
            .await
            .tried(|| format!("send {handle}"))?;
        Ok(output.value(sent, &json!({ "bytes_sent": sent }))?)
    }
}
