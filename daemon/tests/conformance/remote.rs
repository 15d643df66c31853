//! The daemon's world: the same calls by farsock-client, over an embedded daemon.

use std::{collections::HashMap, time::Instant};

use farsock_client::{
    AcceptOptions, Address, Client, ControlMessage, Credentials, Domain, Error, MessageFlags,
    OptionName, OptionValue, OutgoingMessage, PollEvents, Protocol, RecvMessagesOptions,
    RecvOptions, RemoteSocket, Rights, SendOptions, ShutdownHow, SocketInfo, SocketOptions,
    SocketState, SocketType, UnixAddress,
};
use tokio::task::JoinHandle;

use crate::{
    call::{Addr, Call, Ctl, Kind, Out, Slot},
    control_text as text,
    direct::EVENTS,
    outcome::{Control, Failure, Info, Message, Outcome, Value, errno_name},
    world::{self, DEADLINE, World},
};

/// Sockets of a daemon, called by a client.
pub(crate) struct Remote {
    client: Client,
    place: world::Place,
    sockets: HashMap<Slot, u64>,
    known: HashMap<Slot, Address>,
    started: HashMap<usize, JoinHandle<Outcome<u64>>>,
    /// Calls that were begun and not finished, by the handle that they wait on.
    waiting: HashMap<usize, u64>,
}

