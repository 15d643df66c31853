//! `farsock listen`: listen(2).

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::Output,
};

/// Make a socket wait for connections
///
/// Corresponds to listen(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock listen 1
  farsock listen 1 0        the shortest queue")]
pub(crate) struct Listen {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// How many connections may wait to be accepted; the kernel caps it at net.core.somaxconn
    #[arg(default_value_t = 4096, allow_negative_numbers = true)]
    backlog: i32,
}

impl Listen {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { handle, backlog } = self;
        let client = global.client().await?;
        client
            .adopt(handle)
            .listen(backlog)
            .await
            .tried(|| format!("listen {handle} {backlog}"))?;
        Ok(output.done()?)
    }
}
