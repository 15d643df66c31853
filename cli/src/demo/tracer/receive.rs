//! The calls that receive, and the comparison of what arrives with what was sent.

use farsock_client::{
    Address, MessageFlags, Received, RecvMessagesOptions, RecvOptions, RemoteSocket,
};

use super::{PATIENCE, ROOM, Tracer, expect};
use crate::{demo::strace, exit::Failure};

impl Tracer<'_> {
    /// Receives exactly as many bytes of a stream as `sent` has.
    pub(in crate::demo) async fn recv(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
    ) -> Result<(), Failure> {
        let (call, received) = self
            .received(socket, sent.len(), MessageFlags::WAITALL)
            .await?;
        self.compare(&call, sent, &received.data)
    }

    /// Receives the message `sent`, with room for a longer one.
    pub(in crate::demo) async fn recv_message(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
    ) -> Result<(), Failure> {
        let (call, received) = self.received(socket, ROOM, MessageFlags::NONE).await?;
        self.compare(&call, sent, &received.data)
    }

    /// Receives the end of a stream.
    pub(in crate::demo) async fn recv_end(&mut self, socket: &RemoteSocket) -> Result<(), Failure> {
        let (call, received) = self.received(socket, ROOM, MessageFlags::NONE).await?;
        self.compare(&call, b"", &received.data)?;
        expect(&call, "end of stream", &true, &received.end_of_stream)
    }

    /// A receive that must fail.
    pub(in crate::demo) async fn recv_fails(
        &mut self,
        socket: &RemoteSocket,
        flags: MessageFlags,
        errno_name: &str,
    ) -> Result<(), Failure> {
        let options = RecvOptions {
            flags,
            timeout: Some(PATIENCE),
        };
        let answer = socket.recv_with(ROOM, options).await;
        let call = format!("recv({}, 0x..., {ROOM}, {flags})", socket.handle());
        self.failed(&call, answer, errno_name)
    }

    /// Receives the datagram `sent`, and tells who sent it.
    pub(in crate::demo) async fn recvfrom(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
    ) -> Result<Address, Failure> {
        let options = RecvOptions {
            timeout: Some(PATIENCE),
            ..RecvOptions::default()
        };
        let answer = socket.recv_from_with(ROOM, options).await;
        let (data, sender) = answer
            .as_ref()
            .map_or((&b""[..], None), |(received, sender)| {
                (&received.data[..], sender.as_ref())
            });
        let call = format!(
            "recvfrom({}, {}, {ROOM}, 0, {})",
            socket.handle(),
            strace::string(data),
            strace::filled_in(sender)
        );
        let (received, sender) =
            self.returned(&call, answer, |(received, _)| received.data.len())?;
        self.compare(&call, sent, &received.data)?;
        sender.ok_or_else(|| Failure::Mismatch(format!("{call}: no sender")))
    }

    /// Receives the first `length` bytes of the datagram `sent`, the kernel telling that there was more.
    pub(in crate::demo) async fn recvmsg_truncated(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
        length: usize,
    ) -> Result<(), Failure> {
        let options = RecvMessagesOptions {
            length: Some(length),
            timeout: Some(PATIENCE),
            ..RecvMessagesOptions::default()
        };
        let answer = socket
            .recv_messages(options)
            .await
            .map(|messages| messages.into_iter().next());
        let Ok(Some(message)) = &answer else {
            let call = format!("recvmsg({}, {{...}}, 0)", socket.handle());
            self.returned(&call, answer, |_| 0)?;
            return Err(Failure::Mismatch(format!("{call}: no message")));
        };
        let name = message.address.as_ref().map_or_else(
            || "msg_name=NULL, msg_namelen=0".to_owned(),
            |address| {
                format!(
                    "msg_name={}, msg_namelen={}",
                    strace::sockaddr(address),
                    strace::sockaddr_length(address)
                )
            },
        );
        let call = format!(
            "recvmsg({}, {{{name}, msg_iov=[{{iov_base={}, iov_len={length}}}], msg_iovlen=1, \
             msg_controllen=0, msg_flags={}}}, 0)",
            socket.handle(),
            strace::string(&message.data),
            message.flags
        );
        let (data, flags, full) = (message.data.clone(), message.flags, message.full_length);
        self.returned(&call, answer, |_| data.len())?;
        self.compare(&call, &sent[..length], &data)?;
        expect(&call, "flags", &MessageFlags::TRUNC, &flags)?;
        expect(&call, "full length", &(sent.len() as u64), &full)
    }

    async fn received(
        &mut self,
        socket: &RemoteSocket,
        room: usize,
        flags: MessageFlags,
    ) -> Result<(String, Received), Failure> {
        let options = RecvOptions {
            flags,
            timeout: Some(PATIENCE),
        };
        let answer = socket.recv_with(room, options).await;
        let data = answer.as_ref().map_or(&b""[..], |received| &received.data);
        let (handle, text) = (socket.handle(), strace::string(data));
        let call = format!("recv({handle}, {text}, {room}, {flags})");
        let received = self.returned(&call, answer, |received| received.data.len())?;
        Ok((call, received))
    }

    fn compare(&mut self, call: &str, sent: &[u8], received: &[u8]) -> Result<(), Failure> {
        self.bytes += received.len();
        match difference(sent, received) {
            None => Ok(()),
            Some(difference) => Err(Failure::Mismatch(format!("{call}: {difference}"))),
        }
    }
}

/// How what was received differs from what was sent.
fn difference(sent: &[u8], received: &[u8]) -> Option<String> {
    if sent == received {
        return None;
    }
    let at = sent
        .iter()
        .zip(received)
        .position(|(sent, received)| sent != received)
        .unwrap_or_else(|| sent.len().min(received.len()));
    Some(format!(
        "received {}, sent {}: they differ at byte {at}",
        strace::string(received),
        strace::string(sent)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_that_differs_is_named() {
        assert_eq!(difference(b"ping", b"ping"), None);
        let told = difference(b"ping", b"pong").unwrap();
        assert_eq!(
            told,
            r#"received "pong", sent "ping": they differ at byte 1"#
        );
        let told = difference(b"ping", b"pin").unwrap();
        assert!(told.ends_with("at byte 3"), "{told}");
    }
}
