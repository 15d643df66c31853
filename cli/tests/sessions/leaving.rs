//! forward: clients that leave while their connections are being made, and limits that fill.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

use socket2::SockRef;

use crate::{
    cut::through_socks,
    forward::{echo_server, forwarding},
    shell::Shell,
};

/// More clients than a forward has places.
const CLIENTS: usize = 1_100;

/// A listening socket of the daemon's whose queue is full: a connection to it is not made until something is accepted.
struct Full {
    handle: String,
    address: SocketAddr,
    _filling: Vec<TcpStream>,
}

fn full(shell: &Shell) -> Full {
    let handle = shell.ok("socket tcp");
    let address = shell.ok(&format!("bind {handle} 127.0.0.1:0"));
    shell.ok(&format!("listen {handle} 0"));
    let address: SocketAddr = address.parse().expect("an address");
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        filling.push(stream);
        assert!(filling.len() < 10, "its queue has no end");
    }
    Full {
        handle,
        address,
        _filling: filling,
    }
}

/// Says "hello" and hears it, without a limit to how long that may take but the test's.
fn echoes(mut stream: TcpStream) {
    let long = Some(Duration::from_secs(120));
    stream.set_read_timeout(long).expect("it takes the time");
    stream.write_all(b"hello").expect("it is written");
    let mut back = [0; 5];
    stream.read_exact(&mut back).expect("it is read");
    assert_eq!(&back, b"hello");
}

/// Returns when the daemon has at most so many sockets.
fn until_sockets(shell: &Shell, most: usize) {
    let mut count = 0;
    for _ in 0..500 {
        count = shell.ok("ls -o raw").lines().count();
        if count <= most {
            return;
        }
    }
    panic!("{count} sockets are left");
}

/// A SOCKS client that has asked for a connection and left.
fn ask_and_leave(at: &str, to: SocketAddr) {
    let mut stream = TcpStream::connect(at).expect("it connects");
    let [high, low] = to.port().to_be_bytes();
    stream
        .write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low])
        .expect("it is written");
    stream.read_exact(&mut [0; 2]).expect("it is read");
}

#[test]
fn clients_of_socks_that_leave_before_they_are_connected_have_no_place_any_more() {
    let shell = Shell::start();
    let echo = echo_server();
    let full = full(&shell);
    let mut forward = shell.start_command("forward -o raw -D 0");
    let at = forward.answer();
    for _ in 0..CLIENTS {
        ask_and_leave(&at, full.address);
    }
    until_sockets(&shell, 1);
    let mut stream = TcpStream::connect(&at).expect("it connects");
    let [high, low] = echo.port().to_be_bytes();
    stream
        .write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low])
        .expect("it is written");
    let long = Some(Duration::from_secs(120));
    stream.set_read_timeout(long).expect("it takes the time");
    stream.read_exact(&mut [0; 12]).expect("it is read");
    echoes(stream);
    forward.interrupt();
    forward.ok();
}

#[test]
fn a_client_that_leaves_ends_what_was_done_for_it_at_the_daemon() {
    let shell = Shell::start();
    let full = full(&shell);
    for letter in ["D", "L"] {
        let line = match letter {
            "D" => "-D 0".to_owned(),
            _ => format!("-L 0:{}", full.address),
        };
        let (mut forward, at) = forwarding(&shell, &line, 1);
        if letter == "D" {
            ask_and_leave(&at[0], full.address);
        } else {
            // A reset, as it is of a program that died with bytes unread; a mere end would be that of one direction.
            let client = TcpStream::connect(&at[0]).expect("it connects");
            SockRef::from(&client)
                .set_linger(Some(Duration::ZERO))
                .expect("it takes the option");
        }
        forward.until_said("it left before it was connected");
        let connecting = || shell.ok("ls -o raw").contains("\tSYN-SENT\t");
        assert!(
            (0..500).any(|_| !connecting()),
            "-{letter}: the daemon goes on connecting"
        );
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn clients_that_leave_before_they_are_connected_leave_their_places_to_others() {
    let shell = Shell::start();
    let echo = echo_server();
    let full = full(&shell);
    for letter in ["L", "R"] {
        let line = format!(
            "forward -o raw -{letter} 127.0.0.1:0:{} -{letter} 127.0.0.1:0:{echo}",
            full.address
        );
        let mut forward = shell.start_command(&line);
        let at = [forward.answer(), forward.answer()];
        for number in 0..CLIENTS {
            let mut client = TcpStream::connect(&at[0]).expect("it connects");
            if number % 2 == 0 {
                client.write_all(b"a request").expect("it is written");
            }
        }
        // The two listeners of -R, or none, and the 64 of those that may not have left.
        until_sockets(&shell, 1 + 64 + if letter == "R" { 2 } else { 0 });
        for _ in 0..5 {
            echoes(TcpStream::connect(&at[1]).expect("it connects"));
        }
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn a_client_that_has_only_sent_all_before_it_is_connected_gets_its_answer() {
    let shell = Shell::start();
    for letter in ["L", "R", "D"] {
        let full = full(&shell);
        let line = match letter {
            "D" => "-D 127.0.0.1:0".to_owned(),
            _ => format!("-{letter} 127.0.0.1:0:{}", full.address),
        };
        let (forward, at) = forwarding(&shell, &line, 1);
        let mut client = TcpStream::connect(&at[0]).expect("it connects");
        if letter == "D" {
            let [high, low] = full.address.port().to_be_bytes();
            client
                .write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low])
                .expect("it is written");
            client.read_exact(&mut [0; 2]).expect("it is read");
        }
        client.write_all(b"a request").expect("it is written");
        client.shutdown(Shutdown::Write).expect("it is connected");
        // As many as wait to be accepted, and then it.
        let mut accepted = String::new();
        for _ in 0..=full._filling.len() {
            let accept = shell.ok(&format!("accept {} -o raw --timeout 120s", full.handle));
            accepted = accept;
        }
        assert_eq!(
            shell.ok(&format!("recv {accepted} --waitall -n 9")),
            "a request"
        );
        shell.ok(&format!("send {accepted} 'an answer'"));
        shell.ok(&format!("close {accepted}"));
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("it is read");
        assert!(answer.ends_with(b"an answer"), "-{letter}: {answer:?}");
        forward.interrupt();
        forward.ok();
    }
}

#[test]
fn a_limit_that_fills_is_told_once_and_once_when_there_is_room_again() {
    let shell = Shell::start();
    let server = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let script = format!(
        "ulimit -n 40; exec {} forward -o raw -D 0",
        env!("CARGO_BIN_EXE_farsock")
    );
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .env("FARSOCK_ADDR", shell.address())
        .stdin(Stdio::null());
    let mut forward = shell.start_other(command);
    let at = forward.answer();
    let clients: Vec<_> = (0..60)
        .map(|_| TcpStream::connect(&at).expect("it connects"))
        .collect();
    let said = forward.note();
    assert!(said.contains("Too many open files"), "{said}");
    drop(clients);
    // Nothing in between: it was told once.
    let said = forward.note();
    assert!(said.ends_with("connections are accepted again"), "{said}");
    drop(through_socks(&at, &server));
    forward.interrupt();
    forward.ok();
}
