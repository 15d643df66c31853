//! What a call came to, in a form that is the same in both worlds if the kernel's answer was.

use std::{collections::HashMap, fmt, net::SocketAddr};

use farsock_client::{Address, RawAddress, UnixAddress};

/// What a call came to.
pub(crate) type Outcome<S = super::call::Slot> = Result<Value<S>, Failure>;

/// A call's answer. `S` names the sockets that it made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<S> {
    Done,
    Sockets(Vec<S>),
    Accepted(S, Address),
    Address(Option<Address>),
    Sent(usize),
    SentEach(Vec<usize>),
    Received(Vec<Message<S>>),
    Option(Vec<u8>),
    /// Index and events of each entry that is ready.
    Ready(Vec<(usize, Vec<&'static str>)>),
    Info(Info),
    /// Each direction of a relay.
    Spliced(Vec<Moved>),
}

/// A call's error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Failure {
    /// The kernel's, by name.
    Errno(String),
    /// Anything else: never what the kernel answers, so never equal to it.
    Other(String),
}

/// One direction of a relay.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moved {
    pub(crate) bytes: usize,
    pub(crate) undelivered: usize,
    /// The call that ended it, and the errno's name.
    pub(crate) error: Option<(&'static str, String)>,
}

/// A received message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message<S> {
    pub(crate) data: Vec<u8>,
    pub(crate) address: Option<Address>,
    pub(crate) end_of_stream: bool,
    pub(crate) flags: Vec<&'static str>,
    pub(crate) full_length: usize,
    pub(crate) control: Vec<Control<S>>,
}

/// A received control message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Control<S> {
    /// SCM_RIGHTS.
    Rights(Vec<S>),
    /// IP_RECVERR and its like, whose offender is an address.
    Error {
        errno: u32,
        origin: u8,
        kind: u8,
        code: u8,
        info: u32,
        data: u32,
        offender: Option<SocketAddr>,
    },
    /// IP_ORIGDSTADDR.
    OriginalDestination(SocketAddr),
    /// Any other, as text.
    Text(String),
}

/// What is known of a socket beside its addresses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Info {
    pub(crate) domain: i32,
    pub(crate) kind: i32,
    pub(crate) protocol: i32,
    pub(crate) tcp_state: Option<u8>,
    pub(crate) receive_queue: Option<u64>,
    pub(crate) send_queue: Option<u64>,
    /// Of a listening TCP socket: the connections that wait for accept(2).
    pub(crate) connections: Option<u64>,
    pub(crate) at_mark: bool,
    pub(crate) nonblocking: bool,
}

