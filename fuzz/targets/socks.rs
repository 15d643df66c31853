//! SOCKS 5: what a client of `farsock forward -D` says.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// What the module under test names of the rest of its crate.
mod exit {
    pub(crate) enum Failure {
        Kernel { name: String },
        Refused { name: String },
        Other,
    }
}

#[path = "../../cli/src/cmd/forward/socks.rs"]
#[allow(dead_code, reason = "the command uses all of it")]
mod socks;

/// Reads as a connection is read: never more than is known to belong to the message.
fn read<T: std::fmt::Debug + PartialEq>(
    data: &[u8],
    parse: impl Fn(&[u8]) -> Result<socks::Parsed<T>, socks::Malformed>,
) {
    let mut length = 0;
    loop {
        match parse(&data[..length]) {
            Ok(socks::Parsed::Needs(more)) => {
                assert!(more > length, "it asks for what it has");
                assert!(more <= socks::LONGEST, "it asks for more than there can be");
                if more > data.len() {
                    return;
                }
                length = more;
            }
            end => {
                // What follows the message changes nothing.
                assert_eq!(parse(data), end);
                return;
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    read(data, socks::methods);
    read(data, socks::request);
    if let Ok((socks::Host::Ip(ip), port, payload)) = socks::datagram(data) {
        let sender = std::net::SocketAddr::new(ip, port);
        let mut again = Vec::new();
        socks::put_datagram_header(&mut again, sender);
        again.extend_from_slice(payload);
        let host = socks::Host::Ip(ip.to_canonical());
        assert_eq!(socks::datagram(&again), Ok((host, port, payload)));
    }
    let failures = [
        exit::Failure::Kernel {
            name: String::from_utf8_lossy(data).into_owned(),
        },
        exit::Failure::Refused {
            name: "EAI_NONAME".to_owned(),
        },
        exit::Failure::Other,
    ];
    for failure in failures {
        let reply = socks::Reply::to(&failure).message(None);
        assert_eq!(reply.len(), 10);
    }
});
