//! `farsock getsockname`: getsockname(2).

use serde_json::json;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::Output,
};

/// Print a socket's local address
///
/// Corresponds to getsockname(2).
#[derive(clap::Args)]
pub(crate) struct Getsockname {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
}

impl Getsockname {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let client = global.client().await?;
        let address = client
            .adopt(handle)
            .socket_name()
            .await
            .tried(|| format!("getsockname {handle}"))?;
        Ok(output.value(&address, &json!({ "address": address.to_string() }))?)
    }
}
