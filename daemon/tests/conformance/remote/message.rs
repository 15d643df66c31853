//! Messages, their flags and control messages, to and from the client's types.

use std::net::Ipv4Addr;

use farsock_client::{
    Address, ControlMessage, Credentials, MessageFlags, OutgoingMessage, Received, ReceivedMessage,
    RecvOptions, Rights, SendOptions,
};

use crate::{
    call::{Ctl, Out},
    control_text as text,
    outcome::{Control, Message},
};

const FLAGS: [(i32, MessageFlags, &str); 14] = [
    (libc::MSG_OOB, MessageFlags::OOB, "OOB"),
    (libc::MSG_PEEK, MessageFlags::PEEK, "PEEK"),
    (libc::MSG_DONTROUTE, MessageFlags::DONTROUTE, "DONTROUTE"),
    (libc::MSG_CTRUNC, MessageFlags::CTRUNC, "CTRUNC"),
    (libc::MSG_TRUNC, MessageFlags::TRUNC, "TRUNC"),
    (libc::MSG_DONTWAIT, MessageFlags::DONTWAIT, "DONTWAIT"),
    (libc::MSG_EOR, MessageFlags::EOR, "EOR"),
    (libc::MSG_WAITALL, MessageFlags::WAITALL, "WAITALL"),
    (libc::MSG_CONFIRM, MessageFlags::CONFIRM, "CONFIRM"),
    (libc::MSG_ERRQUEUE, MessageFlags::ERRQUEUE, "ERRQUEUE"),
    (libc::MSG_NOSIGNAL, MessageFlags::NOSIGNAL, "NOSIGNAL"),
    (libc::MSG_MORE, MessageFlags::MORE, "MORE"),
    (libc::MSG_WAITFORONE, MessageFlags::WAITFORONE, "WAITFORONE"),
    (libc::MSG_FASTOPEN, MessageFlags::FASTOPEN, "FASTOPEN"),
];

/// By name where there is one, and the rest by number.
pub(super) fn message_flags(flags: i32) -> MessageFlags {
    let known = FLAGS.iter().filter(|(bit, ..)| flags & bit != 0);
    let rest = flags & !FLAGS.iter().fold(0, |all, (bit, ..)| all | bit);
    known.fold(
        MessageFlags::from_raw(rest.cast_unsigned()),
        |all, (_, flag, _)| all | *flag,
    )
}

fn flag_names(flags: MessageFlags) -> Vec<&'static str> {
    FLAGS
        .iter()
        .filter(|(_, flag, _)| flags.contains(*flag))
        .map(|(.., name)| *name)
        .collect()
}

pub(super) fn send_options(flags: i32) -> SendOptions {
    SendOptions {
        flags: message_flags(flags),
        timeout: None,
    }
}

pub(super) fn recv_options(flags: i32) -> RecvOptions {
    RecvOptions {
        flags: message_flags(flags),
        timeout: None,
    }
}

pub(super) fn outgoing(message: Out<u64, Address>) -> OutgoingMessage {
    let mut outgoing = OutgoingMessage::new(message.data.0);
    if let Some(address) = message.address {
        outgoing = outgoing.to(address);
    }
    message
        .control
        .into_iter()
        .map(control_to_send)
        .fold(outgoing, OutgoingMessage::control)
}

fn control_to_send(control: Ctl<u64>) -> ControlMessage {
    match control {
        Ctl::Rights(handles) => ControlMessage::Rights(Rights {
            handles,
            discarded: 0,
        }),
        Ctl::Credentials => {
            let (pid, uid, gid) = text::own_credentials();
            ControlMessage::Credentials(Credentials { pid, uid, gid })
        }
        Ctl::Int(libc::SOL_IP, libc::IP_TTL, value) => ControlMessage::Ttl(value),
        Ctl::Int(libc::SOL_IP, libc::IP_TOS, value) => ControlMessage::TypeOfService(value),
        Ctl::Int(libc::SOL_IPV6, libc::IPV6_HOPLIMIT, value) => ControlMessage::HopLimit(value),
        Ctl::Int(libc::SOL_IPV6, libc::IPV6_TCLASS, value) => ControlMessage::TrafficClass(value),
        Ctl::Int(level, kind, value) => ControlMessage::Raw {
            level,
            kind,
            data: value.to_ne_bytes().to_vec().into(),
        },
        Ctl::Segment(size) => ControlMessage::SegmentSize(size),
        Ctl::PacketInfo(interface_index, local_address) => ControlMessage::Ipv4PacketInfo {
            interface_index,
            local_address,
            destination: Ipv4Addr::UNSPECIFIED,
        },
        Ctl::PacketInfo6(interface_index, address) => ControlMessage::Ipv6PacketInfo {
            address,
            interface_index,
        },
        Ctl::Raw(level, kind, data) => ControlMessage::Raw {
            level,
            kind,
            data: data.into(),
        },
    }
}

pub(super) fn message(received: Received, address: Option<Address>) -> Message<u64> {
    Message {
        data: received.data.to_vec(),
        address,
        end_of_stream: received.end_of_stream,
        flags: flag_names(received.flags),
        full_length: usize::try_from(received.full_length).expect("a length"),
        control: Vec::new(),
    }
}

pub(super) fn received_message(received: ReceivedMessage) -> Message<u64> {
    Message {
        data: received.data.to_vec(),
        address: received.address,
        end_of_stream: received.end_of_stream,
        flags: flag_names(received.flags),
        full_length: usize::try_from(received.full_length).expect("a length"),
        control: received.control.into_iter().map(received_control).collect(),
    }
}

fn received_control(control: ControlMessage) -> Control<u64> {
    Control::Text(match control {
        ControlMessage::Rights(rights) => return Control::Rights(rights.handles),
        ControlMessage::ExtendedError(error) => {
            return Control::Error {
                errno: error.errno,
                origin: error.origin,
                kind: error.icmp_type,
                code: error.icmp_code,
                info: error.info,
                data: error.data,
                offender: error.offender,
            };
        }
        ControlMessage::OriginalDestination(address) => {
            return Control::OriginalDestination(address);
        }
        ControlMessage::Credentials(own) => text::credentials(own.pid, own.uid, own.gid),
        ControlMessage::Timestamp(stamp) => text::timestamp("timestamp", stamp),
        ControlMessage::TimestampNs(stamp) => text::timestamp("timestampns", stamp),
        ControlMessage::Timestamping { software, hardware } => {
            text::timestamping(software, hardware)
        }
        ControlMessage::ReceiveQueueOverflow(count) => text::number("overflow", count),
        ControlMessage::Ttl(value) => text::number("ttl", value),
        ControlMessage::TypeOfService(value) => text::number("tos", value),
        ControlMessage::HopLimit(value) => text::number("hoplimit", value),
        ControlMessage::TrafficClass(value) => text::number("tclass", value),
        ControlMessage::ReceiveSegmentSize(size) => text::number("gro", size),
        ControlMessage::Ipv4PacketInfo {
            interface_index,
            local_address,
            destination,
        } => text::packet_info(interface_index, local_address, destination),
        ControlMessage::Ipv6PacketInfo {
            address,
            interface_index,
        } => text::packet_info6(address, interface_index),
        ControlMessage::SegmentSize(size) => text::number("segment", size),
        ControlMessage::Raw { level, kind, data } => text::raw(level, kind, &data),
    })
}
