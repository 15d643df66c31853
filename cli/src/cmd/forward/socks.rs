//! The messages of SOCKS 5 (RFC 1928), read and written. Pure.
//!
//! Every message tells by its beginning how long it is: [`Parsed::Needs`] says how many bytes there must be to know more, so that its
//! reader never takes what follows the message.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::exit::Failure;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;

const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The longest message: a request by a name of 255 bytes.
pub(super) const LONGEST: usize = 262;

/// What some bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<T> {
    /// A whole message.
    Whole(T),
    /// The beginning of one, that has so many bytes at least.
    Needs(usize),
}

/// What is wrong with a message, and what its sender is told, if anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) text: String,
    pub(super) reply: Option<Reply>,
}

/// What a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) host: Host,
    pub(super) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Connect,
    UdpAssociate,
}

/// A host, by its address or its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Host {
    Ip(IpAddr),
    Name(String),
}

impl Host {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Ip(ip) => ip.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// The field REP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Succeeded = 0,
    Failed = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    Refused = 5,
    CommandNotSupported = 7,
    AddressNotSupported = 8,
}

impl Reply {
    /// What a client is told of a connection that could not be made.
    pub(super) fn to(failure: &Failure) -> Self {
        let name = match failure {
            Failure::Kernel { name, .. } | Failure::Refused { name, .. } => name.as_str(),
            _ => return Self::Failed,
        };
        match name {
            "ECONNREFUSED" => Self::Refused,
            "ENETUNREACH" | "ENETDOWN" => Self::NetworkUnreachable,
            "EHOSTUNREACH" | "EHOSTDOWN" | "ETIMEDOUT" | "TIMED_OUT" => Self::HostUnreachable,
            "EACCES" | "EPERM" => Self::NotAllowed,
            "EAFNOSUPPORT" => Self::AddressNotSupported,
            name if name.starts_with("EAI_") => Self::HostUnreachable,
            _ => Self::Failed,
        }
    }

