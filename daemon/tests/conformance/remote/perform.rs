//! One call by the client's method of its name.

use farsock_client::{
    AcceptOptions, Address, Client, Domain, Error, OptionName, OptionValue, PollEvents, Protocol,
    Reason, RecvMessagesOptions, RemoteSocket, ShutdownHow, SocketOptions, SocketType,
};

use super::{
    info::known,
    message::{message, message_flags, outgoing, received_message, recv_options, send_options},
    relay,
};
use crate::{
    call::{Call, Kind},
    direct::EVENTS,
    outcome::{Failure, Outcome, Value, errno_name},
};

/// Makes the call, and waits for its answer.
pub(super) async fn perform(client: Client, call: Call<u64, Address>) -> Outcome<u64> {
    ask(&client, call).await.map_err(|error| failure(&error))
}

/// The call by the client's method of its name.
async fn ask(client: &Client, call: Call<u64, Address>) -> Result<Value<u64>, Error> {
    let on = |handle: &u64| client.adopt(*handle);
    Ok(match call {
        Call::Socket(kind) => {
            let (domain, socket_type, protocol) = named(kind);
            let options = SocketOptions {
                nonblocking: kind.nonblocking,
                ..SocketOptions::default()
            };
            let socket = client
                .socket_with(domain, socket_type, protocol, options)
                .await?;
            Value::Sockets(vec![socket.into_handle()])
        }
        Call::Pair(kind) => {
            let (domain, socket_type, protocol) = named(kind);
            let (first, second) = client
                .socket_pair_with(domain, socket_type, protocol, kind.nonblocking)
                .await?;
            Value::Sockets(vec![first.into_handle(), second.into_handle()])
        }
        Call::Bind(handle, address) => Value::Address(Some(on(&handle).bind(address).await?)),
        Call::Listen(handle, backlog) => {
            on(&handle).listen(backlog).await?;
            Value::Done
        }
        Call::Accept {
            listener,
            nonblocking,
        } => {
            let options = AcceptOptions {
                nonblocking,
                timeout: None,
            };
            let (socket, peer) = on(&listener).accept_with(options).await?;
            Value::Accepted(socket.into_handle(), peer)
        }
        Call::Connect(handle, address) => Value::Address(on(&handle).connect(address).await?),
        Call::Send {
            socket,
            data,
            flags,
        } => Value::Sent(on(&socket).send_with(data.0, send_options(flags)).await?),
        Call::SendTo {
            socket,
            data,
            flags,
            address: None,
        } => Value::Sent(on(&socket).send_with(data.0, send_options(flags)).await?),
        Call::SendTo {
            socket,
            data,
            flags,
            address: Some(address),
        } => {
            let options = send_options(flags);
            Value::Sent(on(&socket).send_to_with(data.0, address, options).await?)
        }
        Call::SendMessages {
            socket,
            messages,
            flags,
        } => {
            let messages = messages.into_iter().map(outgoing).collect();
            Value::SentEach(
                on(&socket)
                    .send_messages_with(messages, send_options(flags))
                    .await?,
            )
        }
        Call::Recv {
            socket,
            length,
            flags,
        } => {
            let received = on(&socket).recv_with(length, recv_options(flags)).await?;
            Value::Received(vec![message(received, None)])
        }
        Call::RecvFrom {
            socket,
            length,
            flags,
        } => {
            let (received, address) = on(&socket)
                .recv_from_with(length, recv_options(flags))
                .await?;
            Value::Received(vec![message(received, address)])
        }
        Call::RecvMessages {
            socket,
            count,
            length,
            control,
            flags,
        } => {
            let options = RecvMessagesOptions {
                max_messages: Some(count),
                length: Some(length),
                control_length: Some(control),
                flags: message_flags(flags),
                timeout: None,
            };
            let received = on(&socket).recv_messages(options).await?;
            Value::Received(received.into_iter().map(received_message).collect())
        }
        Call::Shutdown(handle, how) => {
            let how = match how {
                libc::SHUT_RD => ShutdownHow::Read,
                libc::SHUT_WR => ShutdownHow::Write,
                _ => ShutdownHow::Both,
            };
            on(&handle).shutdown(how).await?;
            Value::Done
        }
        Call::Close {
            socket,
            abort: false,
        } => {
            on(&socket).close().await?;
            Value::Done
        }
        Call::Close {
            socket,
            abort: true,
        } => {
            on(&socket).abort().await?;
            Value::Done
        }
        Call::SockName(handle) => Value::Address(Some(on(&handle).socket_name().await?)),
        Call::PeerName(handle) => Value::Address(Some(on(&handle).peer_name().await?)),
        Call::SetOpt {
            socket,
            level,
            number,
            value,
        } => {
            let name = OptionName::Raw { level, number };
            on(&socket)
                .set_option(name, OptionValue::Raw(value.into()))
                .await?;
            Value::Done
        }
        Call::GetOpt {
            socket,
            level,
            number,
            room,
        } => Value::Option(get_raw_option(&on(&socket), level, number, room).await?),
        Call::Poll { entries, timeout } => {
            let entries: Vec<(u64, PollEvents)> = entries
                .into_iter()
                .map(|(handle, events)| (handle, poll_events(events)))
                .collect();
            let ready = client.poll(&entries, timeout).await?;
            Value::Ready(
                ready
                    .into_iter()
                    .map(|ready| (ready.index, ready.events.names().collect()))
                    .collect(),
            )
        }
        Call::Info(handle) => {
            let socket = on(&handle);
            let info = socket.info().await?;
            Value::Info(known(&info))
        }
        Call::Splice(first, second) => {
            relay::moved(on(&first).splice(&second).await?, first, second)
        }
    })
}

