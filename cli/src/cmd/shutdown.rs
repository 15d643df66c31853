//! `farsock shutdown`: shutdown(2).

use clap::builder::{PossibleValuesParser, TypedValueParser};
use farsock_client::ShutdownHow;

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::Output,
};

/// End one or both directions of a connection
///
/// Acts at once: a send that waits for room ends with what it has sent, and a connection that is being made is given up. Corresponds to
/// shutdown(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock shutdown 3 write      the peer sees the end of the stream, and may still answer
  farsock shutdown 3")]
pub(crate) struct Shutdown {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// Which direction
    #[arg(
        default_value = "both",
        value_parser = PossibleValuesParser::new(["read", "write", "both"])
            .try_map(|word| ShutdownHow::parse(&word))
    )]
    how: ShutdownHow,
}

impl Shutdown {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let Self { handle, how } = self;
        let client = global.client().await?;
        client
            .adopt(handle)
            .shutdown(how)
            .await
            .tried(|| format!("shutdown {handle} {how}"))?;
        Ok(output.done()?)
    }
}
