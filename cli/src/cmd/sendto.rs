//! `farsock sendto`: sendto(2).

use farsock_client::SendOptions;
use serde_json::json;

use crate::{
    address::AddressArg,
    args::{Global, handle},
    exit::{Failure, Tried},
    flags::SendFlags,
    output::Output,
    payload::PayloadArgs,
};

/// Send to an address and print how many bytes the kernel took
///
/// Corresponds to sendto(2).
#[derive(clap::Args)]
#[command(after_help = crate::address::with_address_forms!("\
Examples:
  farsock sendto 4 127.0.0.1:5353 hello
  farsock sendto 4 127.0.0.1:5353 --data-file query.bin"))]
pub(crate) struct Sendto {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// Where to send
    address: AddressArg,
    #[command(flatten)]
    payload: PayloadArgs,
    #[command(flatten)]
    flags: SendFlags,
}

impl Sendto {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let (handle, address) = (self.handle, self.address);
        let options = SendOptions {
            flags: self.flags.flags(),
            timeout: global.timeout,
        };
        let payload = self.payload.read()?;
        let client = global.client().await?;
        let sent = client
            .adopt(handle)
            .send_to_with(payload, address.as_str(), options)
            .await
            .tried(|| format!("sendto {handle} {address}"))?;
        Ok(output.value(sent, &json!({ "bytes_sent": sent }))?)
    }
}
