//! `farsock sendmsg`: sendmsg(2), a message with control messages.

use std::{net::IpAddr, str::FromStr};

use farsock_client::{Client, ControlMessage, Credentials, OutgoingMessage, Rights, SendOptions};
use serde_json::json;

use crate::{
    address::{AddressArg, with_address_forms},
    args::{Global, handle, integer},
    exit::{Failure, Tried},
    flags::SendFlags,
    output::Output,
    payload::{self, PayloadArgs},
};

/// Send a message with control messages, and print how many bytes the kernel took
///
/// Corresponds to sendmsg(2).
#[derive(clap::Args)]
#[command(after_help = with_address_forms!("\
Examples:
  farsock sendmsg 4 --to 127.0.0.1:5353 hello --ttl 1
  farsock sendmsg 5 --rights 1,2 'two sockets'        through a unix socket
  farsock sendmsg 4 --to 10.0.0.2:9 x --source 10.0.0.1 --interface eth0
  farsock sendmsg 4 --to 10.0.0.2:9 x --tos 0xb8"))]
pub(crate) struct Sendmsg {
    /// The socket's handle
    #[arg(value_parser = handle)]
    handle: u64,
    #[command(flatten)]
    payload: PayloadArgs,
    /// Where to send; without it, to the socket's peer
    #[arg(long, value_name = "ADDRESS")]
    to: Option<AddressArg>,
    #[command(flatten)]
    control: ControlArgs,
    #[command(flatten)]
    flags: SendFlags,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Control messages")]
struct ControlArgs {
    /// IP_TTL: the time to live
    #[arg(long, value_name = "HOPS", value_parser = integer::<i32>)]
    ttl: Option<i32>,
    /// IPV6_HOPLIMIT: the hop limit
    #[arg(long, value_name = "HOPS", allow_negative_numbers = true, value_parser = integer::<i32>)]
    hop_limit: Option<i32>,
    /// IP_TOS: the type of service byte
    #[arg(long, value_name = "BYTE", value_parser = integer::<i32>)]
    tos: Option<i32>,
    /// IPV6_TCLASS: the traffic class
    #[arg(long, value_name = "BYTE", allow_negative_numbers = true, value_parser = integer::<i32>)]
    tclass: Option<i32>,
    /// IP_PKTINFO or IPV6_PKTINFO: the source address; 0.0.0.0 or :: let the kernel choose
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
    /// IP_PKTINFO or IPV6_PKTINFO: the interface of the daemon's host to send from, by index or name
    #[arg(long, value_name = "INDEX|NAME", requires = "source")]
    interface: Option<String>,
    /// UDP_SEGMENT: the size of the datagrams to cut the payload into
    #[arg(long, value_name = "BYTES", value_parser = integer::<u16>)]
    segment_size: Option<u16>,
    /// SCM_RIGHTS: sockets that travel with the message; they stay open here
    #[arg(long, value_name = "HANDLE,...", value_delimiter = ',', value_parser = handle)]
    rights: Vec<u64>,
    /// SCM_CREDENTIALS: process, user and group
    #[arg(long, value_name = "PID:UID:GID")]
    credentials: Option<CredentialsArg>,
    /// Any other, by number, with its payload in hexadecimal
    #[arg(long = "cmsg", value_name = "LEVEL:TYPE:HEX")]
    raw: Vec<RawArg>,
}

impl Sendmsg {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let handle = self.handle;
        let options = SendOptions {
            flags: self.flags.flags(),
            timeout: global.timeout,
        };
        let mut message = OutgoingMessage::new(self.payload.read()?);
        if let Some(address) = &self.to {
            message = message.to(address.as_str());
        }
        let client = global.client().await?;
        let interface = match self.control.interface.as_deref() {
            Some(name) => interface(&client, handle, name).await?,
            None => 0,
        };
        for control in self.control.messages(interface) {
            message = message.control(control);
        }
        let sent = client
            .adopt(handle)
            .send_messages_with(vec![message], options)
            .await
            .tried(|| match &self.to {
                Some(address) => format!("sendmsg {handle} --to {address}"),
                None => format!("sendmsg {handle}"),
            })?
            .into_iter()
            .sum::<usize>();
        Ok(output.value(sent, &json!({ "bytes_sent": sent }))?)
    }
}

