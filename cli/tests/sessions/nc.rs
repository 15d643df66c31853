//! nc: stdin and stdout over sockets of the daemon's.

use std::{
    io::{ErrorKind, Read, Result, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::Stdio,
    thread,
};

use sha2::{Digest as _, Sha256};

use crate::shell::{Shell, Waiting, farsock, text};

/// Starts `nc -v` with more words, to listen; where it does.
fn listening(shell: &Shell, line: &str) -> (Waiting, String) {
    let mut nc = shell.start_piped(&format!("nc -v -l {line}"));
    let note = nc.note();
    let at = note.strip_prefix("listening on ").expect(&note).to_owned();
    (nc, at)
}

/// Each says something, and the other hears it.
fn talk(client: &mut Waiting, listener: &mut Waiting) {
    client.give("hello\n");
    assert_eq!(listener.answer(), "hello");
    listener.give("hello yourself\n");
    assert_eq!(client.answer(), "hello yourself");
}

/// Ends the stdin of both, and so both, in good order.
fn hang_up(mut client: Waiting, mut listener: Waiting) {
    drop(client.take_stdin());
    drop(listener.take_stdin());
    client.ok();
    listener.ok();
}

/// An address as nc takes it.
fn host_and_port(address: &str) -> String {
    address.replace(':', " ")
}

#[test]
fn nc_to_nc_a_gibibyte_arrives_with_every_byte_in_its_place() {
    const BLOCK: usize = 1 << 20;
    const BLOCKS: u64 = 1_024;

    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "127.0.0.1 0");
    drop(listener.take_stdin());
    let mut sender = shell.start_piped(&format!("nc {}", host_and_port(&at)));
    let mut stdin = sender.take_stdin();
    // Each block differs from every other, at its beginning; a byte that is lost or doubled shifts all that follow.
    let block = |number: u64| {
        let mut block: Vec<u8> = BYTES.iter().copied().cycle().take(BLOCK).collect();
        block[..8].copy_from_slice(&number.to_be_bytes());
        block
    };
    let mut sent = block(0);
    let sending = thread::spawn(move || {
        let mut sum = Sha256::new();
        for number in 0..BLOCKS {
            sent[..8].copy_from_slice(&number.to_be_bytes());
            stdin.write_all(&sent).expect("nc reads its stdin");
            sum.update(&sent);
        }
        sum.finalize()
    });
    let mut expected = block(0);
    let mut received = vec![0; BLOCK];
    let mut sum = Sha256::new();
    for number in 0..BLOCKS {
        expected[..8].copy_from_slice(&number.to_be_bytes());
        listener.stdout().read_exact(&mut received).unwrap();
        assert!(received == expected, "block {number}");
        sum.update(&received);
    }
    assert_eq!(sum.finalize(), sending.join().unwrap());
    assert_eq!(sender.ok(), "");
    assert_eq!(listener.ok(), "", "nothing follows");
}

/// As many bytes as are coprime to every size of a buffer.
const BYTES: &[u8] = &{
    let mut bytes = [0; 65_521];
    let mut place = 0;
    let mut state = 1_u32;
    while place < bytes.len() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        bytes[place] = state.to_le_bytes()[0];
        place += 1;
    }
    bytes
};

#[test]
fn the_end_of_stdin_is_the_end_of_sending_alone() {
    let shell = Shell::start();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap().to_string();
    let answering = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        stream.write_all(b"it is what it is\n").unwrap();
        request
    });
    let line = format!("nc {}", host_and_port(&at));
    let client = shell.run_with_stdin(&line, b"what is it?");
    assert_eq!(text(&client.stderr), "");
    assert_eq!(text(&client.stdout), "it is what it is\n");
    assert_eq!(answering.join().unwrap(), "what is it?");
}

#[test]
fn with_capital_k_sending_does_not_end_before_the_connection() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "127.0.0.1 0");
    let mut client = shell.start_piped(&format!("nc -K {}", host_and_port(&at)));
    client.give("hello\n");
    drop(client.take_stdin());
    assert_eq!(listener.answer(), "hello");
    listener.give("hello yourself\n");
    assert_eq!(client.answer(), "hello yourself");
    drop(listener.take_stdin());
    client.ok();
    listener.ok();
}

#[test]
fn verbose_tells_what_was_connected_by_its_name_and_address() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "127.0.0.1 0");
    let (_, port) = at.split_once(':').unwrap();
    let mut client = shell.start_piped(&format!("nc -4v localhost {port}"));
    assert_eq!(
        client.note(),
        format!("Connection to localhost (127.0.0.1) {port} port [tcp] succeeded!")
    );
    let note = listener.note();
    assert!(note.starts_with("connection from 127.0.0.1:"), "{note}");
    hang_up(client, listener);
}

#[test]
fn without_k_who_comes_after_the_first_is_refused_and_the_first_goes_on() {
    let shell = Shell::start();
    let (listener, at) = listening(&shell, "127.0.0.1 0");
    the_first_alone_is_taken(listener, || TcpStream::connect(&at));

    let path = shell.directory().join("nc.sock");
    let (listener, at) = listening(&shell, &format!("-U {}", path.display()));
    the_first_alone_is_taken(listener, || UnixStream::connect(&at));
}

fn the_first_alone_is_taken<S: Write>(mut listener: Waiting, connect: impl Fn() -> Result<S>) {
    let mut first = connect().expect("it listens");
    listener.note();
    let refused = connect().err().expect("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    first.write_all(b"hello\n").expect("it is connected");
    assert_eq!(listener.answer(), "hello");
    drop(listener.take_stdin());
    drop(first);
    listener.ok();
}

#[test]
fn with_k_one_connection_follows_the_other_until_ctrl_c() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "-k 127.0.0.1 0");
    two_come(&shell, &format!("nc {}", host_and_port(&at)), &mut listener);
    listener.interrupt();
    listener.fails(130);
    assert_eq!(shell.ok("ls -o raw"), "", "nothing is left open");
}

