//! The README's grpcurl session, as printed, against a fresh daemon.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::{daemon::Daemon, grpcurl, tools, transcript};

#[test]
fn the_readmes_grpcurl_session_answers_as_printed() {
    if grpcurl::program().is_none() {
        return;
    }
    let daemon = Daemon::start();
    let path = tools::path();
    transcript::check("grpcurl", &replacements(&daemon), &[("PATH", &path)]);
}

/// The session's addresses, and what they are here: the ports it names may be in use.
fn replacements(daemon: &Daemon) -> Vec<(&'static str, String)> {
    let any = (Ipv4Addr::LOCALHOST, 0);
    let tcp = [(); 2].map(|()| TcpListener::bind(any).expect("a port is free"));
    let udp = [(); 2].map(|()| UdpSocket::bind(any).expect("a port is free"));
    let ports = tcp.map(|one| one.local_addr()).into_iter();
    let ports = ports.chain(udp.map(|one| one.local_addr()));
    let addresses = ports.map(|address| address.expect("it is bound").to_string());
    // Connections to the first; nobody at the second; then a datagram from the last to the third.
    [
        "127.0.0.1:4000",
        "127.0.0.1:4001",
        "127.0.0.1:5000",
        "127.0.0.1:5001",
    ]
    .into_iter()
    .zip(addresses)
    .chain([
        ("127.0.0.1:7600", daemon.address().to_owned()),
        (
            "/run/farsock/farsock.sock",
            daemon.socket().display().to_string(),
        ),
    ])
    .collect()
}
