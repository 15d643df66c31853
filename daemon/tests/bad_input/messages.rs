//! Lengths, counts, flags, payloads and control messages.

use farsock_proto::v1::{
    self, ControlMessage, Credentials, Ipv4PacketInfo, Ipv6PacketInfo, OutgoingMessage,
    RawControlMessage, RecvFromRequest, RecvMessagesRequest, RecvRequest, Rights,
    SendMessagesRequest, SendRequest, SendToRequest, control_message::Content, outgoing_message,
    send_request, send_to_request,
};
use prost_types::{Duration, Timestamp};

use crate::support::{embedded, refused, socket, udp};

/// GetHost's `max_payload_bytes`.
const MOST: usize = 2 << 20;

#[tokio::test]
async fn lengths_that_no_receive_has_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    for length in [-1, 1 << 31, i64::MIN, i64::MAX, 1 << 62, (2 << 20) + 1] {
        let length = Some(length);
        refused! { client;
            recv(RecvRequest { handle, length, ..Default::default() }) => "length";
            recv_from(RecvFromRequest { handle, length, ..Default::default() }) => "length";
            recv_messages(RecvMessagesRequest { handle, length, ..Default::default() }) => "length";
        }
    }
    for count in [0, -1, 1_025, i32::MIN, i32::MAX] {
        let max_messages = Some(count);
        refused! { client;
            recv_messages(RecvMessagesRequest { handle, max_messages, ..Default::default() }) => "max_messages";
        }
    }
    for room in [-1, 16_385, i32::MIN, i32::MAX] {
        let control_length = Some(room);
        refused! { client;
            recv_messages(RecvMessagesRequest { handle, control_length, ..Default::default() }) => "control_length";
        }
    }
    refused! { client;
        recv_messages(RecvMessagesRequest {
            handle,
            max_messages: Some(1_024),
            length: Some(2_049),
            ..Default::default()
        }) => "length";
    }
    // At the limits it waits, or would.
    let status = client
        .recv_messages(RecvMessagesRequest {
            handle,
            max_messages: Some(1_024),
            length: Some(2_048),
            control_length: Some(16_384),
            timeout: Some(Duration::default()),
            ..Default::default()
        })
        .await
        .expect_err("there is nothing");
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn flags_that_are_none_are_refused_by_their_place() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    for flag in [0, 15, 99, -1, i32::MAX] {
        let flags = vec![6, flag];
        let messages = vec![OutgoingMessage::default()];
        refused! { client;
            send(SendRequest { handle, flags: flags.clone(), ..Default::default() }) => "flags[1]";
            send_to(SendToRequest { handle, flags: flags.clone(), ..Default::default() }) => "flags[1]";
            send_messages(SendMessagesRequest { handle, flags: flags.clone(), messages, ..Default::default() }) => "flags[1]";
            recv(RecvRequest { handle, flags: flags.clone(), ..Default::default() }) => "flags[1]";
            recv_from(RecvFromRequest { handle, flags: flags.clone(), ..Default::default() }) => "flags[1]";
            recv_messages(RecvMessagesRequest { handle, flags, ..Default::default() }) => "flags[1]";
        }
    }
    // MSG_ZEROCOPY: the kernel would read the payload when it is no more.
    let raw_flags = 0x400_0000;
    let messages = vec![OutgoingMessage::default()];
    refused! { client;
        send(SendRequest { handle, raw_flags, ..Default::default() }) => "raw_flags";
        send_to(SendToRequest { handle, raw_flags, ..Default::default() }) => "raw_flags";
        send_messages(SendMessagesRequest { handle, raw_flags, messages, ..Default::default() }) => "raw_flags";
    }
}

#[tokio::test]
async fn payloads_over_the_limit_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = udp(&mut client).await;
    let data = vec![0; MOST + 1];
    let half = OutgoingMessage {
        payload: Some(outgoing_message::Payload::Data(
            vec![0; MOST / 2 + 1].into(),
        )),
        ..Default::default()
    };
    refused! { client;
        send(SendRequest {
            handle,
            payload: Some(send_request::Payload::Data(data.clone().into())),
            ..Default::default()
        }) => "data";
        send_to(SendToRequest {
            handle,
            payload: Some(send_to_request::Payload::Data(data.into())),
            ..Default::default()
        }) => "data";
        send_messages(SendMessagesRequest {
            handle,
            messages: vec![half.clone(), half],
            ..Default::default()
        }) => "messages";
        send_messages(SendMessagesRequest { handle, ..Default::default() }) => "messages";
        send_messages(SendMessagesRequest {
            handle,
            messages: vec![OutgoingMessage::default(); 1_025],
            ..Default::default()
        }) => "messages";
    }
}