    /// The reply as a message. `bound` is the address that the connection is made from, or that datagrams go to.
    pub(super) fn message(self, bound: Option<SocketAddr>) -> Vec<u8> {
        let bound = bound.unwrap_or_else(|| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let mut message = vec![VERSION, self as u8, 0];
        put_address(&mut message, bound);
        message
    }
}

/// Reads the methods that a client offers; whether "no authentication" is among them.
pub(super) fn methods(bytes: &[u8]) -> Result<Parsed<bool>, Malformed> {
    let [version, rest @ ..] = bytes else {
        return Ok(Parsed::Needs(1));
    };
    check_version(*version)?;
    let [count, methods @ ..] = rest else {
        return Ok(Parsed::Needs(2));
    };
    let count = usize::from(*count);
    Ok(match methods.get(..count) {
        Some(methods) => Parsed::Whole(methods.contains(&NO_AUTHENTICATION)),
        None => Parsed::Needs(2 + count),
    })
}

/// Answers which method is taken: none, if the one was not offered.
pub(super) fn method(offered: bool) -> [u8; 2] {
    let method = if offered {
        NO_AUTHENTICATION
    } else {
        NO_METHOD
    };
    [VERSION, method]
}

/// Reads a request.
pub(super) fn request(bytes: &[u8]) -> Result<Parsed<Request>, Malformed> {
    let [version, command, _reserved, rest @ ..] = bytes else {
        return Ok(Parsed::Needs(3));
    };
    check_version(*version)?;
    let (host, port, _) = match address(rest)? {
        Parsed::Whole(address) => address,
        Parsed::Needs(more) => return Ok(Parsed::Needs(3 + more)),
    };
    let command = match command {
        1 => Command::Connect,
        3 => Command::UdpAssociate,
        other => {
            return Err(Malformed {
                text: format!("the command {other} is not supported"),
                reply: Some(Reply::CommandNotSupported),
            });
        }
    };
    Ok(Parsed::Whole(Request {
        command,
        host,
        port,
    }))
}

/// Reads a datagram of a client's: where it is to go, and its payload. Fragments are not taken, as most servers do not.
pub(super) fn datagram(bytes: &[u8]) -> Result<(Host, u16, &[u8]), Malformed> {
    let malformed = |text: &str| Malformed {
        text: text.to_owned(),
        reply: None,
    };
    let [_, _, fragment, rest @ ..] = bytes else {
        return Err(malformed("the datagram is too short"));
    };
    if *fragment != 0 {
        return Err(malformed("the datagram is a fragment"));
    }
    match address(rest)? {
        Parsed::Whole((host, port, length)) => Ok((host, port, &rest[length..])),
        Parsed::Needs(_) => Err(malformed("the datagram is too short")),
    }
}

/// Writes what stands before the payload of a datagram that goes to a client.
pub(super) fn put_datagram_header(buffer: &mut Vec<u8>, sender: SocketAddr) {
    buffer.extend([0, 0, 0]);
    put_address(buffer, sender);
}

/// Reads ATYP, address and port, and tells how long they are.
fn address(bytes: &[u8]) -> Result<Parsed<(Host, u16, usize)>, Malformed> {
    let [kind, rest @ ..] = bytes else {
        return Ok(Parsed::Needs(1));
    };
    // What precedes the host, and the host's own length.
    let (before, length) = match *kind {
        IPV4 => (1, 4),
        IPV6 => (1, 16),
        NAME => match rest.first() {
            Some(0) => {
                return Err(Malformed {
                    text: "the host's name is empty".to_owned(),
                    reply: Some(Reply::AddressNotSupported),
                });
            }
            Some(length) => (2, usize::from(*length)),
            None => return Ok(Parsed::Needs(2)),
        },
        other => {
            return Err(Malformed {
                text: format!("the address type {other} is not supported"),
                reply: Some(Reply::AddressNotSupported),
            });
        }
    };
    let end = before + length;
    let (Some(host), Some([high, low])) = (bytes.get(before..end), bytes.get(end..end + 2)) else {
        return Ok(Parsed::Needs(end + 2));
    };
    let host = if let Ok(octets) = <[u8; 4]>::try_from(host)
        && *kind == IPV4
    {
        Host::Ip(Ipv4Addr::from(octets).into())
    } else if let Ok(octets) = <[u8; 16]>::try_from(host)
        && *kind == IPV6
    {
        Host::Ip(Ipv6Addr::from(octets).into())
    } else {
        let name = std::str::from_utf8(host).ok();
        let name = name.filter(|name| !name.contains(char::is_control));
        Host::Name(name.map(str::to_owned).ok_or_else(|| Malformed {
            text: "the host's name is no text".to_owned(),
            reply: Some(Reply::AddressNotSupported),
        })?)
    };
    let port = u16::from_be_bytes([*high, *low]);
    Ok(Parsed::Whole((host, port, end + 2)))
}

fn put_address(buffer: &mut Vec<u8>, address: SocketAddr) {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            buffer.push(IPV4);
            buffer.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            buffer.push(IPV6);
            buffer.extend(ip.octets());
        }
    }
    buffer.extend(address.port().to_be_bytes());
}

