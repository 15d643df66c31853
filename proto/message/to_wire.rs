//! Control messages to the wire.

use super::{ControlMessage, Credentials, ExtendedError, Rights};
use crate::{
    time::timestamp_to_wire,
    v1::{self, control_message::Content},
};

impl From<ControlMessage<Rights>> for v1::ControlMessage {
    fn from(message: ControlMessage<Rights>) -> Self {
        let content = match message {
            ControlMessage::Ipv4PacketInfo {
                interface_index,
                local_address,
                destination,
            } => Content::Ipv4PacketInfo(v1::Ipv4PacketInfo {
                interface_index,
                local_address: local_address.to_string(),
                destination: destination.to_string(),
            }),
            ControlMessage::Ipv6PacketInfo {
                address,
                interface_index,
            } => Content::Ipv6PacketInfo(v1::Ipv6PacketInfo {
                address: address.to_string(),
                interface_index,
            }),
            ControlMessage::Ttl(ttl) => Content::Ttl(ttl),
            ControlMessage::HopLimit(limit) => Content::HopLimit(limit),
            ControlMessage::TypeOfService(tos) => Content::TypeOfService(tos),
            ControlMessage::TrafficClass(class) => Content::TrafficClass(class),
            ControlMessage::Timestamp(time) => Content::Timestamp(timestamp_to_wire(time)),
            ControlMessage::TimestampNs(time) => Content::TimestampNs(timestamp_to_wire(time)),
            ControlMessage::Timestamping { software, hardware } => {
                Content::Timestamping(v1::Timestamping {
                    software: software.map(timestamp_to_wire),
                    hardware: hardware.map(timestamp_to_wire),
                })
            }
            ControlMessage::ExtendedError(error) => Content::ExtendedError(error.into()),
            ControlMessage::SegmentSize(size) => Content::SegmentSize(size.into()),
            ControlMessage::ReceiveSegmentSize(size) => Content::ReceiveSegmentSize(size),
            ControlMessage::Credentials(credentials) => Content::Credentials(credentials.into()),
            ControlMessage::Rights(Rights { handles, discarded }) => {
                Content::Rights(v1::Rights { handles, discarded })
            }
            ControlMessage::ReceiveQueueOverflow(count) => Content::ReceiveQueueOverflow(count),
            ControlMessage::OriginalDestination(address) => {
                Content::OriginalDestination(address.into())
            }
            ControlMessage::Raw { level, kind, data } => Content::Raw(v1::RawControlMessage {
                level,
                r#type: kind,
                data,
            }),
        };
        Self {
            content: Some(content),
        }
    }
}

impl From<ExtendedError> for v1::ExtendedError {
    fn from(error: ExtendedError) -> Self {
        Self {
            errno_number: error.errno,
            errno_name: error.errno_name.unwrap_or_default().to_owned(),
            origin: error.origin.into(),
            r#type: error.icmp_type.into(),
            code: error.icmp_code.into(),
            info: error.info,
            data: error.data,
            offender: error.offender.map(Into::into),
        }
    }
}

impl From<v1::Credentials> for Credentials {
    fn from(wire: v1::Credentials) -> Self {
        let v1::Credentials { pid, uid, gid } = wire;
        Self { pid, uid, gid }
    }
}

impl From<Credentials> for v1::Credentials {
    fn from(credentials: Credentials) -> Self {
        let Credentials { pid, uid, gid } = credentials;
        Self { pid, uid, gid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_without_a_name_has_an_empty_name_on_the_wire() {
        let error = ExtendedError {
            errno: 111,
            errno_name: Some("ECONNREFUSED"),
            origin: 2,
            icmp_type: 3,
            icmp_code: 3,
            info: 0,
            data: 0,
            offender: Some("127.0.0.1:0".parse().expect("is taken")),
        };
        let wire = v1::ExtendedError::from(error.clone());
        assert_eq!(
            (wire.errno_name.as_str(), wire.r#type, wire.code),
            ("ECONNREFUSED", 3, 3)
        );
        assert!(wire.offender.is_some());
        let wire = v1::ExtendedError::from(ExtendedError {
            errno_name: None,
            ..error
        });
        assert_eq!(wire.errno_name, "");
    }
}
