//! `farsock recvmsg`: recvmsg(2), a message with control messages.

use farsock_client::{Received, RecvMessagesOptions};
use serde_json::{Value, json};

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    flags::RecvFlags,
    output::{Format, Output},
    received, show,
};

/// Receive a message with its control messages, and print all of it
///
/// Waits until there is something; see --timeout. The table format shows the sender's address, a space and the text on one line, escaped as
/// recvfrom does, then one line for each part of a control message; raw writes the message's exact bytes and nothing else. Sockets that came with the message
/// (rights.handles) are one's own now. Corresponds to recvmsg(2).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock opt set 4 IP_RECVTTL on; farsock recvmsg 4
  farsock recvmsg 4 --errqueue                    the ICMP error behind an ECONNREFUSED (IP_RECVERR)
  farsock recvmsg 5 -o json | jq '.control[].rights.handles'")]
pub(crate) struct Recvmsg {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    /// How many bytes to receive at most: up to 2 MiB, which is `limits.max_payload_bytes` of `farsock -o json host`
    #[arg(short = 'n', long, value_name = "BYTES", default_value_t = received::DEFAULT_LENGTH)]
    length: usize,
    /// Room for control messages, 0-16384; what does not fit is cut off and told by CTRUNC [default: 1024]
    #[arg(long, value_name = "BYTES")]
    control_length: Option<usize>,
    #[command(flatten)]
    flags: RecvFlags,
}

impl Recvmsg {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let options = RecvMessagesOptions {
            max_messages: Some(1),
            length: Some(self.length),
            control_length: self.control_length,
            flags: self.flags.flags(),
            timeout: global.timeout,
        };
        let client = global.client().await?;
        let message = client
            .adopt(handle)
            .recv_messages(options)
            .await
            .tried(|| format!("recvmsg {handle}"))?
            .into_iter()
            .next()
            .ok_or_else(|| Failure::Local("the daemon's answer has no message".to_owned()))?;

        let sender = Some(message.address.as_ref());
        let received = Received {
            data: message.data,
            end_of_stream: message.end_of_stream,
            flags: message.flags,
            full_length: message.full_length,
        };
        if output.format() == Format::Json {
            let mut object = received::to_json(&received, sender);
            let control: Value = message
                .control
                .iter()
                .map(|message| show::control(message).json())
                .collect();
            object.insert("control".to_owned(), control);
            return Ok(output.json(&json!(object))?);
        }
        received::print(output, &received, sender)?;
        if output.format() == Format::Table {
            for message in &message.control {
                output.fields(&show::control(message))?;
            }
        }
        Ok(())
    }
}