/// Two clients, one after the other, say a word each.
fn two_come(shell: &Shell, line: &str, listener: &mut Waiting) {
    for word in ["one", "two"] {
        let client = shell.run_with_stdin(line, format!("{word}\n").as_bytes());
        assert_eq!(client.status.code(), Some(0), "{}", text(&client.stderr));
        assert_eq!(listener.answer(), word);
    }
}

#[test]
fn unix_sockets_go_by_their_path() {
    let shell = Shell::start();
    let path = shell.directory().join("nc.sock");
    let (mut listener, at) = listening(&shell, &format!("-U {}", path.display()));
    assert_eq!(at, path.display().to_string());
    let mut client = shell.start_piped(&format!("nc -U {at}"));
    talk(&mut client, &mut listener);
    hang_up(client, listener);
}

#[test]
fn udp_goes_both_ways_and_ends_by_q_or_ctrl_c() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "-u 127.0.0.1 0");
    let mut client = shell.start_piped(&format!("nc -u -q 0 {}", host_and_port(&at)));
    client.give("ping\n");
    assert_eq!(listener.answer(), "ping");
    let note = listener.note();
    assert!(note.starts_with("datagrams from 127.0.0.1:"), "{note}");
    listener.give("pong\n");
    assert_eq!(client.answer(), "pong");
    drop(client.take_stdin());
    client.ok();
    listener.interrupt();
    listener.fails(130);
}

#[test]
fn unix_datagrams_arrive_as_they_were_sent() {
    let shell = Shell::start();
    let path = shell.directory().join("nc.sock");
    let (mut listener, at) = listening(&shell, &format!("-u -k -U {}", path.display()));
    two_come(&shell, &format!("nc -u -q 0 -U {at}"), &mut listener);
    listener.signal("TERM");
    listener.fails(130);
}

#[test]
fn a_scan_tells_open_from_closed() {
    let shell = Shell::start();
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = open.local_addr().unwrap().port();
    let output = shell.run(&format!("nc -zv 127.0.0.1 {port}"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(
        said,
        format!("farsock: Connection to 127.0.0.1 (127.0.0.1) {port} port [tcp] succeeded!\n")
    );
    let port = shell.closed_port();
    assert_eq!(
        shell.fails(1, &format!("nc -z 127.0.0.1 {port}")),
        format!("farsock: connect 127.0.0.1 {port}: ECONNREFUSED: Connection refused")
    );
}

#[test]
fn the_source_is_the_one_that_was_asked_for() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "127.0.0.1 0");
    let client = shell.start_command(&format!("nc -s 127.0.0.9 {}", host_and_port(&at)));
    let note = listener.note();
    assert!(note.starts_with("connection from 127.0.0.9:"), "{note}");
    drop(listener.take_stdin());
    client.ok();
    listener.ok();
}

#[test]
fn progress_ends_with_all_that_was_moved() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "127.0.0.1 0");
    let line = format!("nc --progress {}", host_and_port(&at));
    drop(listener.take_stdin());
    let client = shell.run_with_stdin(&line, &[b'x'; 2048]);
    let said = text(&client.stderr);
    let last = said.lines().last().unwrap_or_default();
    let expected = "farsock: 2.00 KiB sent, 0 B received in ";
    assert!(last.starts_with(expected), "{said}");
    assert!(last.ends_with("/s)"), "{said}");
    assert_eq!(listener.ok().len(), 2048);
}

#[test]
fn nobody_who_reads_is_no_error() {
    let shell = Shell::start();
    let (mut listener, at) = listening(&shell, "127.0.0.1 0");
    let mut client = shell.start_piped(&format!("nc {}", host_and_port(&at)));
    drop(client.take_stdout());
    // More than any pipe takes, so that it is noticed.
    let mut stdin = listener.take_stdin();
    let writing = thread::spawn(move || while stdin.write_all(&[0; 65_536]).is_ok() {});
    assert_eq!(client.fails(0), "");
    // Its peer has gone while there was more to send.
    let _ = listener.end();
    writing.join().unwrap();
}

#[test]
fn what_cannot_be_done_is_said() {
    let shell = Shell::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (line, code, said) in [
        ("nc", 2, "a host and a port are needed".to_owned()),
        ("nc -l", 2, "-l takes a port to listen at".to_owned()),
        (
            "nc -z localhost 5-4",
            2,
            "the range 5-4 is empty".to_owned(),
        ),
        (
            "nc -n not-a-number 80",
            1,
            "resolve not-a-number 80: EAI_NONAME: Name or service not known".to_owned(),
        ),
        (
            "nc -znv not-a-number 20-30",
            1,
            "resolve not-a-number 20: EAI_NONAME: Name or service not known".to_owned(),
        ),
        (
            "nc -U /nonexistent/nc.sock",
            1,
            "connect /nonexistent/nc.sock: ENOENT: No such file or directory".to_owned(),
        ),
    ] {
        assert_eq!(
            shell.fails(code, line),
            format!("farsock: {said}"),
            "{line}"
        );
    }
    assert_eq!(
        shell.fails(1, &format!("nc -l {}", host_and_port(&taken))),
        format!("farsock: listen {taken}: EADDRINUSE: Address already in use")
    );
    let output = farsock()
        .args(["--addr", "unix:///nonexistent/farsock.sock", "nc", "h", "1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
}
