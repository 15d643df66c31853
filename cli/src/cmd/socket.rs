//! `farsock socket`: socket(2).

use farsock_client::SocketOptions;
use serde_json::json;

use crate::{
    args::Global,
    cmd::opt::Setting,
    exit::{Failure, Tried},
    kind::{self, KindArgs},
    output::Output,
};

/// Create a socket and print its handle
///
/// The socket stays open after this command, until `farsock close`. Corresponds to socket(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  S=$(farsock socket tcp)
  farsock socket udp6 -O IPV6_V6ONLY=on -O SO_RCVBUF=65536
  farsock socket --domain inet --type raw --protocol icmp
  farsock socket --domain packet --type dgram --protocol 8     htons(ETH_P_IP)")]
pub(crate) struct Socket {
    #[command(flatten)]
    kind: KindArgs,
    /// Let calls on the socket end in EAGAIN or EINPROGRESS instead of waiting (SOCK_NONBLOCK)
    #[arg(long)]
    nonblocking: bool,
    /// Set an option before anything else happens; if one fails there is no socket. See `farsock opt list`
    #[arg(short = 'O', long = "option", value_name = "NAME=VALUE")]
    options: Vec<Setting>,
}

impl Socket {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let (domain, r#type, protocol) = self.kind.parts();
        let options = SocketOptions {
            nonblocking: self.nonblocking,
            options: self.options.into_iter().map(Setting::into_parts).collect(),
        };
        let client = global.client().await?;
        let handle = client
            .socket_with(domain, r#type, protocol, options)
            .await
            .tried(|| format!("socket {}", kind::word(domain, r#type, protocol)))?
            .into_handle();
        Ok(output.value(handle, &json!({ "handle": handle }))?)
    }
}
