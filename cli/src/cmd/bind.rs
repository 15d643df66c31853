//! `farsock bind`: bind(2).

use serde_json::json;

use crate::{
    address::AddressArg,
    args::{Global, handle},
    exit::{Failure, Tried},
    output::Output,
};

/// Give a socket a local address and print the one it got
///
/// Port 0, and "unix:" for a unix socket, let the kernel choose. Corresponds to bind(2), and getsockname(2) for the answer.
#[derive(clap::Args)]
#[command(after_help = crate::address::with_address_forms!("\
Examples:
  farsock bind 1 127.0.0.1:0
  farsock bind 2 unix:/run/echo.sock"))]
pub(crate) struct Bind {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// The address it shall have
    address: AddressArg,
}

impl Bind {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { handle, address } = self;
        let client = global.client().await?;
        let local = client
            .adopt(handle)
            .bind(address.as_str())
            .await
            .tried(|| format!("bind {handle} {address}"))?;
        Ok(output.value(&local, &json!({ "local_address": local.to_string() }))?)
    }
}
