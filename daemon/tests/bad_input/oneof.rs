//! What generated code cannot build, but the wire can carry: two members of a oneof, and no message at all.

use bytes::{Buf, BufMut, Bytes};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

use crate::support::{assert_names, channel, embedded};

/// Sends the bytes of a message as they are, and returns those of the answer.
pub(crate) async fn ask(channel: Channel, verb: &str, message: Vec<u8>) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready()
        .await
        .expect("the daemon in this process answers");
    let path = format!("/farsock.v1.SocketService/{verb}");
    let path = PathAndQuery::try_from(path).expect("a path");
    let response = grpc.unary(Request::new(message), path, AsBytes).await?;
    Ok(response.into_inner())
}

#[derive(Clone, Copy, Default)]
struct AsBytes;

impl Codec for AsBytes {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for AsBytes {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// `domain` and `raw_domain` of CreateSocketRequest, fields 1 and 2, and `type`, field 3.
#[tokio::test]
async fn two_members_of_a_oneof_are_refused_by_their_field() {
    let (daemon, _) = embedded().await;
    let both = vec![0x08, 2, 0x10, 2, 0x18, 1];
    let outcome = ask(channel(&daemon).await, "CreateSocket", both).await;
    assert_names(outcome, "raw_domain", "domain and raw_domain");
}

/// SendMessagesRequest's second message with a text address, field 6, and an unspecified one, field 5.
#[tokio::test]
async fn the_path_leads_to_the_second_member() {
    let (daemon, _) = embedded().await;
    let address = [&[0x32, 5][..], b"unix:", &[0x2a, 0]].concat();
    let message = [&[0x12, 11, 0x1a, 9][..], &address].concat();
    let request = [&[0x08, 1, 0x12, 0][..], &message].concat();
    let outcome = ask(channel(&daemon).await, "SendMessages", request).await;
    assert_names(
        outcome,
        "messages[1].address.unspecified",
        "text and unspecified",
    );
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let (daemon, _) = embedded().await;
    for bytes in [
        vec![0xff; 20],
        vec![0x12, 200],
        vec![0x12, 3, 0x0a, 9, 0],
        vec![0x0b],
    ] {
        let outcome = ask(channel(&daemon).await, "Bind", bytes).await;
        let status = outcome.expect_err("it is no BindRequest");
        assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains("BindRequest"), "{status:?}");
    }
}
