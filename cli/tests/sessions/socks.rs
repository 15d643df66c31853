//! forward -D: SOCKS 5, as curl speaks it, and by hand.

use std::{
    env,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    process::{Command, Stdio},
    thread,
};

use crate::{
    forward::{forwarding, web_server},
    shell::{Shell, text},
};

#[test]
fn curl_fetches_by_name_and_by_address() {
    let have_curl = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !have_curl {
        assert!(env::var_os("CI").is_none(), "curl is missing");
        eprintln!("skipped: curl is missing");
        return;
    }
    let shell = Shell::start();
    let server = web_server("hello through SOCKS");
    let (mut forward, at) = forwarding(&shell, "-D 0", 1);
    for (way, host) in [
        ("--socks5-hostname", "localhost"),
        ("--socks5-hostname", "127.0.0.1"),
        ("--socks5", "127.0.0.1"),
    ] {
        let url = format!("http://{host}:{}/", server.port());
        let curl = Command::new("curl")
            .args(["--silent", "--show-error", "--noproxy", ""])
            .args([way, &at[0], &url])
            .output()
            .unwrap();
        assert_eq!(text(&curl.stderr), "");
        assert_eq!(text(&curl.stdout), "hello through SOCKS", "{way} {host}");
        let note = forward.note();
        assert!(note.contains(&format!(" -> {host}:")), "{note}");
    }
    forward.interrupt();
    forward.ok();
}

/// Says that there is no authentication, and hears that none is wanted.
fn greeted(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("it connects");
    stream.write_all(&[5, 1, 0]).expect("it is written");
    let mut method = [0; 2];
    stream.read_exact(&mut method).expect("it is read");
    assert_eq!(method, [5, 0]);
    stream
}

/// Makes a request; the reply's code and, if it is IPv4's, its address.
fn ask(stream: &mut TcpStream, request: &[u8]) -> (u8, SocketAddr) {
    stream.write_all(request).expect("it is written");
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).expect("it is read");
    assert_eq!((reply[0], reply[3]), (5, 1), "{reply:?}");
    let ip = [reply[4], reply[5], reply[6], reply[7]];
    let port = u16::from_be_bytes([reply[8], reply[9]]);
    (reply[1], (ip, port).into())
}

/// A request for an address of IPv4.
fn request(command: u8, ip: [u8; 4], port: u16) -> Vec<u8> {
    let mut request = vec![5, command, 0, 1];
    request.extend(ip);
    request.extend(port.to_be_bytes());
    request
}

/// A request for a name.
fn request_by_name(command: u8, name: &str, port: u16) -> Vec<u8> {
    let mut request = vec![
        5,
        command,
        0,
        3,
        u8::try_from(name.len()).expect("it is short"),
    ];
    request.extend(name.bytes());
    request.extend(port.to_be_bytes());
    request
}

#[test]
fn bytes_that_follow_the_request_at_once_are_not_lost() {
    let shell = Shell::start();
    let server = web_server("quick");
    let (forward, at) = forwarding(&shell, "-D 0", 1);
    let mut stream = greeted(&at[0]);
    let mut hasty = request(1, [127, 0, 0, 1], server.port());
    hasty.extend(b"GET / HTTP/1.0\r\n\r\n");
    let (code, bound) = ask(&mut stream, &hasty);
    assert_eq!(code, 0);
    assert_eq!(bound.ip().to_string(), "127.0.0.1");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("quick"), "{answer}");
    forward.interrupt();
    forward.ok();
}

#[test]
fn refusals_have_the_protocols_codes_and_the_server_goes_on() {
    let shell = Shell::start();
    let closed = shell.closed_port();
    let (mut forward, at) = forwarding(&shell, "-D 0", 1);
    for (request, code, said) in [
        (request(1, [127, 0, 0, 1], closed), 5, "ECONNREFUSED"),
        (request_by_name(1, "no.such.host.invalid", 80), 4, "EAI_"),
        (
            request(2, [127, 0, 0, 1], 80),
            7,
            "the command 2 is not supported",
        ),
        (vec![5, 1, 0, 9], 8, "the address type 9 is not supported"),
        (vec![5, 1, 0, 3, 0], 8, "the host's name is empty"),
    ] {
        let mut stream = greeted(&at[0]);
        assert_eq!(ask(&mut stream, &request).0, code, "{said}");
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it is closed");
        let note = forward.note();
        assert!(note.contains(said), "{note}");
    }

    // One that demands a password, and one that speaks something else.
    let mut stream = TcpStream::connect(&at[0]).unwrap();
    stream.write_all(&[5, 1, 2]).unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).unwrap();
    assert_eq!(method, [5, 0xff]);
    let note = forward.note();
    assert!(note.contains("authentication"), "{note}");
    let mut stream = TcpStream::connect(&at[0]).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let note = forward.note();
    assert!(note.contains("does not speak SOCKS 5"), "{note}");

    forward.interrupt();
    forward.ok();
}

