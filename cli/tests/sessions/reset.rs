//! forward: a connection that is cut off is so on both sides, and never looks complete.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use crate::{forward::forwarding, shell::Shell};

/// How each of two peers sees the end: the kernel's answer, or how much came before an end in good order.
type Seen = Result<usize, io::ErrorKind>;

fn seen(mut stream: impl Read) -> Seen {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    read.map_err(|error| error.kind())
}

/// Says half of what was to be said, and is gone: what it leaves unread makes its close a reset.
fn cut_off(mut stream: impl Read + Write) {
    stream.read_exact(&mut [0]).expect("half of two bytes");
    stream.write_all(b"half of").expect("it is written");
}

/// Accepts one connection, and cuts it off.
fn cutting_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    thread::spawn(move || cut_off(listener.accept().expect("a connection").0));
    address.to_string()
}

/// Accepts one connection, says two bytes, and tells how it ended.
fn watching_server() -> (String, thread::JoinHandle<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    let watching = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.write_all(b"xy").expect("it is written");
        seen(stream)
    });
    (address.to_string(), watching)
}

const RESET: Seen = Err(io::ErrorKind::ConnectionReset);

#[test]
fn a_reset_where_a_forward_leads_is_one_where_it_listens() {
    let shell = Shell::start();
    for letter in ["L", "R"] {
        let line = format!("-{letter} 0:{}", cutting_server());
        let (mut forward, at) = forwarding(&shell, &line, 1);
        let mut client = TcpStream::connect(&at[0]).unwrap();
        client.write_all(b"xy").unwrap();
        assert_eq!(seen(client), RESET, "-{letter}");
        forward.until_said("onnection reset by peer");
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn a_reset_where_a_forward_listens_is_one_where_it_leads() {
    let shell = Shell::start();
    for letter in ["L", "R"] {
        let (server, watching) = watching_server();
        let (mut forward, at) = forwarding(&shell, &format!("-{letter} 0:{server}"), 1);
        cut_off(TcpStream::connect(&at[0]).unwrap());
        assert_eq!(watching.join().unwrap(), RESET, "-{letter}");
        forward.until_said("onnection reset by peer");
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn a_reset_passes_a_socks_server_each_way() {
    let shell = Shell::start();
    let (forward, at) = forwarding(&shell, "-D 0", 1);
    let connect = |server: &str| {
        let port: u16 = server.rsplit(':').next().unwrap().parse().unwrap();
        let mut stream = TcpStream::connect(&at[0]).unwrap();
        stream
            .write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1])
            .unwrap();
        stream.write_all(&port.to_be_bytes()).unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    };
    let mut client = connect(&cutting_server());
    client.write_all(b"xy").unwrap();
    assert_eq!(seen(client), RESET);

    let (server, watching) = watching_server();
    cut_off(connect(&server));
    assert_eq!(watching.join().unwrap(), RESET);
    forward.interrupt();
    forward.ok();
}

#[test]
fn what_a_unix_socket_knows_as_a_reset_is_one_on_the_other_side() {
    let shell = Shell::start();
    let path = |name: &str| shell.directory().join(name).display().to_string();
    let server = UnixListener::bind(path("server")).unwrap();
    thread::spawn(move || {
        for stream in server.incoming() {
            cut_off(stream.unwrap());
        }
    });
    for letter in ["L", "R"] {
        let line = format!("-{letter} 0:{}", path("server"));
        let (forward, at) = forwarding(&shell, &line, 1);
        let mut client = TcpStream::connect(&at[0]).unwrap();
        client.write_all(b"xy").unwrap();
        assert_eq!(seen(client), RESET, "-{letter} to it");
        forward.interrupt();
        forward.ok();

        let (server, watching) = watching_server();
        let line = format!("-{letter} {}:{server}", path(letter));
        let (forward, at) = forwarding(&shell, &line, 1);
        cut_off(UnixStream::connect(&at[0]).unwrap());
        assert_eq!(watching.join().unwrap(), RESET, "-{letter} from it");
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn connections_that_are_lost_with_their_session_are_reset_on_this_host() {
    let shell = Shell::start();
    let (server, watching) = watching_server();
    let (there, _there) = watching_server();
    let line = format!("-L 0:{there} -R 127.0.0.1:0:{server}");
    let (mut forward, at) = forwarding(&shell, &line, 2);
    let mut clients = [&at[0], &at[1]].map(|at| TcpStream::connect(at).unwrap());
    for client in &mut clients {
        client.read_exact(&mut [0; 2]).unwrap();
    }
    let id = shell.json("session ls")[0]["session_id"].clone();
    shell.ok(&format!("session close {}", id.as_str().unwrap()));
    let [near, _far] = clients;
    assert_eq!(seen(near), RESET, "-L");
    assert_eq!(watching.join().unwrap(), RESET, "-R");
    forward.until_said("listens again");
    forward.interrupt();
    forward.ok();
}

#[test]
fn connections_that_are_cut_off_with_their_forward_are_reset_on_this_host() {
    let shell = Shell::start();
    let (server, _watching) = watching_server();
    let (forward, at) = forwarding(&shell, &format!("-L 0:{server}"), 1);
    let mut client = TcpStream::connect(&at[0]).unwrap();
    client.read_exact(&mut [0; 2]).unwrap();
    forward.interrupt();
    assert_eq!(seen(client), RESET);
    forward.ok();
}
