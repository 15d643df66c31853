//! The calls of a sequence: system calls on sockets that have numbers instead of descriptors or handles.

use std::{
    fmt::{self, Display as _},
    net::IpAddr,
    time::Duration,
};

use farsock_client::Address;

/// A socket of a sequence, by its number. Each world keeps its own descriptor or handle for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) usize);

impl Slot {
    /// A socket that never was, for calls that must not find one.
    pub(crate) const NONE: Self = Self(usize::MAX);
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("#none"),
            Self(number) => write!(f, "#{number}"),
        }
    }
}

/// What socket(2) takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) domain: i32,
    pub(crate) kind: i32,
    pub(crate) protocol: i32,
    pub(crate) nonblocking: bool,
}

impl Kind {
    pub(crate) const fn new(domain: i32, kind: i32, protocol: i32) -> Self {
        Self {
            domain,
            kind,
            protocol,
            nonblocking: false,
        }
    }

    pub(crate) const fn nonblocking(mut self) -> Self {
        self.nonblocking = true;
        self
    }
}

/// An address, or how to find out one: both worlds have ports and paths of their own.
#[derive(Clone, PartialEq)]
pub(crate) enum Addr {
    /// This one.
    Plain(Address),
    /// The local address of another socket.
    Of(Slot),
    /// This host with the port of another socket.
    PortOf(Slot, IpAddr),
    /// A path in the world's own directory.
    Path(String),
    /// An abstract name with the world's own prefix.
    Abstract(String),
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => write!(f, "{address}"),
            Self::Of(slot) => write!(f, "address of {slot:?}"),
            Self::PortOf(slot, host) => write!(f, "{host} at the port of {slot:?}"),
            Self::Path(name) => write!(f, "$DIR/{name}"),
            Self::Abstract(name) => write!(f, "abstract {name:?}"),
        }
    }
}

impl Addr {
    /// The socket whose address it is.
    pub(crate) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Of(slot) | Self::PortOf(slot, _) => Some(*slot),
            _ => None,
        }
    }
}

impl From<Slot> for Addr {
    fn from(slot: Slot) -> Self {
        Self::Of(slot)
    }
}

impl From<Address> for Addr {
    fn from(address: Address) -> Self {
        Self::Plain(address)
    }
}

/// What is sent, shown in short.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Data(pub(crate) Vec<u8>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::outcome::Bytes(&self.0).fmt(f)
    }
}

