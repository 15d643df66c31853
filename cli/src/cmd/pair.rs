//! `farsock pair`: socketpair(2).

use serde_json::json;

use crate::{
    args::Global,
    exit::{Failure, Tried},
    kind::{self, KindArgs},
    output::{Format, Output},
};

/// Create two sockets that are connected with each other and print their handles
///
/// Linux has pairs of unix sockets alone. Corresponds to socketpair(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  read A B < <(farsock pair unix)
  farsock pair unix-seqpacket")]
pub(crate) struct Pair {
    #[command(flatten)]
    kind: KindArgs,
    /// Let calls on the sockets end in EAGAIN instead of waiting (SOCK_NONBLOCK)
    #[arg(long)]
    nonblocking: bool,
}

impl Pair {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let (domain, r#type, protocol) = self.kind.parts();
        let client = global.client().await?;
        let (first, second) = client
            .socket_pair_with(domain, r#type, protocol, self.nonblocking)
            .await
            .tried(|| format!("pair {}", kind::word(domain, r#type, protocol)))?;
        let (first, second) = (first.into_handle(), second.into_handle());
        match output.format() {
            Format::Json => output.json(&json!({ "first": first, "second": second }))?,
            Format::Table | Format::Raw => {
                output.cells(&[first.to_string(), second.to_string()])?;
            }
        }
        Ok(())
    }
}