#[tokio::test]
async fn control_messages_that_are_none_are_refused_by_their_field() {
    let (_daemon, mut client) = embedded().await;
    let handle = socket(&mut client, v1::Domain::Unix, v1::SocketType::Dgram).await;
    let rows = [
        (None, ""),
        (Some(Content::Ttl(256)), ".ttl"),
        (Some(Content::Ttl(-1)), ".ttl"),
        (Some(Content::HopLimit(-2)), ".hop_limit"),
        (Some(Content::HopLimit(256)), ".hop_limit"),
        (Some(Content::TypeOfService(i32::MAX)), ".type_of_service"),
        (Some(Content::TrafficClass(-2)), ".traffic_class"),
        (Some(Content::SegmentSize(0)), ".segment_size"),
        (Some(Content::SegmentSize(65_536)), ".segment_size"),
        (Some(Content::SegmentSize(u32::MAX)), ".segment_size"),
        (
            Some(Content::Ipv4PacketInfo(Ipv4PacketInfo {
                local_address: "::1".to_owned(),
                ..Default::default()
            })),
            ".ipv4_packet_info.local_address",
        ),
        (
            Some(Content::Ipv6PacketInfo(Ipv6PacketInfo {
                address: "127.0.0.1".to_owned(),
                ..Default::default()
            })),
            ".ipv6_packet_info.address",
        ),
        // SCM_RIGHTS by number: descriptors mean nothing outside the daemon.
        (
            Some(Content::Raw(RawControlMessage {
                level: 1,
                r#type: 1,
                data: vec![0; 4].into(),
            })),
            ".raw",
        ),
        (
            Some(Content::Raw(RawControlMessage {
                level: 0,
                r#type: 2,
                data: vec![0; 4_097].into(),
            })),
            ".raw.data",
        ),
        // What only the kernel gives.
        (Some(Content::Timestamp(Timestamp::default())), ".timestamp"),
        (
            Some(Content::TimestampNs(Timestamp::default())),
            ".timestamp_ns",
        ),
        (
            Some(Content::Timestamping(v1::Timestamping::default())),
            ".timestamping",
        ),
        (
            Some(Content::ExtendedError(v1::ExtendedError::default())),
            ".extended_error",
        ),
        (
            Some(Content::ReceiveSegmentSize(1)),
            ".receive_segment_size",
        ),
        (
            Some(Content::ReceiveQueueOverflow(1)),
            ".receive_queue_overflow",
        ),
        (
            Some(Content::OriginalDestination(v1::Address::default())),
            ".original_destination",
        ),
        (
            Some(Content::Rights(Rights {
                handles: vec![handle],
                discarded: 1,
            })),
            ".rights.discarded",
        ),
    ];
    for (content, field) in rows {
        let good = ControlMessage {
            content: Some(Content::Credentials(Credentials::default())),
        };
        let message = OutgoingMessage {
            control: vec![good, ControlMessage { content }],
            ..Default::default()
        };
        refused! { client;
            send_messages(SendMessagesRequest {
                handle,
                messages: vec![message],
                ..Default::default()
            }) => &format!("messages[0].control[1]{field}");
        }
    }
}

#[tokio::test]
async fn more_control_messages_than_fit_are_refused() {
    let (_daemon, mut client) = embedded().await;
    let handle = socket(&mut client, v1::Domain::Unix, v1::SocketType::Dgram).await;
    let sending = |control: Vec<ControlMessage>| SendMessagesRequest {
        handle,
        messages: vec![OutgoingMessage {
            control,
            ..Default::default()
        }],
        ..Default::default()
    };
    let rights = |count: usize| ControlMessage {
        content: Some(Content::Rights(Rights {
            handles: vec![handle; count],
            discarded: 0,
        })),
    };
    let raw = ControlMessage {
        content: Some(Content::Raw(RawControlMessage {
            level: 0,
            r#type: 99,
            data: vec![0; 4_096].into(),
        })),
    };
    refused! { client;
        send_messages(sending(vec![rights(254)])) => "messages[0].control[0].rights.handles";
        send_messages(sending(vec![raw; 5])) => "messages[0].control";
    }
}
