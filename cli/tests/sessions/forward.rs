//! forward: -L and -R, over TCP and unix sockets.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use crate::shell::{Shell, Waiting};

/// Starts a forward, and returns once it listens; the address of each one, in order.
pub(crate) fn forwarding(shell: &Shell, line: &str, count: usize) -> (Waiting, Vec<String>) {
    let mut forward = shell.start_command(&format!("forward -v -o raw {line}"));
    let addresses = (0..count).map(|_| forward.answer()).collect();
    (forward, addresses)
}

/// A web server on a thread of its own, which ends with the test.
pub(crate) fn web_server(body: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).expect("it is read") == 0 {
                    break;
                }
                head.push(byte[0]);
            }
            let length = body.len();
            let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).expect("it is written");
        }
    });
    address
}

/// What a web server says to a request, to the end.
pub(crate) fn get(address: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it connects");
    stream
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .expect("it is written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it is read");
    answer
}

/// Sends back what it gets, on threads of its own, which end with the test.
pub(crate) fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            thread::spawn(move || {
                let mut back = stream.try_clone().expect("it is cloned");
                let _ = std::io::copy(&mut stream, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

#[test]
fn l_reaches_a_web_server_of_the_daemons_host_and_tells_the_bytes() {
    let shell = Shell::start();
    let server = web_server("hello from there");
    let (mut forward, at) = forwarding(&shell, &format!("-L 0:localhost:{}", server.port()), 1);
    let answer = get(&at[0]);
    assert!(answer.ends_with("\r\n\r\nhello from there"), "{answer}");
    let note = forward.note();
    let target = format!(
        " -> localhost:{}: 18 B sent, 55 B received in ",
        server.port()
    );
    assert!(note.contains(&target), "{note}");
    assert!(note.starts_with("127.0.0.1:"), "{note}");
    forward.interrupt();
    forward.ok();
    assert_eq!(shell.ok("ls -o raw"), "", "nothing is left open");
    assert_eq!(shell.ok("session ls -o raw"), "", "nor any session");
}

#[test]
fn r_lets_the_daemons_host_reach_a_web_server_of_this_one() {
    let shell = Shell::start();
    let server = web_server("hello from here");
    let line = format!("-R 0:localhost:{}", server.port());
    let (forward, at) = forwarding(&shell, &line, 1);
    // From the daemon's host.
    let (host, port) = at[0].split_once(':').unwrap();
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let answer = shell.run_with_stdin(&format!("nc {host} {port}"), request);
    let answer = crate::shell::text(&answer.stdout);
    assert!(answer.ends_with("\r\n\r\nhello from here"), "{answer}");
    forward.signal("TERM");
    forward.ok();
}

#[test]
fn each_forward_says_where_it_listens_and_where_it_leads() {
    let shell = Shell::start();
    let mut forward =
        shell.start_command("forward -L '[::1]:0:[::1]:9' -R 127.0.0.1:0:web:80 -D 0");
    let [l, r, d] = [forward.answer(), forward.answer(), forward.answer()];
    assert!(
        l.starts_with("-L [::1]:") && l.ends_with(" -> [::1]:9"),
        "{l}"
    );
    assert!(
        r.starts_with("-R 127.0.0.1:") && r.ends_with(" -> web:80"),
        "{r}"
    );
    assert!(
        d.starts_with("-D 127.0.0.1:") && d.ends_with(" -> SOCKS 5"),
        "{d}"
    );
    forward.interrupt();
    forward.ok();

    let mut forward = shell.start_command("forward -o json -L '*:0:web:80'");
    let json: serde_json::Value = serde_json::from_str(&forward.answer()).unwrap();
    assert_eq!(json["forward"], "-L");
    assert_eq!(json["target"], "web:80");
    assert_eq!(json["addresses"].as_array().map(Vec::len), Some(1));
    forward.interrupt();
    forward.ok();
}

#[test]
fn without_bind_both_loopback_addresses_are_listened_at() {
    let shell = Shell::start();
    let server = web_server("hello");
    for letter in ["L", "R"] {
        let line = format!("forward -o json -{letter} 0:127.0.0.1:{}", server.port());
        let mut forward = shell.start_command(&line);
        let json: serde_json::Value = serde_json::from_str(&forward.answer()).unwrap();
        let addresses = json["addresses"].as_array().unwrap();
        for address in addresses {
            let answer = get(address.as_str().unwrap());
            assert!(answer.ends_with("hello"), "{address}: {answer}");
        }
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn a_half_close_passes_each_way() {
    let shell = Shell::start();
    let server = echo_server();
    let (forward, at) = forwarding(&shell, &format!("-L 0:127.0.0.1:{}", server.port()), 1);
    let mut stream = TcpStream::connect(&at[0]).unwrap();
    stream.write_all(b"there and back").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "there and back");
    forward.interrupt();
    forward.ok();
}

#[test]
fn many_connections_are_carried_at_once() {
    let shell = Shell::start();
    let server = echo_server();
    for letter in ["L", "R"] {
        let line = format!("-{letter} 0:127.0.0.1:{}", server.port());
        let (forward, at) = forwarding(&shell, &line, 1);
        // All are open before the first is used.
        let mut streams: Vec<TcpStream> = (0..100)
            .map(|_| TcpStream::connect(&at[0]).unwrap())
            .collect();
        for (number, stream) in streams.iter_mut().enumerate().rev() {
            stream.write_all(&[u8::try_from(number).unwrap()]).unwrap();
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let mut back = [0];
            stream.read_exact(&mut back).unwrap();
            assert_eq!(usize::from(back[0]), number);
        }
        drop(streams);
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn r_accepts_ahead_and_has_its_listener_alone() {
    let shell = Shell::start();
    let server = web_server("hello");
    let unix = shell.directory().join("r").display().to_string();
    let line = format!(
        "-R 127.0.0.1:0:localhost:{port} -R {unix}:localhost:{port}",
        port = server.port()
    );
    let (forward, at) = forwarding(&shell, &line, 2);
    // Both have accepted, and go on to do so.
    assert!(get(&at[0]).ends_with("hello"));
    let mut stream = UnixStream::connect(&unix).unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("hello"), "{answer}");
    let sockets = shell.json("ls");
    let listeners = sockets.as_array().unwrap().iter();
    let listeners: Vec<_> = listeners
        .filter(|socket| socket["state"] == "listen")
        .collect();
    assert_eq!(listeners.len(), 2, "{sockets}");
    for listener in listeners {
        let said = shell.fails(4, &format!("accept {} --timeout 0s", listener["handle"]));
        assert!(said.contains("STREAM_IN_USE"), "{said}");
    }
    forward.interrupt();
    forward.ok();
}

#[test]
fn unix_sockets_stand_at_either_end() {
    let shell = Shell::start();
    let path = |name: &str| shell.directory().join(name).display().to_string();
    let server = UnixListener::bind(path("server")).unwrap();
    thread::spawn(move || {
        for stream in server.incoming() {
            stream.unwrap().write_all(b"hello").unwrap();
        }
    });
    let line = format!(
        "-L {l}:{server} -L 0:{server} -R {r}:{server}",
        l = path("l"),
        r = path("r"),
        server = path("server")
    );
    let (forward, at) = forwarding(&shell, &line, 3);
    assert_eq!([&at[0], &at[2]], [&path("l"), &path("r")]);
    for name in ["l", "r"] {
        let mut stream = UnixStream::connect(path(name)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "hello", "{name}");
    }
    let mut stream = TcpStream::connect(&at[1]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
    forward.interrupt();
    forward.ok();
    let exists = |name: &str| std::path::Path::new(&path(name)).exists();
    assert!(!exists("l"), "this host's path is removed");
    assert!(exists("r"), "the daemon's stays");
}

#[test]
fn a_connection_that_cannot_be_made_is_told_and_the_forward_goes_on() {
    let shell = Shell::start();
    let closed = shell.closed_port();
    let server = web_server("still here");
    let line = format!(
        "-L 0:127.0.0.1:{} -L 0:no.such.host.invalid:80 -L 0:127.0.0.1:{} -R 0:127.0.0.1:{}",
        closed,
        server.port(),
        closed
    );
    let (mut forward, at) = forwarding(&shell, &line, 4);
    for (address, said) in [
        (&at[0], "ECONNREFUSED: Connection refused"),
        (&at[1], "resolve no.such.host.invalid 80: EAI_"),
        (&at[3], "Connection refused"),
    ] {
        let mut stream = TcpStream::connect(address).unwrap();
        let mut nothing = Vec::new();
        // It ends without a byte, in one way or the other.
        let _ = stream.read_to_end(&mut nothing);
        assert_eq!(nothing, b"");
        let note = forward.note();
        assert!(note.contains(said), "{note}");
        assert!(note.contains(" -> "), "{note}");
    }
    assert!(get(&at[2]).ends_with("still here"));
    forward.interrupt();
    forward.ok();
}

#[test]
fn what_cannot_be_forwarded_is_said_before_anything_listens() {
    let shell = Shell::start();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (line, code, said) in [
        ("forward".to_owned(), 2, "required arguments"),
        (
            "forward -L 8080".to_owned(),
            2,
            "expected [BIND:]PORT:HOST:HOSTPORT",
        ),
        (
            "forward -R x:web:80".to_owned(),
            2,
            "the port to listen at, \"x\"",
        ),
        (
            "forward -L 1:web:99999".to_owned(),
            2,
            "the port to connect to, \"99999\"",
        ),
        ("forward -D /run/a.sock".to_owned(), 2, "-D takes a port"),
        (
            format!("forward -L {port}:web:80"),
            1,
            "on this host: EADDRINUSE: Address already in use",
        ),
        (
            format!("forward -R {port}:web:80"),
            1,
            "on the daemon's host: EADDRINUSE: Address already in use",
        ),
        (
            format!("forward -D 0 -D {port}"),
            1,
            "on this host: EADDRINUSE: Address already in use",
        ),
        (
            "forward -L no.such.host.invalid:0:web:80".to_owned(),
            1,
            "resolve no.such.host.invalid",
        ),
        (
            "forward -R no.such.host.invalid:0:web:80".to_owned(),
            1,
            "resolve no.such.host.invalid",
        ),
        (
            "forward -L /nonexistent/a.sock:web:80".to_owned(),
            1,
            "listen /nonexistent/a.sock on this host: ENOENT: No such",
        ),
        (
            "forward -R /nonexistent/a.sock:web:80".to_owned(),
            1,
            "listen /nonexistent/a.sock on the daemon's host: ENOENT",
        ),
    ] {
        let stderr = shell.fails(code, &line);
        assert!(stderr.contains(said), "{line}: {stderr}");
    }
}
