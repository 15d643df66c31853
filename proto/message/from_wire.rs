//! Control messages from the wire: what a request may carry.

use std::net::{IpAddr, Ipv6Addr};

use super::{ControlMessage, Rights};
use crate::{
    Violation,
    address::{
        Zones,
        host::{ipv4_or_empty, parse_host, scope_id},
    },
    v1::{self, control_message::Content},
};

/// SCM_MAX_FD: what the kernel passes with one message.
const MAX_HANDLES: usize = 253;
const MAX_RAW_DATA: usize = 4_096;

impl ControlMessage<Rights> {
    /// Reads a control message of a request; `zones` knows the interfaces of the daemon's host.
    ///
    /// # Errors
    /// A [`Violation`] of the field, such as "ttl" or "ipv4_packet_info.local_address", if its
    /// value is out of range or the kernel only ever gives it; of "" without any content.
    pub fn from_wire(wire: v1::ControlMessage, zones: Zones<'_>) -> Result<Self, Violation> {
        let content = wire.content.ok_or_else(|| {
            Violation::of_value("the control message has no content; give one of its forms")
        })?;
        match content {
            Content::Ipv4PacketInfo(info) => {
                ipv4_packet_info(&info).map_err(|violation| violation.within("ipv4_packet_info"))
            }
            Content::Ipv6PacketInfo(info) => ipv6_packet_info(&info, zones)
                .map_err(|violation| violation.within("ipv6_packet_info")),
            Content::Ttl(ttl) => in_range("ttl", ttl, 0).map(Self::Ttl),
            Content::HopLimit(limit) => in_range("hop_limit", limit, -1).map(Self::HopLimit),
            Content::TypeOfService(tos) => {
                in_range("type_of_service", tos, 0).map(Self::TypeOfService)
            }
            Content::TrafficClass(class) => {
                in_range("traffic_class", class, -1).map(Self::TrafficClass)
            }
            Content::SegmentSize(size) => u16::try_from(size)
                .ok()
                .filter(|&size| size > 0)
                .map(Self::SegmentSize)
                .ok_or_else(|| {
                    Violation::new("segment_size", format!("{size} is not from 1 to 65535"))
                }),
            Content::Credentials(credentials) => Ok(Self::Credentials(credentials.into())),
            Content::Rights(rights) => rights_from_wire(rights)
                .map(Self::Rights)
                .map_err(|violation| violation.within("rights")),
            Content::Raw(raw) => raw_from_wire(raw).map_err(|violation| violation.within("raw")),
            Content::Timestamp(_) => Err(received_only("timestamp")),
            Content::TimestampNs(_) => Err(received_only("timestamp_ns")),
            Content::Timestamping(_) => Err(received_only("timestamping")),
            Content::ExtendedError(_) => Err(received_only("extended_error")),
            Content::ReceiveSegmentSize(_) => Err(received_only("receive_segment_size")),
            Content::ReceiveQueueOverflow(_) => Err(received_only("receive_queue_overflow")),
            Content::OriginalDestination(_) => Err(received_only("original_destination")),
        }
    }
}

fn ipv4_packet_info(wire: &v1::Ipv4PacketInfo) -> Result<ControlMessage, Violation> {
    let local_address = ipv4_or_empty(&wire.local_address)
        .map_err(|violation| violation.within("local_address"))?;
    let destination =
        ipv4_or_empty(&wire.destination).map_err(|violation| violation.within("destination"))?;
    if !destination.is_unspecified() {
        return Err(received_only("destination"));
    }
    Ok(ControlMessage::Ipv4PacketInfo {
        interface_index: wire.interface_index,
        local_address,
        destination,
    })
}

fn ipv6_packet_info(
    wire: &v1::Ipv6PacketInfo,
    zones: Zones<'_>,
) -> Result<ControlMessage, Violation> {
    let (address, zone) = if wire.address.is_empty() {
        (Ipv6Addr::UNSPECIFIED.into(), None)
    } else {
        parse_host(&wire.address, Some(zones)).map_err(|violation| violation.within("address"))?
    };
    let IpAddr::V6(address) = address else {
        return Err(Violation::new(
            "address",
            format!("must be IPv6, such as ::ffff:{address}; ipv4_packet_info is IPv4's"),
        ));
    };
    // A link-local source is written with its zone as anywhere else, and the zone is this very
    // index.
    let interface_index = scope_id(zone, wire.interface_index)
        .map_err(|violation| violation.within("interface_index"))?;
    Ok(ControlMessage::Ipv6PacketInfo {
        address,
        interface_index,
    })
}

fn rights_from_wire(wire: v1::Rights) -> Result<Rights, Violation> {
    if wire.discarded != 0 {
        return Err(received_only("discarded"));
    }
    if wire.handles.len() > MAX_HANDLES {
        return Err(Violation::new(
            "handles",
            format!(
                "has {} handles; at most {MAX_HANDLES} travel with one message",
                wire.handles.len()
            ),
        ));
    }
    Ok(Rights {
        handles: wire.handles,
        discarded: 0,
    })
}

fn raw_from_wire(wire: v1::RawControlMessage) -> Result<ControlMessage, Violation> {
    if wire.data.len() > MAX_RAW_DATA {
        return Err(Violation::new(
            "data",
            format!(
                "has {} bytes; at most {MAX_RAW_DATA} are possible",
                wire.data.len()
            ),
        ));
    }
    Ok(ControlMessage::Raw {
        level: wire.level,
        kind: wire.r#type,
        data: wire.data,
    })
}