impl<T: AsRef<[u8]>> From<T> for Data {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

/// One message to send.
#[derive(Clone, Debug)]
pub(crate) struct Out<S = Slot, A = Addr> {
    pub(crate) data: Data,
    pub(crate) address: Option<A>,
    pub(crate) control: Vec<Ctl<S>>,
}

/// A control message to send.
#[derive(Clone, Debug)]
pub(crate) enum Ctl<S = Slot> {
    /// SCM_RIGHTS.
    Rights(Vec<S>),
    /// SCM_CREDENTIALS of this very process.
    Credentials,
    /// An int of this level and type: IP_TTL, IP_TOS, IPV6_HOPLIMIT, IPV6_TCLASS.
    Int(i32, i32, i32),
    /// UDP_SEGMENT.
    Segment(u16),
    /// IP_PKTINFO with ipi_spec_dst.
    PacketInfo(u32, std::net::Ipv4Addr),
    /// IPV6_PKTINFO.
    PacketInfo6(u32, std::net::Ipv6Addr),
    /// Any, by its bytes.
    Raw(i32, i32, Vec<u8>),
}

/// One call. `S` is a socket's name and `A` an address: symbolic in a sequence, real in a world.
#[derive(Clone, Debug)]
pub(crate) enum Call<S = Slot, A = Addr> {
    Socket(Kind),
    Pair(Kind),
    Bind(S, A),
    Listen(S, i32),
    Accept {
        listener: S,
        nonblocking: bool,
    },
    Connect(S, A),
    Send {
        socket: S,
        data: Data,
        flags: i32,
    },
    SendTo {
        socket: S,
        data: Data,
        flags: i32,
        address: Option<A>,
    },
    SendMessages {
        socket: S,
        messages: Vec<Out<S, A>>,
        flags: i32,
    },
    Recv {
        socket: S,
        length: usize,
        flags: i32,
    },
    RecvFrom {
        socket: S,
        length: usize,
        flags: i32,
    },
    RecvMessages {
        socket: S,
        count: usize,
        length: usize,
        control: usize,
        flags: i32,
    },
    Shutdown(S, i32),
    Close {
        socket: S,
        abort: bool,
    },
    SockName(S),
    PeerName(S),
    SetOpt {
        socket: S,
        level: i32,
        number: i32,
        value: Vec<u8>,
    },
    GetOpt {
        socket: S,
        level: i32,
        number: i32,
        room: usize,
    },
    Poll {
        entries: Vec<(S, i16)>,
        timeout: Option<Duration>,
    },
    /// What `GetSocket` tells: state, queues, mark. The oracle asks ioctl(2) and TCP_INFO.
    Info(S),
    /// A relay, until both directions have ended. The oracle is a program of recv(2), send(2) and shutdown(2).
    Splice(S, S),
}

impl<S: Copy, A> Call<S, A> {
    /// The same call with real sockets and addresses.
    pub(crate) async fn resolve<T, B>(
        self,
        mut socket: impl FnMut(S) -> T,
        mut address: impl AsyncFnMut(A) -> B,
    ) -> Call<T, B> {
        match self {
            Self::Socket(kind) => Call::Socket(kind),
            Self::Pair(kind) => Call::Pair(kind),
            Self::Bind(s, a) => Call::Bind(socket(s), address(a).await),
            Self::Listen(s, backlog) => Call::Listen(socket(s), backlog),
            Self::Accept {
                listener,
                nonblocking,
            } => Call::Accept {
                listener: socket(listener),
                nonblocking,
            },
            Self::Connect(s, a) => Call::Connect(socket(s), address(a).await),
            Self::Send {
                socket: s,
                data,
                flags,
            } => Call::Send {
                socket: socket(s),
                data,
                flags,
            },
            Self::SendTo {
                socket: s,
                data,
                flags,
                address: a,
            } => Call::SendTo {
                socket: socket(s),
                data,
                flags,
                address: match a {
                    Some(a) => Some(address(a).await),
                    None => None,
                },
            },
            Self::SendMessages {
                socket: s,
                messages,
                flags,
            } => {
                let mut real = Vec::new();
                for message in messages {
                    real.push(Out {
                        data: message.data,
                        address: match message.address {
                            Some(a) => Some(address(a).await),
                            None => None,
                        },
                        control: message
                            .control
                            .into_iter()
                            .map(|control| control.resolve(&mut socket))
                            .collect(),
                    });
                }
                Call::SendMessages {
                    socket: socket(s),
                    messages: real,
                    flags,
                }
            }
            Self::Recv {
                socket: s,
                length,
                flags,
            } => Call::Recv {
                socket: socket(s),
                length,
                flags,
            },
            Self::RecvFrom {
                socket: s,
                length,
                flags,
            } => Call::RecvFrom {
                socket: socket(s),
                length,
                flags,
            },
            Self::RecvMessages {
                socket: s,
                count,
                length,
                control,
                flags,
            } => Call::RecvMessages {
                socket: socket(s),
                count,
                length,
                control,
                flags,
            },
            Self::Shutdown(s, how) => Call::Shutdown(socket(s), how),
            Self::Close { socket: s, abort } => Call::Close {
                socket: socket(s),
                abort,
            },
            Self::SockName(s) => Call::SockName(socket(s)),
            Self::PeerName(s) => Call::PeerName(socket(s)),
            Self::SetOpt {
                socket: s,
                level,
                number,
                value,
            } => Call::SetOpt {
                socket: socket(s),
                level,
                number,
                value,
            },
            Self::GetOpt {
                socket: s,
                level,
                number,
                room,
            } => Call::GetOpt {
                socket: socket(s),
                level,
                number,
                room,
            },
            Self::Poll { entries, timeout } => Call::Poll {
                entries: entries
                    .into_iter()
                    .map(|(s, events)| (socket(s), events))
                    .collect(),
                timeout,
            },
            Self::Info(s) => Call::Info(socket(s)),
            Self::Splice(first, second) => Call::Splice(socket(first), socket(second)),
        }
    }

    /// A socket that the call waits on, if it waits on one.
    pub(crate) fn waits_on(&self) -> Option<S> {
        match self {
            Self::Accept {
                listener: socket, ..
            }
            | Self::Connect(socket, _)
            | Self::Send { socket, .. }
            | Self::SendTo { socket, .. }
            | Self::SendMessages { socket, .. }
            | Self::Recv { socket, .. }
            | Self::RecvFrom { socket, .. }
            | Self::RecvMessages { socket, .. } => Some(*socket),
            Self::Poll { entries, .. } => entries.first().map(|(socket, _)| *socket),
            Self::Splice(first, _) => Some(*first),
            _ => None,
        }
    }
}

impl<S> Ctl<S> {
    fn resolve<T>(self, socket: &mut impl FnMut(S) -> T) -> Ctl<T> {
        match self {
            Self::Rights(sockets) => Ctl::Rights(sockets.into_iter().map(socket).collect()),
            Self::Credentials => Ctl::Credentials,
            Self::Int(level, kind, value) => Ctl::Int(level, kind, value),
            Self::Segment(size) => Ctl::Segment(size),
            Self::PacketInfo(index, address) => Ctl::PacketInfo(index, address),
            Self::PacketInfo6(index, address) => Ctl::PacketInfo6(index, address),
            Self::Raw(level, kind, data) => Ctl::Raw(level, kind, data),
        }
    }
}