#[test]
fn udp_associate_carries_datagrams_both_ways() {
    let shell = Shell::start();
    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = echo.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((length, sender)) = echo.recv_from(&mut buffer) {
            let _ = echo.send_to(&buffer[..length], sender);
        }
    });
    let (mut forward, at) = forwarding(&shell, "-D 0", 1);
    let mut control = greeted(&at[0]);
    let (code, relay) = ask(&mut control, &request(3, [0; 4], 0));
    assert_eq!(code, 0);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();

    // A fragment, and one that is too short: neither is carried, and neither does harm.
    client
        .send_to(&[0, 0, 1, 1, 127, 0, 0, 1, 0, 1], relay)
        .unwrap();
    client.send_to(&[0, 0], relay).unwrap();
    for note in ["is a fragment", "is too short"] {
        let said = forward.note();
        assert!(said.contains(note), "{said}");
    }
    let mut by_address = vec![0, 0, 0, 1, 127, 0, 0, 1];
    by_address.extend(server.port().to_be_bytes());
    let mut by_name = vec![0, 0, 0, 3, 9];
    by_name.extend(b"127.0.0.1");
    by_name.extend(server.port().to_be_bytes());
    for header in [&by_address, &by_name] {
        for payload in [&b"hello"[..], &[], &[7; 9000]] {
            let datagram = [header, payload].concat();
            client.send_to(&datagram, relay).unwrap();
            let mut back = vec![0; 65_536];
            let (length, sender) = client.recv_from(&mut back).unwrap();
            assert_eq!(sender, relay);
            assert_eq!(back[..length], [&by_address, payload].concat());
        }
    }
    // They go in batches, for which the daemon's socket is theirs alone.
    let sockets = shell.json("ls");
    let mut sockets = sockets.as_array().unwrap().iter();
    let udp = sockets.find(|socket| socket["type"] == "SOCK_DGRAM");
    let handle = &udp.expect("a UDP socket")["handle"];
    let said = shell.fails(4, &format!("sendto {handle} {server} x"));
    assert!(said.contains("STREAM_IN_USE"), "{said}");
    // The association ends with its connection, and says what it has carried.
    drop(control);
    let note = forward.note();
    assert!(
        note.contains(" -> UDP: 17.59 KiB sent, 17.59 KiB received in "),
        "{note}"
    );
    forward.interrupt();
    forward.ok();
}

#[test]
fn a_burst_of_datagrams_is_carried_whole_and_what_cannot_be_sent_does_no_harm() {
    let shell = Shell::start();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = far.local_addr().unwrap();
    let (mut forward, at) = forwarding(&shell, "-D 0", 1);
    let mut control = greeted(&at[0]);
    let (_, relay) = ask(&mut control, &request(3, [0; 4], 0));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = |port: u16, payload: &[u8]| {
        let header = [&[0, 0, 0, 1, 127, 0, 0, 1], &port.to_be_bytes()[..]].concat();
        client.send_to(&[&header, payload].concat(), relay).unwrap();
    };
    let mut buffer = [0; 100];
    // Each half is less than any socket's buffer.
    for half in [0..50_u8, 50..100] {
        for n in half.clone() {
            to(server.port(), &[n]);
            // No port 0 can be sent to.
            if n % 10 == 0 {
                to(0, &[n]);
            }
        }
        for n in half {
            let (length, _) = far.recv_from(&mut buffer).unwrap();
            assert_eq!(buffer[..length], [n]);
        }
    }
    drop(control);
    for _ in 0..10 {
        let note = forward.note();
        let tried = ": sendmmsg 1 bytes to 127.0.0.1:0 on handle ";
        assert!(note.contains(tried), "{note}");
        assert!(note.contains(": EINVAL: Invalid argument"), "{note}");
    }
    let note = forward.note();
    assert!(
        note.contains(" -> UDP: 110 B sent, 0 B received in "),
        "{note}"
    );
    forward.interrupt();
    forward.ok();
}