impl<S> Value<S> {
    /// The sockets that the call made, in order.
    pub(crate) fn made(&self) -> Vec<&S> {
        match self {
            Self::Sockets(made) => made.iter().collect(),
            Self::Accepted(made, _) => vec![made],
            Self::Received(messages) => messages
                .iter()
                .flat_map(|message| &message.control)
                .filter_map(|control| match control {
                    Control::Rights(made) => Some(made),
                    _ => None,
                })
                .flatten()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The same answer with other names for its sockets, and with addresses as `names` knows them.
    pub(crate) fn map<T>(self, names: &mut Names, mut name: impl FnMut(S) -> T) -> Value<T> {
        match self {
            Self::Done => Value::Done,
            Self::Sockets(made) => Value::Sockets(made.into_iter().map(name).collect()),
            Self::Accepted(made, peer) => Value::Accepted(name(made), names.symbolic(peer)),
            Self::Address(address) => {
                Value::Address(address.map(|address| names.symbolic(address)))
            }
            Self::Sent(count) => Value::Sent(count),
            Self::SentEach(counts) => Value::SentEach(counts),
            Self::Received(messages) => Value::Received(
                messages
                    .into_iter()
                    .map(|message| message.map(names, &mut name))
                    .collect(),
            ),
            Self::Option(bytes) => Value::Option(bytes),
            Self::Ready(ready) => Value::Ready(ready),
            Self::Info(info) => Value::Info(info),
            Self::Spliced(directions) => Value::Spliced(directions),
        }
    }
}

impl<S> Message<S> {
    fn map<T>(self, names: &mut Names, name: &mut impl FnMut(S) -> T) -> Message<T> {
        Message {
            data: self.data,
            address: self.address.map(|address| names.symbolic(address)),
            end_of_stream: self.end_of_stream,
            flags: self.flags,
            full_length: self.full_length,
            control: self
                .control
                .into_iter()
                .map(|control| match control {
                    Control::Rights(made) => {
                        Control::Rights(made.into_iter().map(&mut *name).collect())
                    }
                    Control::Error {
                        errno,
                        origin,
                        kind,
                        code,
                        info,
                        data,
                        offender,
                    } => Control::Error {
                        errno,
                        origin,
                        kind,
                        code,
                        info,
                        data,
                        offender: offender.map(|address| names.symbolic_ip(address)),
                    },
                    Control::OriginalDestination(address) => {
                        Control::OriginalDestination(names.symbolic_ip(address))
                    }
                    Control::Text(text) => Control::Text(text),
                })
                .collect(),
        }
    }
}

/// The names that one world's kernel chose, numbered in the order in which they appear: worlds that do the same see the same
/// order.
#[derive(Debug)]
pub(crate) struct Names {
    directory: String,
    prefix: String,
    ports: HashMap<u16, u16>,
    autobound: HashMap<String, usize>,
    netlink: HashMap<[u8; 4], u32>,
}

impl Names {
    /// Names of a world whose paths are in `directory` and whose abstract names begin with `prefix`.
    pub(crate) fn new(directory: &str, prefix: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            prefix: prefix.to_owned(),
            ports: HashMap::new(),
            autobound: HashMap::new(),
            netlink: HashMap::new(),
        }
    }

    /// `address` without what differs from world to world.
    pub(crate) fn symbolic(&mut self, address: Address) -> Address {
        match address {
            Address::Ip(address) => Address::Ip(self.symbolic_ip(address)),
            Address::Unix(UnixAddress::Path(path)) => {
                Address::Unix(UnixAddress::Path(path.replace(&self.directory, "$DIR")))
            }
            Address::Unix(UnixAddress::Abstract(name)) => {
                Address::Unix(UnixAddress::Abstract(self.symbolic_name(&name)))
            }
            Address::Raw(RawAddress { family, data }) => self.symbolic_raw(family, &data),
            other => other,
        }
    }

    fn symbolic_ip(&mut self, mut address: SocketAddr) -> SocketAddr {
        // Ports that a case asks for are low ones; all others are the kernel's choice.
        if address.port() >= 1024 {
            let next = 60_001 + u16::try_from(self.ports.len()).expect("a case has few ports");
            address.set_port(*self.ports.entry(address.port()).or_insert(next));
        }
        address
    }

    fn symbolic_name(&mut self, name: &str) -> String {
        if let Some(rest) = name.strip_prefix(&self.prefix) {
            return format!("$NAME{rest}");
        }
        if name.len() == 5 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let next = self.autobound.len() + 1;
            let number = *self.autobound.entry(name.to_owned()).or_insert(next);
            return format!("autobound-{number}");
        }
        name.to_owned()
    }

    /// A netlink address is a port id that the kernel chooses; others stay as they are.
    fn symbolic_raw(&mut self, family: u16, data: &[u8]) -> Address {
        let mut data = data.to_vec();
        if i32::from(family) == libc::AF_NETLINK
            && let Some(id) = data.get_mut(2..6)
            && id != [0; 4]
        {
            let next = u32::try_from(self.netlink.len() + 1).expect("a case has few sockets");
            let key = <[u8; 4]>::try_from(&*id).expect("four bytes were asked for");
            id.copy_from_slice(&self.netlink.entry(key).or_insert(next).to_ne_bytes());
        }
        Address::Raw(RawAddress {
            family,
            data: data.into(),
        })
    }
}