fn check_version(version: u8) -> Result<(), Malformed> {
    if version == VERSION {
        return Ok(());
    }
    Err(Malformed {
        text: format!("the client does not speak SOCKS 5: its first byte is {version}"),
        reply: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole<T: std::fmt::Debug>(parsed: Result<Parsed<T>, Malformed>) -> T {
        match parsed {
            Ok(Parsed::Whole(whole)) => whole,
            other => panic!("{other:?}"),
        }
    }

    /// Reads as a connection would be read: never more than is known to belong to the message.
    fn taken<T>(message: &[u8], parse: impl Fn(&[u8]) -> Result<Parsed<T>, Malformed>) -> usize {
        let mut length = 0;
        loop {
            match parse(&message[..length]) {
                Ok(Parsed::Needs(more)) => {
                    assert!(more > length, "it asks for what it has");
                    length = more;
                }
                Ok(Parsed::Whole(_)) => return length,
                Err(error) => panic!("{}", error.text),
            }
        }
    }

    const NAMED: &[u8] = b"\x05\x01\x00\x03\x0bexample.org\x00\x50";
    const V4: &[u8] = b"\x05\x03\x00\x01\x7f\x00\x00\x01\x1f\x90";
    const V6: &[u8] = b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50";

    #[test]
    fn requests_name_a_host_by_address_or_name() {
        let request = |bytes| whole(super::request(bytes));
        let named = request(NAMED);
        assert_eq!(named.command, Command::Connect);
        assert_eq!(named.host, Host::Name("example.org".to_owned()));
        assert_eq!(named.port, 80);
        let v4 = request(V4);
        assert_eq!(v4.command, Command::UdpAssociate);
        assert_eq!(v4.host, Host::Ip(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(v4.port, 8080);
        assert_eq!(request(V6).host, Host::Ip(Ipv6Addr::LOCALHOST.into()));
    }

    #[test]
    fn a_reader_takes_exactly_the_message_and_nothing_that_follows() {
        for message in [NAMED, V4, V6] {
            let mut followed = message.to_vec();
            followed.extend(b"GET / HTTP/1.1");
            assert_eq!(taken(&followed, request), message.len());
        }
        assert_eq!(taken(b"\x05\x02\x00\x02more", methods), 4);
        let mut longest = b"\x05\x01\x00\x03\xff".to_vec();
        longest.resize(LONGEST, b'a');
        assert_eq!(taken(&longest, request), LONGEST);
    }

    #[test]
    fn only_no_authentication_is_taken() {
        assert!(whole(methods(b"\x05\x02\x02\x00")));
        assert!(!whole(methods(b"\x05\x01\x02")));
        assert!(!whole(methods(b"\x05\x00")));
        assert_eq!(method(true), [5, 0]);
        assert_eq!(method(false), [5, 0xff]);
    }

    #[test]
    fn what_is_malformed_has_the_reply_that_says_so() {
        let reply = |bytes: &[u8]| request(bytes).expect_err("it is malformed").reply;
        assert_eq!(
            reply(b"\x05\x02\x00\x01\x7f\x00\x00\x01\x1f\x90"),
            Some(Reply::CommandNotSupported)
        );
        assert_eq!(reply(b"\x05\x01\x00\x02"), Some(Reply::AddressNotSupported));
        assert_eq!(
            reply(b"\x05\x01\x00\x03\x00"),
            Some(Reply::AddressNotSupported)
        );
        assert_eq!(
            reply(b"\x05\x01\x00\x03\x01\xff\x00\x50"),
            Some(Reply::AddressNotSupported)
        );
        assert_eq!(reply(b"GET / HTTP/1.1"), None);
        assert!(methods(b"\x04\x01").is_err());
    }

    #[test]
    fn no_bytes_make_a_parser_panic() {
        // Every beginning of every message, and each with any byte changed.
        for message in [NAMED, V4, V6] {
            for end in 0..=message.len() {
                for place in 0..end {
                    for byte in [0, 1, 3, 4, 5, 0x7f, 0xff] {
                        let mut bytes = message[..end].to_vec();
                        bytes[place] = byte;
                        let _ = request(&bytes);
                        let _ = methods(&bytes);
                        let _ = datagram(&bytes);
                    }
                }
            }
        }
    }

    #[test]
    fn datagrams_carry_their_address_before_the_payload() {
        let sender: SocketAddr = "192.0.2.1:53".parse().unwrap();
        let mut bytes = Vec::new();
        put_datagram_header(&mut bytes, sender);
        bytes.extend(b"hello");
        let (host, port, payload) = datagram(&bytes).unwrap();
        assert_eq!((host, port), (Host::Ip(sender.ip()), 53));
        assert_eq!(payload, b"hello");
        bytes[2] = 1;
        assert!(datagram(&bytes).is_err(), "fragments are not taken");
        assert!(datagram(b"\0\0").is_err());
        assert!(datagram(b"\0\0\0\x01\x7f").is_err());
    }

    #[test]
    fn a_reply_has_the_bound_address_and_ipv4_within_ipv6_as_ipv4() {
        let bound = "[::ffff:127.0.0.1]:80".parse().ok();
        assert_eq!(
            Reply::Succeeded.message(bound),
            [5, 0, 0, 1, 127, 0, 0, 1, 0, 80]
        );
        assert_eq!(Reply::Refused.message(None), [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_failure_is_told_as_near_as_the_protocol_can() {
        let kernel = |name: &str| {
            Reply::to(&Failure::Kernel {
                tried: String::new(),
                name: name.to_owned(),
                text: String::new(),
                call: None,
            })
        };
        assert_eq!(kernel("ECONNREFUSED"), Reply::Refused);
        assert_eq!(kernel("EAI_NONAME"), Reply::HostUnreachable);
        assert_eq!(kernel("ENETUNREACH"), Reply::NetworkUnreachable);
        assert_eq!(kernel("EIO"), Reply::Failed);
    }
}
