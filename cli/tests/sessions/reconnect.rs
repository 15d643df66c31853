//! forward: what becomes of it when its session, or the daemon, is no more.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
};

use crate::{
    forward::{echo_server, forwarding, get, web_server},
    shell::Shell,
};

/// What a stream says to its end, or until it breaks.
fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    rest
}

fn close_its_session(shell: &Shell) {
    let sessions = shell.json("session ls");
    let id = sessions[0]["session_id"]
        .as_str()
        .expect("it has a session");
    shell.ok(&format!("session close {id}"));
}

#[test]
fn a_forward_goes_on_after_each_restart_of_the_daemon_at_the_same_addresses() {
    let mut shell = Shell::start();
    let echo = echo_server();
    let unix = shell.directory().join("r").display().to_string();
    let line = format!("-L 0:{echo} -R 127.0.0.1:0:{echo} -R {unix}:{echo} -D 0");
    let (mut forward, at) = forwarding(&shell, &line, 4);
    for _ in 0..2 {
        let mut streams = [&at[0], &at[1]].map(|at| TcpStream::connect(at).unwrap());
        for stream in &mut streams {
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }

        shell.stop_daemon();
        forward.until_said("; it is tried again, and until then new connections are reset");
        assert_eq!(rest(TcpStream::connect(&at[0]).unwrap()), b"");
        let said = forward.until_said(&format!(" -> {echo}: "));
        assert!(said.contains(": the daemon is away: "), "{said}");

        shell.start_daemon();
        // In an order that is theirs.
        let mut said: Vec<_> = (0..6).map(|_| forward.note()).collect();
        said.sort();
        let mut has = |start: &str, end: &str| {
            let place = said.iter().position(|line| {
                let line = line.strip_prefix(start);
                line.is_some_and(|line| line.ends_with(end))
            });
            said.remove(place.unwrap_or_else(|| panic!("{start:?} {end:?} in {said:#?}")))
        };
        for _ in &streams {
            let lost = has("127.0.0.1:", "");
            assert!(lost.contains(&format!(" -> {echo}: ")), "{lost}");
        }
        has(
            "session: SESSION_EXPIRED: ",
            "; another is opened, and until then new connections are reset",
        );
        has("the daemon is back, with a new session", "");
        has(&format!("-R {} listens again", at[1]), "");
        has(&format!("-R {unix} listens again"), "");
        for stream in streams {
            assert_eq!(rest(stream), b"", "it is lost");
        }

        for at in [&at[0], &at[1]] {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
            drop(stream);
            forward.until_said(" 1 B sent, 1 B received");
        }
        let mut stream = UnixStream::connect(&unix).unwrap();
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
        drop(stream);
        forward.until_said(" 1 B sent, 1 B received");
    }
    forward.interrupt();
    forward.ok();
    assert_eq!(
        shell.ok("session ls -o raw"),
        "",
        "its last session is closed"
    );
}

#[test]
fn a_forward_whose_session_is_closed_goes_on_in_another() {
    let shell = Shell::start();
    let server = web_server("hello");
    let (mut forward, at) = forwarding(&shell, &format!("-R 0:{server}"), 1);
    close_its_session(&shell);
    forward.until_said(&format!("{} listens again", at[0]));
    assert!(get(&at[0]).ends_with("hello"));
    forward.interrupt();
    forward.ok();
}

#[test]
fn with_no_reconnect_the_end_of_its_session_ends_a_forward() {
    let shell = Shell::start();
    for forwards in ["-L 0:localhost:80", "-R 0:localhost:80"] {
        let (forward, _) = forwarding(&shell, &format!("--no-reconnect {forwards}"), 1);
        close_its_session(&shell);
        let stderr = forward.fails(4);
        assert!(stderr.contains("SESSION_EXPIRED"), "{forwards}: {stderr}");
    }
}

#[test]
fn what_is_taken_when_the_daemon_is_back_is_listened_at_once_it_is_free() {
    let mut shell = Shell::start();
    let server = web_server("hello");
    // At an address of its own: elsewhere the port might be another test's meanwhile.
    let (mut forward, at) = forwarding(&shell, &format!("-R 127.82.69.67:0:{server}"), 1);
    shell.stop_daemon();
    let taken = TcpListener::bind(&at[0]).unwrap();
    shell.start_daemon();
    forward.until_said("EADDRINUSE: Address already in use; it is tried again");
    drop(taken);
    forward.until_said(&format!("{} listens again", at[0]));
    assert!(get(&at[0]).ends_with("hello"));
    forward.interrupt();
    forward.ok();
}

#[test]
fn a_forward_whose_daemon_is_away_can_be_ended() {
    let mut shell = Shell::start();
    let (mut forward, at) = forwarding(&shell, "-D 0", 1);
    shell.stop_daemon();
    forward.until_said("the daemon is away: ");
    let mut client = TcpStream::connect(&at[0]).unwrap();
    client
        .write_all(b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50")
        .unwrap();
    // "General failure".
    assert_eq!(rest(client)[..4], [5, 0, 5, 1]);
    forward.until_said(" -> 127.0.0.1:80: the daemon is away: ");
    forward.signal("TERM");
    forward.ok();
}
