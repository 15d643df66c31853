//! Every named option on every kind of socket: what it reads, and what it reads after it was set, through the daemon by name and by number
//! as well as directly.

mod list;
mod read;
mod set;
mod structures;
mod value;

use farsock_client::{Address, Client, RemoteSocket, SocketOption};

use crate::{
    call::{Call, Kind},
    direct,
    kinds::*,
    outcome::{Failure, Outcome, Value},
    remote,
};

/// What [`crate::compare`] does for sequences: a runtime with an embedded daemon and a client of it.
fn with_client(check: impl AsyncFnOnce(&Client)) {
    crate::compare::runtime().block_on(async {
        let daemon = farsock_daemon::embedded();
        let client = crate::compare::connect(&daemon).await;
        check(&client).await;
        daemon.shutdown().await;
    });
}

/// The kinds of sockets whose options are read and set; those that this machine does not have are left out.
fn kinds() -> Vec<(&'static str, Kind)> {
    let raw = |domain, protocol| Kind::new(domain, libc::SOCK_RAW, protocol);
    let mut kinds = ALL.to_vec();
    kinds.extend([
        ("raw4", raw(libc::AF_INET, 253)),
        ("raw6", raw(libc::AF_INET6, 253)),
        ("icmp", raw(libc::AF_INET, libc::IPPROTO_ICMP)),
        ("icmpv6", raw(libc::AF_INET6, libc::IPPROTO_ICMPV6)),
        ("netlink", raw(libc::AF_NETLINK, 0)),
        ("packet", raw(libc::AF_PACKET, 0)),
        ("vsock", Kind::new(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        (
            "vsock dgram",
            Kind::new(libc::AF_VSOCK, libc::SOCK_DGRAM, 0),
        ),
    ]);
    kinds.retain(|(name, kind)| {
        let exists = direct::creates(kind.domain, kind.kind, kind.protocol);
        if !exists {
            eprintln!("skipped: options of {name}: no such sockets here");
        }
        exists
    });
    kinds
}

/// One socket in each world.
struct Twins {
    direct: i32,
    remote: RemoteSocket,
}

impl Twins {
    async fn new(client: &Client, kind: Kind) -> Self {
        let value = direct::at_once(Call::Socket(kind)).expect("such sockets exist");
        let (domain, socket_type, protocol) = remote::named(kind);
        Self {
            direct: *value.made()[0],
            remote: client
                .socket(domain, socket_type, protocol)
                .await
                .expect("they exist in the daemon, too"),
        }
    }

    async fn close(self) {
        self.remote.close().await.expect("the handle is open");
        let _ = direct::at_once(Call::Close {
            socket: self.direct,
            abort: false,
        });
    }

    /// getsockopt(2) with that much room: directly, and through the daemon by number.
    async fn get(
        &self,
        level: i32,
        number: i32,
        room: usize,
    ) -> (Result<Vec<u8>, Failure>, Result<Vec<u8>, Failure>) {
        let direct = direct::at_once(Call::GetOpt {
            socket: self.direct,
            level,
            number,
            room,
        });
        let direct = direct.map(|value: Value<i32>| match value {
            Value::Option(bytes) => bytes,
            other => panic!("getsockopt gave {other:?}"),
        });
        let remote = remote::get_raw_option(&self.remote, level, number, room).await;
        (direct, remote.map_err(|error| remote::failure(&error)))
    }

    /// setsockopt(2) directly.
    fn set(&self, level: i32, number: i32, value: &[u8]) -> Result<(), Failure> {
        let outcome: Outcome<i32> = direct::at_once(Call::<i32, Address>::SetOpt {
            socket: self.direct,
            level,
            number,
            value: value.to_vec(),
        });
        outcome.map(drop)
    }
}

/// The API's name of the option.
fn option(name: &str) -> SocketOption {
    SocketOption::from_str_name(&format!("SOCKET_OPTION_{name}"))
        .unwrap_or_else(|| panic!("the API has no {name}"))
}

/// What reads differently on any two sockets, or at any two moments.
const VOLATILE: [&str; 8] = [
    "SO_COOKIE",
    "SO_INCOMING_CPU",
    "SO_INCOMING_NAPI_ID",
    "SO_MEMINFO",
    "TCP_INFO",
    "TCP_TIMESTAMP",
    "TCP_QUEUE_SEQ",
    "MPTCP_INFO",
];

/// Those among them that tell times, which pass even between two looks at one socket.
const TIMES: [&str; 2] = ["TCP_TIMESTAMP", "MPTCP_INFO"];

/// The classic BPF options: their values are instructions, and the daemon builds what setsockopt(2) takes. See [`structures`].
const FILTERS: [&str; 2] = ["SO_ATTACH_FILTER", "SO_ATTACH_REUSEPORT_CBPF"];