/// The errno's name, or its number if it has none here.
pub(crate) fn errno_name(errno: i32) -> String {
    ERRNOS
        .iter()
        .find(|(number, _)| *number == errno)
        .map_or_else(|| format!("errno {errno}"), |(_, name)| (*name).to_owned())
}

macro_rules! errnos {
    ($($name:ident)*) => { [$((libc::$name, stringify!($name)),)*] };
}

/// Every errno that a socket call can end with.
const ERRNOS: [(i32, &str); 63] = errnos![
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG EBADF EAGAIN ENOMEM EACCES EFAULT EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL
    ENFILE EMFILE ENOTTY EFBIG ENOSPC ESPIPE EROFS EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOSYS ENODATA ETIME EPROTO
    EOVERFLOW EBADFD ENOTSOCK EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP
    EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS
    EISCONN ENOTCONN ESHUTDOWN ETIMEDOUT ECONNREFUSED EHOSTUNREACH EALREADY EINPROGRESS
];

/// Long payloads as their length and a sum, short ones as text.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        if self.0.len() <= SHOWN {
            return write!(f, "\"{}\"", self.0.escape_ascii());
        }
        let sum = self.0.iter().fold(0u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
        });
        write!(f, "{} bytes of sum {sum:016x}", self.0.len())
    }
}

/// An outcome on one line, as transcripts show it.
pub(crate) fn text<S: fmt::Debug>(outcome: &Outcome<S>) -> String {
    match outcome {
        Ok(Value::Done) => "0".to_owned(),
        Ok(Value::Sockets(made)) => format!("{made:?}"),
        Ok(Value::Accepted(made, peer)) => format!("{made:?} from {peer}"),
        Ok(Value::Address(Some(address))) => format!("0, {address}"),
        Ok(Value::Address(None)) => "0, no address".to_owned(),
        Ok(Value::Sent(count)) => format!("{count}"),
        Ok(Value::SentEach(counts)) => format!("{counts:?}"),
        Ok(Value::Received(messages)) => {
            let messages: Vec<String> = messages.iter().map(message_text).collect();
            messages.join(" | ")
        }
        Ok(Value::Option(bytes)) => format!("{bytes:?}"),
        Ok(Value::Ready(ready)) => {
            let ready: Vec<String> = ready
                .iter()
                .map(|(index, events)| format!("{index}:{}", events.join("+")))
                .collect();
            format!("ready [{}]", ready.join(" "))
        }
        Ok(Value::Info(info)) => format!("{info:?}"),
        Ok(Value::Spliced(directions)) => {
            let directions: Vec<String> = directions.iter().map(Moved::to_string).collect();
            directions.join(", back ")
        }
        Err(Failure::Errno(name)) => name.clone(),
        Err(Failure::Other(text)) => format!("not the kernel: {text}"),
    }
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bytes)?;
        if self.undelivered > 0 {
            write!(f, " of {}", self.bytes + self.undelivered)?;
        }
        match &self.error {
            Some((call, errno)) => write!(f, " until {call} {errno}"),
            None => write!(f, " to the end"),
        }
    }
}

fn message_text<S: fmt::Debug>(message: &Message<S>) -> String {
    let mut text = format!("{} {}", message.data.len(), Bytes(&message.data));
    if let Some(address) = &message.address {
        text += &format!(" from {address}");
    }
    if message.full_length != message.data.len() {
        text += &format!(" of {}", message.full_length);
    }
    if message.end_of_stream {
        text += " end";
    }
    if !message.flags.is_empty() {
        text += &format!(" {}", message.flags.join("+"));
    }
    for control in &message.control {
        text += &match control {
            Control::Text(control) => format!(" {control}"),
            other => format!(" {other:?}"),
        };
    }
    text
}
