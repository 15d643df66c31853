//! A client that prints each call as strace(1) would, and compares what arrives with what was sent.

use std::{fmt::Display, time::Duration};

use farsock_client::{
    AcceptOptions, Address, Client, Domain, Error, ErrorKind, PollEvents, Protocol, RemoteSocket,
    ShutdownHow, SocketType,
};

use crate::{
    demo::strace,
    exit::Failure,
    output::{self, Output},
};

mod receive;

/// Room for a datagram where its size is not the point.
const ROOM: usize = 65_536;
/// How long a call may wait for what is already under way on the same host.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub(in crate::demo) struct Tracer<'a> {
    client: &'a Client,
    output: &'a mut Output,
    calls: usize,
    bytes: usize,
}

impl<'a> Tracer<'a> {
    pub(in crate::demo) fn new(client: &'a Client, output: &'a mut Output) -> Self {
        Self {
            client,
            output,
            calls: 0,
            bytes: 0,
        }
    }

    /// Begins an exchange.
    pub(in crate::demo) fn title(&mut self, title: &str) -> Result<(), Failure> {
        if self.calls > 0 {
            self.output.line("")?;
        }
        Ok(self.output.line(format_args!("# {title}"))?)
    }

    /// Ends the demo.
    pub(in crate::demo) fn end(self) -> Result<(), Failure> {
        let Self { calls, bytes, .. } = self;
        self.output.flush()?;
        output::note(format_args!(
            "{calls} calls; all {bytes} bytes received are those that were sent"
        ));
        Ok(())
    }

    pub(in crate::demo) async fn socket(
        &mut self,
        domain: Domain,
        r#type: SocketType,
        protocol: Protocol,
    ) -> Result<RemoteSocket, Failure> {
        let answer = self.client.socket(domain, r#type, protocol).await;
        let call = format!("socket({domain}, {type}, {protocol})");
        self.returned(&call, answer, RemoteSocket::handle)
    }

    pub(in crate::demo) async fn socketpair(
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

    pub(in crate::demo) async fn bind(
        &mut self,
        socket: &RemoteSocket,
        address: &str,
    ) -> Result<(), Failure> {
        let address = parsed(address)?;
        let call = format!("bind({}, {})", socket.handle(), strace::passed(&address));
        let answer = socket.bind(address).await;
        self.returned(&call, answer, |_| 0).map(drop)
    }

    pub(in crate::demo) async fn getsockname(
        &mut self,
        socket: &RemoteSocket,
    ) -> Result<Address, Failure> {
        let answer = socket.socket_name().await;
        let address = strace::filled_in(answer.as_ref().ok());
        let call = format!("getsockname({}, {address})", socket.handle());
        self.returned(&call, answer, |_| 0)
    }

    pub(in crate::demo) async fn getpeername(
        &mut self,
        socket: &RemoteSocket,
    ) -> Result<Address, Failure> {
        let answer = socket.peer_name().await;
        let address = strace::filled_in(answer.as_ref().ok());
        let call = format!("getpeername({}, {address})", socket.handle());
        self.returned(&call, answer, |_| 0)
    }

    pub(in crate::demo) async fn listen(
        &mut self,
        socket: &RemoteSocket,
        backlog: i32,
    ) -> Result<(), Failure> {
        let answer = socket.listen(backlog).await;
        let call = format!("listen({}, {backlog})", socket.handle());
        self.returned(&call, answer, |()| 0)
    }

    pub(in crate::demo) async fn accept(
        &mut self,
        listener: &RemoteSocket,
    ) -> Result<(RemoteSocket, Address), Failure> {
        let options = AcceptOptions {
            timeout: Some(PATIENCE),
            ..AcceptOptions::default()
        };
        let answer = listener.accept_with(options).await;
        let address = strace::filled_in(answer.as_ref().ok().map(|(_, peer)| peer));
        let call = format!("accept({}, {address})", listener.handle());
        self.returned(&call, answer, |(socket, _)| socket.handle())
    }

    pub(in crate::demo) async fn connect(
        &mut self,
        socket: &RemoteSocket,
        address: &Address,
    ) -> Result<(), Failure> {
        let answer = socket.connect(address.clone()).await;
        let call = connect(socket, address);
        self.returned(&call, answer, |_| 0).map(drop)
    }

    /// A connect that must be refused.
    pub(in crate::demo) async fn connect_refused(
        &mut self,
        socket: &RemoteSocket,
        address: &Address,
    ) -> Result<(), Failure> {
        let answer = socket.connect(address.clone()).await;
        self.failed(&connect(socket, address), answer, "ECONNREFUSED")
    }

    pub(in crate::demo) async fn send(
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

    pub(in crate::demo) async fn sendto(
        &mut self,
        socket: &RemoteSocket,
        data: &'static [u8],
        address: &Address,
    ) -> Result<(), Failure> {
        let answer = socket.send_to(data, address.clone()).await;
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

    pub(in crate::demo) async fn poll(
        &mut self,
        socket: &RemoteSocket,
        events: PollEvents,
    ) -> Result<(), Failure> {
        let answer = self.client.poll(&[(socket, events)], Some(PATIENCE)).await;
        let ready = answer.as_ref().map_or_else(
            |_| String::new(),
            |ready| ready.iter().map(|of| poll_names(of.events)).collect(),
        );
        let call = format!(
            "poll([{{fd={}, events={}, revents={ready}}}], 1, {})",
            socket.handle(),
            poll_names(events),
            PATIENCE.as_millis()
        );
        let ready = self.returned(&call, answer, Vec::len)?;
        expect(&call, "sockets ready", &1, &ready.len())
    }

    pub(in crate::demo) async fn shutdown(
        &mut self,
        socket: &RemoteSocket,
        how: ShutdownHow,
    ) -> Result<(), Failure> {
        let answer = socket.shutdown(how).await;
        let call = format!("shutdown({}, {how})", socket.handle());
        self.returned(&call, answer, |()| 0)
    }

    pub(in crate::demo) async fn close(&mut self, socket: RemoteSocket) -> Result<(), Failure> {
        let call = format!("close({})", socket.handle());
        let answer = socket.close().await;
        self.returned(&call, answer, |()| 0)
    }

    /// Two addresses that must be the same.
    pub(in crate::demo) fn same(
        &self,
        what: &str,
        one: &Address,
        other: &Address,
    ) -> Result<(), Failure> {
        expect(what, "address", one, other)
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
                self.print(format_args!("{call} = {}", number(&value)))?;
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
            self.print(format_args!("{call} = -1 {name} ({text})"))?;
        }
        Ok(())
    }

    /// Prints at once, so that one sees where the demo stands.
    fn print(&mut self, line: impl Display) -> Result<(), Failure> {
        self.output.line(line)?;
        Ok(self.output.flush()?)
    }
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
