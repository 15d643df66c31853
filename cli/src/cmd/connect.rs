//! `farsock connect`: connect(2).

use farsock_client::ConnectOptions;
use serde_json::json;

use crate::{
    address::AddressArg,
    args::{Global, handle},
    exit::{Failure, Tried},
    output::{Format, Output},
};

/// Connect a socket, or set a datagram socket's peer, and print its local address
///
/// Waits until the kernel has an answer; see --timeout. Ended early it leaves the socket connecting: `farsock poll 3:out` waits for
/// the end and `farsock opt get 3 SO_ERROR` tells it; a unix socket only waits for room in the listener's queue, and is to be connected
/// again. Corresponds to connect(2), and getsockname(2) for the answer.
#[derive(clap::Args)]
#[command(after_help = crate::address::with_address_forms!("\
Examples:
  farsock connect 3 127.0.0.1:4000 --timeout 2s
  farsock connect 4 unspecified             dissolve a datagram socket's association"))]
pub(crate) struct Connect {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// The peer's address
    address: AddressArg,
}

impl Connect {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { handle, address } = self;
        let options = ConnectOptions {
            timeout: global.timeout,
        };
        let client = global.client().await?;
        let local = client
            .adopt(handle)
            .connect_with(address.as_str(), options)
            .await
            .tried(|| format!("connect {handle} {address}"))?
            .map(|local| local.to_string());
        match (output.format(), &local) {
            (Format::Json, _) => output.json(&json!({ "local_address": local }))?,
            (_, Some(local)) => output.line(local)?,
            (_, None) => {}
        }
        Ok(())
    }
}
