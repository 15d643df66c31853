//! `farsock getpeername`: getpeername(2).

use serde_json::json;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::Output,
};

/// Print the address of a socket's peer
///
/// Corresponds to getpeername(2).
#[derive(clap::Args)]
pub(crate) struct Getpeername {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
}

impl Getpeername {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let client = global.client().await?;
        let address = client
            .adopt(handle)
            .peer_name()
            .await
            .tried(|| format!("getpeername {handle}"))?;
        Ok(output.value(&address, &json!({ "address": address.to_string() }))?)
    }
}
