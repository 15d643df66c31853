//! `farsock info`: all that the daemon knows of one socket.

use farsock_client::SocketInfo;

use crate::{
    args::{Global, handle},
    cmd::ls,
    exit::{Failure, Tried},
    kind,
    output::Output,
    show::Fields,
    tcp_info,
};

/// Print all that is known of a socket
///
/// State, addresses, queues, counters, and TCP_INFO of a TCP socket. Corresponds to what ss(8) shows.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock info 3
  farsock info 3 -o json | jq .tcp_info.rtt       in seconds
  until [ $(farsock info 3 -o json | jq .waiting_operations) -gt 0 ]; do sleep 0.1; done
                                                  until a call waits on it")]
pub(crate) struct Info {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
}

impl Info {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let client = global.client().await?;
        let info = client
            .adopt(handle)
            .info()
            .await
            .tried(|| format!("info {handle}"))?;
        Ok(output.fields(&fields(&info))?)
    }
}

/// A socket, by the API's names.
pub(crate) fn fields(info: &SocketInfo) -> Fields {
    let counters = Fields::default()
        .with("bytes_sent", info.counters.bytes_sent)
        .with("bytes_received", info.counters.bytes_received)
        .with("messages_sent", info.counters.messages_sent)
        .with("messages_received", info.counters.messages_received)
        .with("connections_accepted", info.counters.connections_accepted);
    let fields = Fields::default()
        .with("handle", info.handle)
        .with("kind", kind::word(info.domain, info.kind, info.protocol))
        .with("domain", info.domain.to_string())
        .with("type", info.kind.to_string())
        .with("protocol", info.protocol.to_string())
        .with("state", ls::state(info))
        .with("local_address", info.local_address.clone())
        .with("peer_address", info.peer_address.clone())
        .with("nonblocking", info.nonblocking)
        .with("receive_queue", info.receive_queue)
        .with("send_queue", info.send_queue)
        .with("at_mark", info.at_mark)
        .with("create_time", info.create_time)
        .with("waiting_operations", info.waiting_operations)
        .with("inode", info.inode)
        .with("owner", info.owner.clone())
        .with("session_id", info.session_id.clone())
        .group("counters", counters);
    match &info.tcp_info {
        Some(tcp) => fields.group("tcp_info", tcp_info::fields(tcp)),
        None => fields,
    }
}
