//! Control messages as the kernel gave them: all kinds, while requests may have those alone that
//! the kernel takes.

use std::net::{Ipv4Addr, Ipv6Addr};

use farsock_proto::{
    Violation,
    message::{ControlMessage, ExtendedError, Rights},
    time::timestamp_from_wire,
    v1::{self, control_message::Content},
};

use super::{address, number, optional_address, present, time};
use crate::errno;

/// One received control message.
pub(crate) fn control_message(wire: v1::ControlMessage) -> Result<ControlMessage, Violation> {
    Ok(match present("content", wire.content)? {
        Content::Ipv4PacketInfo(info) => ControlMessage::Ipv4PacketInfo {
            interface_index: info.interface_index,
            local_address: ipv4("ipv4_packet_info.local_address", &info.local_address)?,
            destination: ipv4("ipv4_packet_info.destination", &info.destination)?,
        },
        Content::Ipv6PacketInfo(info) => ControlMessage::Ipv6PacketInfo {
            address: ipv6("ipv6_packet_info.address", &info.address)?,
            interface_index: info.interface_index,
        },
        Content::Ttl(ttl) => ControlMessage::Ttl(ttl),
        Content::HopLimit(limit) => ControlMessage::HopLimit(limit),
        Content::TypeOfService(tos) => ControlMessage::TypeOfService(tos),
        Content::TrafficClass(class) => ControlMessage::TrafficClass(class),
        Content::Timestamp(stamp) => ControlMessage::Timestamp(time("timestamp", Some(stamp))?),
        Content::TimestampNs(stamp) => {
            ControlMessage::TimestampNs(time("timestamp_ns", Some(stamp))?)
        }
        Content::Timestamping(stamps) => ControlMessage::Timestamping {
            software: stamp("timestamping.software", stamps.software)?,
            hardware: stamp("timestamping.hardware", stamps.hardware)?,
        },
        Content::ExtendedError(error) => ControlMessage::ExtendedError(
            extended_error(error).map_err(|violation| violation.within("extended_error"))?,
        ),
        Content::SegmentSize(size) => ControlMessage::SegmentSize(number("segment_size", size)?),
        Content::ReceiveSegmentSize(size) => ControlMessage::ReceiveSegmentSize(size),
        Content::Credentials(credentials) => ControlMessage::Credentials(credentials.into()),
        Content::Rights(rights) => ControlMessage::Rights(Rights {
            handles: rights.handles,
            discarded: rights.discarded,
        }),
        Content::ReceiveQueueOverflow(count) => ControlMessage::ReceiveQueueOverflow(count),
        Content::OriginalDestination(destination) => {
            let field = "original_destination";
            ControlMessage::OriginalDestination(present(
                field,
                address(field, Some(destination))?.as_ip(),
            )?)
        }
        Content::Raw(raw) => ControlMessage::Raw {
            level: raw.level,
            kind: raw.r#type,
            data: raw.data,
        },
    })
}

fn extended_error(wire: v1::ExtendedError) -> Result<ExtendedError, Violation> {
    Ok(ExtendedError {
        errno: wire.errno_number,
        errno_name: errno::interned(&wire.errno_name),
        origin: number("origin", wire.origin)?,
        icmp_type: number("type", wire.r#type)?,
        icmp_code: number("code", wire.code)?,
        info: wire.info,
        data: wire.data,
        offender: optional_address("offender", wire.offender)?.and_then(|address| address.as_ip()),
    })
}

/// A time stamp that may not have been taken.
fn stamp(
    field: &str,
    stamp: Option<prost_types::Timestamp>,
) -> Result<Option<std::time::SystemTime>, Violation> {
    stamp
        .map(timestamp_from_wire)
        .transpose()
        .map_err(|violation| violation.within(field))
}

/// A numeric IPv4 address, or 0.0.0.0 for none.
fn ipv4(field: &str, text: &str) -> Result<Ipv4Addr, Violation> {
    match text {
        "" => Ok(Ipv4Addr::UNSPECIFIED),
        _ => text
            .parse()
            .map_err(|_| Violation::new(field, format!("{text:?} is no IPv4 address"))),
    }
}

/// A numeric IPv6 address, or :: for none.
fn ipv6(field: &str, text: &str) -> Result<Ipv6Addr, Violation> {
    match text {
        "" => Ok(Ipv6Addr::UNSPECIFIED),
        _ => text
            .parse()
            .map_err(|_| Violation::new(field, format!("{text:?} is no IPv6 address"))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn every_kind_of_control_message_survives_the_wire() {
        let moment = UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_000);
        let offender = "192.0.2.1:0".parse().expect("an address");
        let messages: [ControlMessage; 17] = [
            ControlMessage::Ipv4PacketInfo {
                interface_index: 2,
                local_address: Ipv4Addr::LOCALHOST,
                destination: Ipv4Addr::new(224, 0, 0, 1),
            },
            ControlMessage::Ipv6PacketInfo {
                address: Ipv6Addr::LOCALHOST,
                interface_index: 1,
            },
            ControlMessage::Ttl(64),
            ControlMessage::HopLimit(-1),
            ControlMessage::TypeOfService(0x10),
            ControlMessage::TrafficClass(0x20),
            ControlMessage::Timestamp(moment),
            ControlMessage::TimestampNs(moment + Duration::from_nanos(7)),
            ControlMessage::Timestamping {
                software: Some(moment),
                hardware: None,
            },
            ControlMessage::ExtendedError(ExtendedError {
                errno: 111,
                errno_name: Some("ECONNREFUSED"),
                origin: 2,
                icmp_type: 3,
                icmp_code: 3,
                info: 0,
                data: 0,
                offender: Some(offender),
            }),
            ControlMessage::SegmentSize(1_400),
            ControlMessage::ReceiveSegmentSize(1_400),
            ControlMessage::Credentials(farsock_proto::message::Credentials {
                pid: 1,
                uid: 2,
                gid: 3,
            }),
            ControlMessage::Rights(Rights {
                handles: vec![4, 5],
                discarded: 1,
            }),
            ControlMessage::ReceiveQueueOverflow(9),
            ControlMessage::OriginalDestination("[2001:db8::1]:53".parse().expect("an address")),
            ControlMessage::Raw {
                level: 1,
                kind: 99,
                data: "raw".into(),
            },
        ];
        for message in messages {
            let wire = v1::ControlMessage::from(message.clone());
            assert_eq!(control_message(wire), Ok(message));
        }
    }

    #[test]
    fn an_errno_without_a_known_name_keeps_its_number() {
        let error = extended_error(v1::ExtendedError {
            errno_number: 4_000,
            errno_name: "EWHATEVER".to_owned(),
            ..Default::default()
        })
        .expect("the rest is well formed");
        assert_eq!((error.errno, error.errno_name), (4_000, None));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let wire = |content| v1::ControlMessage {
            content: Some(content),
        };
        let segment = control_message(wire(Content::SegmentSize(70_000)));
        assert_eq!(segment.expect_err("over 65,535").field, "segment_size");
        let address = v1::Ipv4PacketInfo {
            destination: "nowhere".to_owned(),
            ..Default::default()
        };
        let info = control_message(wire(Content::Ipv4PacketInfo(address)));
        assert_eq!(
            info.expect_err("no address").field,
            "ipv4_packet_info.destination"
        );
        let nothing = control_message(v1::ControlMessage::default());
        assert_eq!(nothing.expect_err("no content").field, "content");
    }
}