/// A byte of an IP header, or -1 for its default where that may be asked for.
fn in_range(field: &str, value: i32, first: i32) -> Result<i32, Violation> {
    if (first..=255).contains(&value) {
        Ok(value)
    } else {
        Err(Violation::new(
            field,
            format!("{value} is not from {first} to 255"),
        ))
    }
}

fn received_only(field: &str) -> Violation {
    Violation::new(
        field,
        "is received only: the kernel gives it with a received message and takes none to send; \
         leave it out",
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::strategy;

    fn from_wire(content: Content) -> Result<ControlMessage, Violation> {
        let wire = v1::ControlMessage {
            content: Some(content),
        };
        ControlMessage::from_wire(wire, &|name| (name == "eth0").then_some(7))
    }

    #[test]
    fn a_control_message_without_content_is_a_violation_of_itself() {
        let violation = ControlMessage::from_wire(v1::ControlMessage::default(), &|_| None)
            .expect_err("is refused");
        assert_eq!(violation.field, "");
    }

    #[test]
    fn what_the_kernel_only_gives_is_refused_in_a_request() {
        for (content, field) in [
            (Content::Timestamp(Default::default()), "timestamp"),
            (Content::TimestampNs(Default::default()), "timestamp_ns"),
            (Content::Timestamping(Default::default()), "timestamping"),
            (Content::ExtendedError(Default::default()), "extended_error"),
            (Content::ReceiveSegmentSize(1), "receive_segment_size"),
            (Content::ReceiveQueueOverflow(1), "receive_queue_overflow"),
            (
                Content::OriginalDestination(Default::default()),
                "original_destination",
            ),
            (
                Content::Ipv4PacketInfo(v1::Ipv4PacketInfo {
                    destination: "192.0.2.1".to_owned(),
                    ..Default::default()
                }),
                "ipv4_packet_info.destination",
            ),
            (
                Content::Rights(v1::Rights {
                    handles: vec![],
                    discarded: 1,
                }),
                "rights.discarded",
            ),
        ] {
            let violation = from_wire(content).expect_err("is refused");
            assert_eq!(violation.field, field);
            assert!(violation.description.contains("received only"));
        }
    }

    #[test]
    fn values_out_of_range_are_violations_of_their_field() {
        let ipv4 = |local_address: &str| {
            Content::Ipv4PacketInfo(v1::Ipv4PacketInfo {
                local_address: local_address.to_owned(),
                ..Default::default()
            })
        };
        let ipv6 = |address: &str, interface_index| {
            Content::Ipv6PacketInfo(v1::Ipv6PacketInfo {
                address: address.to_owned(),
                interface_index,
            })
        };
        for (content, field) in [
            (Content::Ttl(-1), "ttl"),
            (Content::Ttl(256), "ttl"),
            (Content::HopLimit(-2), "hop_limit"),
            (Content::TypeOfService(-1), "type_of_service"),
            (Content::TrafficClass(256), "traffic_class"),
            (Content::SegmentSize(0), "segment_size"),
            (Content::SegmentSize(65_536), "segment_size"),
            (ipv4("::1"), "ipv4_packet_info.local_address"),
            (ipv4("here"), "ipv4_packet_info.local_address"),
            (ipv6("127.0.0.1", 0), "ipv6_packet_info.address"),
            (ipv6("fe80::1%eth9", 0), "ipv6_packet_info.address"),
            (ipv6("fe80::1%eth0", 8), "ipv6_packet_info.interface_index"),
            (
                Content::Rights(v1::Rights {
                    handles: vec![1; 254],
                    discarded: 0,
                }),
                "rights.handles",
            ),
            (
                Content::Raw(v1::RawControlMessage {
                    data: vec![0; 4_097].into(),
                    ..Default::default()
                }),
                "raw.data",
            ),
        ] {
            assert_eq!(
                from_wire(content.clone()).expect_err("is refused").field,
                field,
                "{content:?}"
            );
        }
        for content in [
            Content::HopLimit(-1),
            Content::TrafficClass(-1),
            Content::Ttl(255),
        ] {
            assert!(from_wire(content).is_ok());
        }
    }

    #[test]
    fn empty_packet_info_is_the_kernels_choice() {
        assert_eq!(
            from_wire(Content::Ipv4PacketInfo(Default::default())),
            Ok(ControlMessage::Ipv4PacketInfo {
                interface_index: 0,
                local_address: Ipv4Addr::UNSPECIFIED,
                destination: Ipv4Addr::UNSPECIFIED,
            })
        );
        assert_eq!(
            from_wire(Content::Ipv6PacketInfo(Default::default())),
            Ok(ControlMessage::Ipv6PacketInfo {
                address: Ipv6Addr::UNSPECIFIED,
                interface_index: 0,
            })
        );
    }

    proptest! {
        #[test]
        fn what_can_be_sent_survives_the_wire(message in strategy::sendable_control_message()) {
            let wire = v1::ControlMessage::from(message.clone());
            prop_assert_eq!(ControlMessage::from_wire(wire, &|_| None), Ok(message));
        }

        #[test]
        fn from_wire_never_panics(wire in strategy::wire_control_message()) {
            if let Ok(message) = ControlMessage::from_wire(wire, &|_| Some(1)) {
                let wire = v1::ControlMessage::from(message.clone());
                prop_assert_eq!(ControlMessage::from_wire(wire, &|_| None), Ok(message));
            }
        }
    }
}