/// The bytes that getsockopt(2) returned to the daemon.
pub(crate) async fn get_raw_option(
    socket: &RemoteSocket,
    level: i32,
    number: i32,
    room: usize,
) -> Result<Vec<u8>, Error> {
    let room = i32::try_from(room).expect("cases ask for few bytes");
    let name = OptionName::Raw { level, number };
    match socket.option_with_length(name, room).await? {
        OptionValue::Raw(bytes) => Ok(bytes.to_vec()),
        other => panic!("a raw option was read as {other:?}"),
    }
}

/// What the error is to compare: the kernel's by its name, whose number must be this host's. A handle that does not exist is what a
/// descriptor that is not open is.
pub(crate) fn failure(error: &Error) -> Failure {
    match (error.errno_name(), error.errno()) {
        (Some(name), Some(number)) if errno_name(number) == name => Failure::Errno(name.to_owned()),
        _ if error.reason() == Some(Reason::HandleNotFound) => Failure::Errno("EBADF".to_owned()),
        _ => Failure::Other(format!("{error} ({:?})", error.kind())),
    }
}

/// By name where the API has one, so that the names are tested, and by number elsewhere.
pub(crate) fn named(kind: Kind) -> (Domain, SocketType, Protocol) {
    let domain = match kind.domain {
        libc::AF_UNIX => Domain::Unix,
        libc::AF_INET => Domain::Inet,
        libc::AF_INET6 => Domain::Inet6,
        libc::AF_VSOCK => Domain::Vsock,
        libc::AF_PACKET => Domain::Packet,
        libc::AF_NETLINK => Domain::Netlink,
        number => Domain::Raw(number),
    };
    let socket_type = match kind.kind {
        libc::SOCK_STREAM => SocketType::Stream,
        libc::SOCK_DGRAM => SocketType::Dgram,
        libc::SOCK_SEQPACKET => SocketType::Seqpacket,
        libc::SOCK_RAW => SocketType::Raw,
        number => SocketType::Other(number),
    };
    let internet = matches!(kind.domain, libc::AF_INET | libc::AF_INET6);
    let protocol = match kind.protocol {
        0 => Protocol::Default,
        number if !internet => Protocol::Other(number),
        libc::IPPROTO_ICMP => Protocol::Icmp,
        libc::IPPROTO_TCP => Protocol::Tcp,
        libc::IPPROTO_UDP => Protocol::Udp,
        libc::IPPROTO_ICMPV6 => Protocol::Icmpv6,
        libc::IPPROTO_SCTP => Protocol::Sctp,
        libc::IPPROTO_UDPLITE => Protocol::Udplite,
        libc::IPPROTO_RAW => Protocol::Raw,
        libc::IPPROTO_MPTCP => Protocol::Mptcp,
        number => Protocol::Other(number),
    };
    (domain, socket_type, protocol)
}

fn poll_events(events: i16) -> PollEvents {
    const ALL: [PollEvents; 7] = [
        PollEvents::IN,
        PollEvents::PRI,
        PollEvents::OUT,
        PollEvents::ERR,
        PollEvents::HUP,
        PollEvents::NVAL,
        PollEvents::RDHUP,
    ];
    EVENTS
        .iter()
        .zip(ALL)
        .filter(|((bit, _), _)| events & bit != 0)
        .fold(PollEvents::NONE, |all, (_, event)| all | event)
}
