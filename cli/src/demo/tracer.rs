//! A client that prints each call as strace(1) would, and compares what arrives with what was sent.

use std::fmt::Display;

use farsock_client::{
    Address, Client, Domain, Error, ErrorKind, MessageFlags, PollEvents, Protocol, Received,
    RecvMessagesOptions, RecvOptions, RemoteSocket, SendOptions, ShutdownHow, SocketType,
};

use super::strace;
use crate::{
    exit::Failure,
    output::{self, Output},
};

/// Room for a datagram where its size is not the point.
const ROOM: usize = 65_536;

/// See the module.
pub(super) struct Tracer<'a> {
    client: &'a Client,
    output: &'a mut Output,
    calls: usize,
    bytes: usize,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(client: &'a Client, output: &'a mut Output) -> Self {
        Self {
            client,
            output,
            calls: 0,
            bytes: 0,
        }
    }

    /// Begins an exchange.
    pub(super) fn title(&mut self, title: &str) -> Result<(), Failure> {
        if self.calls > 0 {
            self.output.line("")?;
        }
        Ok(self.output.line(format_args!("# {title}"))?)
    }

    /// Ends the demo.
    pub(super) fn end(self) -> Result<(), Failure> {
        let Self { calls, bytes, .. } = self;
        self.output.flush()?;
        output::note(format_args!(
            "{calls} calls; all {bytes} bytes received are those that were sent"
        ));
        Ok(())
    }

    pub(super) async fn socket(
        &mut self,
        domain: Domain,
        r#type: SocketType,
        protocol: Protocol,
    ) -> Result<RemoteSocket, Failure> {
        let answer = self.client.socket(domain, r#type, protocol).await;
        let call = format!("socket({domain}, {type}, {protocol})");
        self.returned(&call, answer, RemoteSocket::handle)
    }

    pub(super) async fn socketpair(
        &mut self,
        domain: Domain,
        r#type: SocketType,
    ) -> Result<(RemoteSocket, RemoteSocket), Failure> {
        let answer = self
            .client
            .socket_pair(domain, r#type, Protocol::Default)
            .await;
        let handles = answer.as_ref().map_or_else(
            |_| "0x...".to_owned(),
            |(first, second)| format!("[{}, {}]", first.handle(), second.handle()),
        );
        let call = format!("socketpair({domain}, {type}, 0, {handles})");
        self.returned(&call, answer, |_| 0)
    }

    pub(super) async fn bind(
        &mut self,
        socket: &RemoteSocket,
        address: &str,
    ) -> Result<(), Failure> {
        let address = parsed(address)?;
        let call = format!("bind({}, {})", socket.handle(), strace::passed(&address));
        let answer = socket.bind(address).await;
        self.returned(&call, answer, |_| 0).map(drop)
    }

    pub(super) async fn getsockname(&mut self, socket: &RemoteSocket) -> Result<Address, Failure> {
        let answer = socket.socket_name().await;
        let address = strace::filled_in(answer.as_ref().ok());
        let call = format!("getsockname({}, {address})", socket.handle());
        self.returned(&call, answer, |_| 0)
    }

    pub(super) async fn getpeername(&mut self, socket: &RemoteSocket) -> Result<Address, Failure> {
        let answer = socket.peer_name().await;
        let address = strace::filled_in(answer.as_ref().ok());
        let call = format!("getpeername({}, {address})", socket.handle());
        self.returned(&call, answer, |_| 0)
    }

    pub(super) async fn listen(
        &mut self,
        socket: &RemoteSocket,
        backlog: i32,
    ) -> Result<(), Failure> {
        let answer = socket.listen(backlog).await;
        let call = format!("listen({}, {backlog})", socket.handle());
        self.returned(&call, answer, |()| 0)
    }

    pub(super) async fn accept(
        &mut self,
        listener: &RemoteSocket,
    ) -> Result<(RemoteSocket, Address), Failure> {
        let answer = listener.accept().await;
        let address = strace::filled_in(answer.as_ref().ok().map(|(_, peer)| peer));
        let call = format!("accept({}, {address})", listener.handle());
        self.returned(&call, answer, |(socket, _)| socket.handle())
    }

    pub(super) async fn connect(
        &mut self,
        socket: &RemoteSocket,
        address: &Address,
    ) -> Result<(), Failure> {
        let answer = socket.connect(address.clone()).await;
        let call = connect(socket, address);
        self.returned(&call, answer, |_| 0).map(drop)
    }

    /// A connect that must be refused.
    pub(super) async fn connect_refused(
        &mut self,
        socket: &RemoteSocket,
        address: &Address,
    ) -> Result<(), Failure> {
        let answer = socket.connect(address.clone()).await;
        self.failed(&connect(socket, address), answer, "ECONNREFUSED")
    }

    pub(super) async fn send(
        &mut self,
        socket: &RemoteSocket,
        data: &'static [u8],
    ) -> Result<(), Failure> {
        let answer = socket.send(data).await;
        let (handle, text) = (socket.handle(), strace::string(data));
        let call = format!("send({handle}, {text}, {}, 0)", data.len());
        let sent = self.returned(&call, answer, |sent| *sent)?;
        expect(&call, "bytes", &data.len(), &sent)
    }

    pub(super) async fn sendto(
        &mut self,
        socket: &RemoteSocket,
        data: &'static [u8],
        address: &Address,
    ) -> Result<(), Failure> {
        let answer = socket
            .send_to_with(data, address.clone(), SendOptions::default())
            .await;
        let call = format!(
            "sendto({}, {}, {}, 0, {})",
            socket.handle(),
            strace::string(data),
            data.len(),
            strace::passed(address)
        );
        let sent = self.returned(&call, answer, |sent| *sent)?;
        expect(&call, "bytes", &data.len(), &sent)
    }

    /// Receives exactly as many bytes of a stream as `sent` has.
    pub(super) async fn recv(&mut self, socket: &RemoteSocket, sent: &[u8]) -> Result<(), Failure> {
        let (call, received) = self
            .received(socket, sent.len(), MessageFlags::WAITALL)
            .await?;
        self.compare(&call, sent, &received.data)
    }

    /// Receives the message `sent`, with room for a longer one.
    pub(super) async fn recv_message(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
    ) -> Result<(), Failure> {
        let (call, received) = self.received(socket, ROOM, MessageFlags::NONE).await?;
        self.compare(&call, sent, &received.data)
    }

    /// Receives the end of a stream.
    pub(super) async fn recv_end(&mut self, socket: &RemoteSocket) -> Result<(), Failure> {
        let (call, received) = self.received(socket, ROOM, MessageFlags::NONE).await?;
        self.compare(&call, b"", &received.data)?;
        expect(&call, "end of stream", &true, &received.end_of_stream)
    }

    /// A receive that must fail, without waiting.
    pub(super) async fn recv_fails(
        &mut self,
        socket: &RemoteSocket,
        errno_name: &str,
    ) -> Result<(), Failure> {
        let flags = MessageFlags::DONTWAIT;
        let options = RecvOptions {
            flags,
            timeout: None,
        };
        let answer = socket.recv_with(ROOM, options).await;
        let call = format!("recv({}, 0x..., {ROOM}, {flags})", socket.handle());
        self.failed(&call, answer, errno_name)
    }

    /// Receives the datagram `sent`, and tells who sent it.
    pub(super) async fn recvfrom(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
    ) -> Result<Address, Failure> {
        let answer = socket.recv_from(ROOM).await;
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
    pub(super) async fn recvmsg_truncated(
        &mut self,
        socket: &RemoteSocket,
        sent: &[u8],
        length: usize,
    ) -> Result<(), Failure> {
        let options = RecvMessagesOptions {
            length: Some(length),
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

    pub(super) async fn poll(
        &mut self,
        socket: &RemoteSocket,
        events: PollEvents,
    ) -> Result<(), Failure> {
        let answer = self.client.poll(&[(socket, events)], None).await;
        let ready = answer.as_ref().map_or_else(
            |_| String::new(),
            |ready| ready.iter().map(|of| poll_names(of.events)).collect(),
        );
        let call = format!(
            "poll([{{fd={}, events={}, revents={ready}}}], 1, -1)",
            socket.handle(),
            poll_names(events)
        );
        let ready = self.returned(&call, answer, Vec::len)?;
        expect(&call, "sockets ready", &1, &ready.len())
    }

    pub(super) async fn shutdown(
        &mut self,
        socket: &RemoteSocket,
        how: ShutdownHow,
    ) -> Result<(), Failure> {
        let answer = socket.shutdown(how).await;
        let call = format!("shutdown({}, {how})", socket.handle());
        self.returned(&call, answer, |()| 0)
    }

    pub(super) async fn close(&mut self, socket: RemoteSocket) -> Result<(), Failure> {
        let call = format!("close({})", socket.handle());
        let answer = socket.close().await;
        self.returned(&call, answer, |()| 0)
    }

    /// Two addresses that must be the same.
    pub(super) fn same(&self, what: &str, one: &Address, other: &Address) -> Result<(), Failure> {
        expect(what, "address", one, other)
    }

    async fn received(
        &mut self,
        socket: &RemoteSocket,
        room: usize,
        flags: MessageFlags,
    ) -> Result<(String, Received), Failure> {
        let options = RecvOptions {
            flags,
            timeout: None,
        };
        let answer = socket.recv_with(room, options).await;
        let data = answer.as_ref().map_or(&b""[..], |received| &received.data);
        let (handle, text) = (socket.handle(), strace::string(data));
        let call = format!("recv({handle}, {text}, {room}, {flags})");
        let received = self.returned(&call, answer, |received| received.data.len())?;
        Ok((call, received))
    }

    /// Prints the call and what it returned; a failure ends the demo, after it was printed.
    fn returned<T, N: Display>(
        &mut self,
        call: &str,
        answer: Result<T, Error>,
        number: impl FnOnce(&T) -> N,
    ) -> Result<T, Failure> {
        self.calls += 1;
        match answer {
            Ok(value) => {
                self.output
                    .line(format_args!("{call} = {}", number(&value)))?;
                Ok(value)
            }
            Err(error) => {
                self.print_error(call, &error)?;
                Err(Failure::of(call.to_owned(), &error))
            }
        }
    }

    /// Prints a call that must fail with `errno_name`.
    fn failed<T>(
        &mut self,
        call: &str,
        answer: Result<T, Error>,
        errno_name: &str,
    ) -> Result<(), Failure> {
        self.calls += 1;
        match answer {
            Ok(_) => {
                let message = format!("{call}: went well, where {errno_name} was expected");
                Err(Failure::Mismatch(message))
            }
            Err(error) if error.errno_name() == Some(errno_name) => self.print_error(call, &error),
            Err(error) => Err(Failure::of(call.to_owned(), &error)),
        }
    }

    fn print_error(&mut self, call: &str, error: &Error) -> Result<(), Failure> {
        if let ErrorKind::Kernel { name, .. } = error.kind() {
            let text = crate::exit::bare_text(error);
            self.output
                .line(format_args!("{call} = -1 {name} ({text})"))?;
        }
        Ok(())
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

fn expect<T: PartialEq + std::fmt::Debug>(
    call: &str,
    what: &str,
    expected: &T,
    found: &T,
) -> Result<(), Failure> {
    if expected == found {
        return Ok(());
    }
    let message = format!("{call}: {what}: {found:?}, where {expected:?} was expected");
    Err(Failure::Mismatch(message))
}

fn connect(socket: &RemoteSocket, address: &Address) -> String {
    format!("connect({}, {})", socket.handle(), strace::passed(address))
}

fn poll_names(events: PollEvents) -> String {
    let names: Vec<String> = events.names().map(|name| format!("POLL{name}")).collect();
    names.join("|")
}

/// Reads an address that the demo itself wrote.
fn parsed(text: &str) -> Result<Address, Failure> {
    text.parse()
        .map_err(|error| Failure::Local(format!("{text}: {error}")))
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