impl Remote {
    pub(crate) fn new(client: Client, place: world::Place) -> Self {
        Self {
            client,
            place,
            sockets: HashMap::new(),
            known: HashMap::new(),
            started: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    async fn resolve(&mut self, call: Call) -> Result<Call<u64, Address>, Failure> {
        let Self {
            client,
            place,
            sockets,
            known,
            ..
        } = self;
        let socket = |slot: Slot| match slot {
            Slot::NONE => Ok(1 << 40),
            slot => sockets
                .get(&slot)
                .copied()
                .ok_or_else(|| Failure::Other(format!("the case has no socket {slot:?}"))),
        };
        let mut address_of = async |slot: Slot| {
            if let Some(handle) = sockets.get(&slot)
                && let Ok(address) = client.adopt(*handle).socket_name().await
            {
                known.insert(slot, address);
            }
            known
                .get(&slot)
                .cloned()
                .ok_or_else(|| Failure::Other(format!("{slot:?} has no address")))
        };
        call.resolve(socket, async |address| match address {
            Addr::Plain(address) => Ok(address),
            Addr::Of(slot) => address_of(slot).await,
            Addr::PortOf(slot, host) => address_of(slot)
                .await
                .map(|address| world::at(host, &address)),
            Addr::Path(name) => Ok(UnixAddress::Path(place.path(&name)).into()),
            Addr::Abstract(name) => Ok(UnixAddress::Abstract(place.abstract_name(&name)).into()),
        })
        .await
    }

    async fn settle(&mut self, outcome: Outcome<u64>, makes: &[Slot]) -> Outcome {
        let value = outcome?;
        for (slot, handle) in makes.iter().zip(value.made()) {
            self.sockets.insert(*slot, *handle);
        }
        let extra: Vec<u64> = value
            .made()
            .into_iter()
            .skip(makes.len())
            .copied()
            .collect();
        for handle in extra {
            let _ = self.client.adopt(handle).close().await;
        }
        let slots: HashMap<u64, Slot> = self
            .sockets
            .iter()
            .map(|(slot, handle)| (*handle, *slot))
            .collect();
        Ok(value.map(&mut self.place.names, |handle| {
            slots.get(&handle).copied().unwrap_or(Slot::NONE)
        }))
    }
}

impl World for Remote {
    async fn call(&mut self, call: Call, makes: &[Slot]) -> Outcome {
        const TAG: usize = usize::MAX;
        self.start(TAG, call).await?;
        self.finish(TAG, makes).await
    }

    async fn start(&mut self, tag: usize, call: Call) -> Result<(), Failure> {
        let closed = match &call {
            Call::Close { socket, .. } => Some(*socket),
            _ => None,
        };
        let call = self.resolve(call).await?;
        if let Some(slot) = closed {
            self.sockets.remove(&slot);
        }
        if let Some(handle) = call.waits_on() {
            self.waiting.insert(tag, handle);
        }
        let client = self.client.clone();
        self.started
            .insert(tag, tokio::spawn(perform(client, call)));
        Ok(())
    }

    async fn waits(&mut self, tag: usize, call: &Call) -> Result<(), String> {
        let limit = Instant::now() + DEADLINE;
        let handle = self.waiting.get(&tag).copied();
        let expected = self
            .waiting
            .values()
            .filter(|other| Some(**other) == handle)
            .count();
        loop {
            let ended = self
                .started
                .get(&tag)
                .ok_or("nothing was started")?
                .is_finished();
            let waiting = match handle {
                Some(handle) => {
                    let info = self.client.adopt(handle).info().await;
                    info.map_err(|error| error.to_string())?.waiting_operations as usize
                }
                // Close: its handle is gone as soon as it has begun.
                None if matches!(call, Call::Close { .. }) => expected,
                None => return Err(format!("{call:?} does not wait")),
            };
            if ended {
                return Err("it has ended".to_owned());
            }
            if waiting >= expected {
                return Ok(());
            }
            if Instant::now() > limit {
                return Err(format!(
                    "{waiting} operations wait on {handle:?}, not {expected}"
                ));
            }
            tokio::task::yield_now().await;
        }
    }

    async fn finish(&mut self, tag: usize, makes: &[Slot]) -> Outcome {
        self.waiting.remove(&tag);
        let started = self
            .started
            .remove(&tag)
            .ok_or_else(|| Failure::Other("nothing was started".to_owned()))?;
        let outcome = match tokio::time::timeout(DEADLINE, started).await {
            Ok(joined) => joined.unwrap_or_else(|error| Err(Failure::Other(error.to_string()))),
            Err(elapsed) => Err(Failure::Other(format!("no answer: {elapsed}"))),
        };
        self.settle(outcome, makes).await
    }

    async fn end(&mut self) {
        for (_, handle) in self.sockets.drain() {
            let _ = self.client.adopt(handle).close().await;
        }
    }
}

async fn perform(client: Client, call: Call<u64, Address>) -> Outcome<u64> {
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
        } => Value::Sent(on(&socket).send_with(data, send_options(flags)).await?),
        Call::SendTo {
            socket,
            data,
            flags,
            address: None,
        } => Value::Sent(on(&socket).send_with(data, send_options(flags)).await?),
        Call::SendTo {
            socket,
            data,
            flags,
            address: Some(address),
        } => {
            let options = send_options(flags);
            Value::Sent(on(&socket).send_to_with(data, address, options).await?)
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

/// What the error is to compare: the kernel's by its name, whose number must be this host's.
pub(crate) fn failure(error: &Error) -> Failure {
    match (error.errno_name(), error.errno()) {
        (Some(name), Some(number)) if errno_name(number) == name => Failure::Errno(name.to_owned()),
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
fn message_flags(flags: i32) -> MessageFlags {
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

fn send_options(flags: i32) -> SendOptions {
    SendOptions {
        flags: message_flags(flags),
        timeout: None,
    }
}

fn recv_options(flags: i32) -> RecvOptions {
    RecvOptions {
        flags: message_flags(flags),
        timeout: None,
    }
}

fn outgoing(message: Out<u64, Address>) -> OutgoingMessage {
    let mut outgoing = OutgoingMessage::new(message.data);
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
            destination: std::net::Ipv4Addr::UNSPECIFIED,
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

fn message(received: farsock_client::Received, address: Option<Address>) -> Message<u64> {
    Message {
        data: received.data.to_vec(),
        address,
        end_of_stream: received.end_of_stream,
        flags: flag_names(received.flags),
        full_length: usize::try_from(received.full_length).expect("a length"),
        control: Vec::new(),
    }
}

fn received_message(received: farsock_client::ReceivedMessage) -> Message<u64> {
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

fn known(info: &SocketInfo) -> Info {
    let tcp = info.tcp_info.is_some();
    let listening = info.state == Some(SocketState::Listen);
    let number = |value: &dyn std::fmt::Debug, table: &[(&str, i32)]| {
        let text = format!("{value:?}");
        table
            .iter()
            .find(|(name, _)| *name == text)
            .map_or(-1, |(_, number)| *number)
    };
    Info {
        domain: number(
            &info.domain,
            &[
                ("Unix", libc::AF_UNIX),
                ("Inet", libc::AF_INET),
                ("Inet6", libc::AF_INET6),
            ],
        ),
        kind: number(
            &info.kind,
            &[
                ("Stream", libc::SOCK_STREAM),
                ("Dgram", libc::SOCK_DGRAM),
                ("Seqpacket", libc::SOCK_SEQPACKET),
            ],
        ),
        protocol: number(
            &info.protocol,
            &[
                ("Default", 0),
                ("Tcp", libc::IPPROTO_TCP),
                ("Udp", libc::IPPROTO_UDP),
            ],
        ),
        tcp_state: tcp.then(|| info.state.map_or(0, tcp_state)),
        receive_queue: info.receive_queue.filter(|_| !listening),
        send_queue: info.send_queue.filter(|_| !listening),
        at_mark: info.at_mark,
        nonblocking: info.nonblocking,
    }
}

/// net/tcp_states.h.
fn tcp_state(state: SocketState) -> u8 {
    match state {
        SocketState::Unspecified => 0,
        SocketState::Established => 1,
        SocketState::SynSent => 2,
        SocketState::SynReceived => 3,
        SocketState::FinWait1 => 4,
        SocketState::FinWait2 => 5,
        SocketState::TimeWait => 6,
        SocketState::Unconnected => 7,
        SocketState::CloseWait => 8,
        SocketState::LastAck => 9,
        SocketState::Listen => 10,
        SocketState::Closing => 11,
    }
}