impl ControlArgs {
    fn messages(self, interface: u32) -> Vec<ControlMessage> {
        use ControlMessage as C;
        let packet_info = self.source.map(|source| match source {
            IpAddr::V4(source) => C::Ipv4PacketInfo {
                interface_index: interface,
                local_address: source,
                destination: std::net::Ipv4Addr::UNSPECIFIED,
            },
            IpAddr::V6(address) => C::Ipv6PacketInfo {
                address,
                interface_index: interface,
            },
        });
        let rights = (!self.rights.is_empty()).then_some(Rights {
            handles: self.rights,
            discarded: 0,
        });
        [
            self.ttl.map(C::Ttl),
            self.hop_limit.map(C::HopLimit),
            self.tos.map(C::TypeOfService),
            self.tclass.map(C::TrafficClass),
            packet_info,
            self.segment_size.map(C::SegmentSize),
            rights.map(C::Rights),
            self.credentials.map(|arg| C::Credentials(arg.0)),
        ]
        .into_iter()
        .flatten()
        .chain(self.raw.into_iter().map(|arg| arg.0))
        .collect()
    }
}

/// The index of an interface of the daemon's host, which may be its name.
async fn interface(client: &Client, handle: u64, text: &str) -> Result<u32, Failure> {
    if let Ok(index) = integer(text) {
        return Ok(index);
    }
    let interfaces = client.interfaces().await;
    let interfaces = interfaces.tried(|| format!("sendmsg {handle}"))?;
    let named = interfaces.iter().find(|one| one.name == text);
    named.map(|one| one.index).ok_or_else(|| {
        Failure::Local(format!(
            "sendmsg {handle}: there is no interface {text:?} on the daemon's host"
        ))
    })
}

#[derive(Clone, Copy, Debug)]
struct CredentialsArg(Credentials);

impl FromStr for CredentialsArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let mut parts = text.splitn(3, ':');
            Some(Credentials {
                pid: parts.next()?.parse().ok()?,
                uid: parts.next()?.parse().ok()?,
                gid: parts.next()?.parse().ok()?,
            })
        };
        read().map(Self).ok_or("expected PID:UID:GID")
    }
}

#[derive(Clone, Debug)]
struct RawArg(ControlMessage);

impl FromStr for RawArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected LEVEL:TYPE:HEX, two numbers and hexadecimal digits".to_owned();
        let mut parts = text.splitn(3, ':');
        let mut number = || integer(parts.next()?).ok();
        let (level, kind) = (
            number().ok_or_else(expected)?,
            number().ok_or_else(expected)?,
        );
        let data = payload::from_hex(parts.next().ok_or_else(expected)?.as_bytes())?;
        let data = data.into();
        Ok(Self(ControlMessage::Raw { level, kind, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_by_number_are_two_numbers_and_bytes() {
        let RawArg(message) = "0:2:40000000".parse().unwrap();
        let expected = ControlMessage::Raw {
            level: 0,
            kind: 2,
            data: vec![0x40, 0, 0, 0].into(),
        };
        assert_eq!(message, expected);
        for wrong in ["", "0", "0:2", "a:2:00", "0:2:0"] {
            assert!(wrong.parse::<RawArg>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn credentials_are_three_numbers() {
        let CredentialsArg(of) = "1:2:3".parse().unwrap();
        assert_eq!((of.pid, of.uid, of.gid), (1, 2, 3));
        for wrong in ["", "1:2", "1:2:3:4", "1:-2:3"] {
            assert!(wrong.parse::<CredentialsArg>().is_err(), "{wrong:?}");
        }
    }
}
