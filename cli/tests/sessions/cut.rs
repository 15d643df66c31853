//! forward and nc: what is cut off is a reset at both ends, whatever cuts it off, and what has ended in order stays so.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::{
    forward::forwarding,
    shell::{Shell, Waiting},
};

/// How a peer sees the end: the kernel's answer, or how much came before an end in good order.
type Seen = Result<usize, io::ErrorKind>;

const RESET: Seen = Err(io::ErrorKind::ConnectionReset);

fn seen(mut stream: &TcpStream) -> Seen {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    read.map_err(|error| error.kind())
}

/// A SOCKS client's connection to a server of the daemon's host.
pub(crate) fn through_socks(at: &str, server: &TcpListener) -> TcpStream {
    let mut stream = TcpStream::connect(at).expect("it connects");
    let port = server.local_addr().expect("it has an address").port();
    stream
        .write_all(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1])
        .expect("it is written");
    stream
        .write_all(&port.to_be_bytes())
        .expect("it is written");
    stream.read_exact(&mut [0; 12]).expect("it is read");
    stream
}

/// A connection that is carried, and what is under way on it.
struct Carried {
    what: String,
    client: TcpStream,
    server: TcpStream,
    /// Which of the two are to see that something was cut off: one whose peer had ended its sending has received all.
    cut: [bool; 2],
}

impl Carried {
    fn check(&self, way: &str) {
        let Self { what, cut, .. } = self;
        for (at, stream, cut) in [
            ("client", &self.client, cut[0]),
            ("server", &self.server, cut[1]),
        ] {
            if cut {
                assert_eq!(seen(stream), RESET, "{way}: {what}: the {at}");
            }
        }
    }
}

/// Connections of every letter, in every state in which they can be cut off. `at` is where -L, -R and -D listen.
fn carried(at: &[String], server: &TcpListener) -> Vec<Carried> {
    let mut all = Vec::new();
    for (letter, at) in ["-L", "-R", "-D"].iter().zip(at) {
        for state in [
            "both ways",
            "download",
            "upload",
            "full download",
            "full upload",
        ] {
            let mut client = match *letter {
                "-D" => through_socks(at, server),
                _ => TcpStream::connect(at).expect("it connects"),
            };
            let (mut behind, _) = server.accept().expect("a connection");
            for stream in [&client, &behind] {
                let long = Some(Duration::from_secs(300));
                stream.set_read_timeout(long).expect("it takes the time");
            }
            client.write_all(b"half of").expect("it is written");
            behind.read_exact(&mut [0; 7]).expect("it is read");
            behind.write_all(b"an ans").expect("it is written");
            client.read_exact(&mut [0; 6]).expect("it is read");
            let cut = match state {
                "download" => {
                    client.shutdown(Shutdown::Write).expect("it is connected");
                    assert_eq!(behind.read(&mut [0]).expect("it is read"), 0);
                    [true, false]
                }
                "upload" => {
                    behind.shutdown(Shutdown::Write).expect("it is connected");
                    assert_eq!(client.read(&mut [0]).expect("it is read"), 0);
                    [false, true]
                }
                // Bytes wait at every place on the way.
                "full download" => {
                    fill(&mut behind);
                    [true, true]
                }
                "full upload" => {
                    fill(&mut client);
                    [true, true]
                }
                _ => [true, true],
            };
            all.push(Carried {
                what: format!("{letter}, {state}"),
                client,
                server: behind,
                cut,
            });
        }
    }
    all
}

/// Writes until nobody takes more.
fn fill(stream: &mut TcpStream) {
    stream.set_nonblocking(true).expect("it takes the flag");
    let piece = [7; 64 << 10];
    // Far more than all the room on the way.
    for _ in 0..10_000 {
        match stream.write(&piece) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).expect("it takes the flag");
}

/// A forward of every letter to one server.
fn forward(shell: &Shell, options: &str) -> (Waiting, Vec<String>, TcpListener) {
    let server = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let to = server.local_addr().expect("it has an address");
    let line = format!("{options} -L 0:{to} -R 127.0.0.1:0:{to} -D 0");
    let (forward, at) = forwarding(shell, &line, 3);
    (forward, at, server)
}

#[test]
fn a_signal_to_the_command_cuts_off_by_reset_at_both_ends() {
    let shell = Shell::start();
    for way in ["INT", "TERM", "HUP", "QUIT"] {
        let (forward, at, server) = forward(&shell, "");
        let carried = carried(&at, &server);
        forward.signal(way);
        carried.iter().for_each(|one| one.check(way));
        forward.ok();
    }
}

#[test]
fn the_end_of_the_session_or_of_the_daemon_cuts_off_by_reset_at_both_ends() {
    let mut shell = Shell::start();
    for way in ["session close", "drain", "stop"] {
        let (mut forward, at, server) = forward(&shell, "");
        let carried = carried(&at, &server);
        match way {
            "session close" => {
                let id = shell.json("session ls")[0]["session_id"].clone();
                shell.ok(&format!(
                    "session close {}",
                    id.as_str().expect("it is text")
                ));
            }
            "drain" => shell.drain(),
            _ => shell.stop_daemon(),
        }
        carried.iter().for_each(|one| one.check(way));
        shell.stop_daemon();
        forward.signal("KILL");
        forward.end();
        shell.start_daemon();
    }
}

#[test]
fn the_death_of_the_command_and_the_daemon_cuts_off_by_reset_at_both_ends() {
    let shell = Shell::start();
    // One process is both: what its death does, the kernel does.
    let (mut forward, at, server) = forward(&shell, "--addr embedded");
    let carried = carried(&at, &server);
    forward.signal("KILL");
    carried.iter().for_each(|one| one.check("KILL"));
    forward.end();
}

/// A way to the daemon that can break.
struct Wire {
    address: String,
    /// What goes over it; none once it is cut.
    carried: Arc<Mutex<Option<Vec<UnixStream>>>>,
}

impl Wire {
    /// Its threads end with the test's process, or with what they carry.
    fn lay(shell: &Shell) -> Self {
        let path = shell.directory().join("wire").display().to_string();
        let listener = UnixListener::bind(&path).expect("it listens");
        let daemon = shell
            .address()
            .strip_prefix("unix://")
            .expect("the path has a name")
            .to_owned();
        let carried = Arc::new(Mutex::new(Some(Vec::new())));
        let ends = Arc::clone(&carried);
        thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.expect("a connection");
                let mut ends = ends.lock().expect("nobody panicked");
                let Some(ends) = &mut *ends else { continue };
                let far = UnixStream::connect(&daemon).expect("it connects");
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (
                        from.try_clone().expect("it is cloned"),
                        to.try_clone().expect("it is cloned"),
                    );
                    thread::spawn(move || {
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                ends.extend([near, far]);
            }
        });
        Self {
            address: format!("unix://{path}"),
            carried,
        }
    }

    /// From now on nothing passes.
    fn cut(&self) {
        for end in self
            .carried
            .lock()
            .expect("nobody panicked")
            .take()
            .expect("it was not cut before")
        {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

#[test]
fn what_is_lost_with_the_lease_is_cut_off_by_reset_at_both_ends() {
    let shell = Shell::start();
    // Each takes a lease, so that all are cut off before any is looked at.
    let (mut killed, at, server) = forward(&shell, "");
    let of_killed = carried(&at, &server);
    let (stopped, at, server) = forward(&shell, "");
    let of_stopped = carried(&at, &server);
    let wire = Wire::lay(&shell);
    let (lost, at, server) = forward(&shell, &format!("--addr {}", wire.address));
    let of_lost = carried(&at, &server);
    killed.signal("KILL");
    killed.end();
    stopped.signal("STOP");
    wire.cut();

    of_killed.iter().for_each(|one| one.check("killed"));
    of_lost.iter().for_each(|one| one.check("lost"));
    for one in &of_stopped {
        // The daemon's side alone: this one's is still stopped.
        let (at, stream) = if one.what.starts_with("-R") {
            (0, &one.client)
        } else {
            (1, &one.server)
        };
        if one.cut[at] {
            assert_eq!(seen(stream), RESET, "stopped: {}", one.what);
        }
    }
    stopped.signal("CONT");
    for one in &of_stopped {
        let (at, stream) = if one.what.starts_with("-R") {
            (1, &one.server)
        } else {
            (0, &one.client)
        };
        if one.cut[at] {
            assert_eq!(seen(stream), RESET, "continued: {}", one.what);
        }
    }
    for mut forward in [stopped, lost] {
        forward.signal("KILL");
        forward.end();
    }
}

#[test]
fn what_has_ended_in_order_stays_so_whatever_comes_after_it() {
    let shell = Shell::start();
    for (way, options) in [("TERM", ""), ("KILL", "--addr embedded")] {
        let (mut forward, at, server) = forward(&shell, options);
        let mut ended = Vec::new();
        for (letter, at) in ["-L", "-R", "-D"].iter().zip(&at) {
            let mut client = match *letter {
                "-D" => through_socks(at, &server),
                _ => TcpStream::connect(at).expect("it connects"),
            };
            let (mut behind, _) = server.accept().expect("a connection");
            // An answer that nobody waits for, and more than is read before the end.
            behind.write_all(&[7; 100_000]).expect("it is written");
            behind.shutdown(Shutdown::Write).expect("it is connected");
            client.write_all(&[7; 100_000]).expect("it is written");
            client.shutdown(Shutdown::Write).expect("it is connected");
            // Said when both ends are the kernels' business.
            forward.until_said("97.66 KiB sent, 97.66 KiB received");
            ended.push((*letter, client, behind));
        }
        forward.signal(way);
        forward.end();
        for (letter, client, behind) in ended {
            assert_eq!(seen(&client), Ok(100_000), "{way}: {letter}: the client");
            assert_eq!(seen(&behind), Ok(100_000), "{way}: {letter}: the server");
        }
    }
}

/// A server, and a connection of nc to it, which has sent half of something.
fn half_sent(shell: &Shell, options: &str) -> (Waiting, TcpStream) {
    let server = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let port = server.local_addr().expect("it has an address").port();
    let mut nc = shell.start_piped(&format!("nc {options} 127.0.0.1 {port}"));
    let (mut behind, _) = server.accept().expect("a connection");
    nc.give("half of");
    behind.read_exact(&mut [0; 7]).expect("it is read");
    (nc, behind)
}

#[test]
fn an_nc_that_is_ended_while_it_sends_resets_its_connection() {
    let shell = Shell::start();
    for (way, code) in [("INT", 130), ("TERM", 130), ("HUP", 129), ("QUIT", 131)] {
        let (nc, behind) = half_sent(&shell, "");
        nc.signal(way);
        assert_eq!(seen(&behind), RESET, "{way}");
        nc.fails(code);

        let mut nc = shell.start_piped("nc -v -l 127.0.0.1 0");
        let note = nc.note();
        let at = note
            .strip_prefix("listening on ")
            .expect("it says where it listens");
        let mut client = TcpStream::connect(at).expect("it connects");
        nc.give("half of");
        client.read_exact(&mut [0; 7]).expect("it is read");
        nc.signal(way);
        assert_eq!(seen(&client), RESET, "{way} of -l");
        nc.fails(code);
        assert_eq!(shell.ok("ls -o raw"), "", "nothing is left open");
    }
    let (mut nc, behind) = half_sent(&shell, "--addr embedded");
    nc.signal("KILL");
    assert_eq!(seen(&behind), RESET, "KILL");
    nc.end();
    // Nobody takes what is received.
    let (mut nc, mut behind) = half_sent(&shell, "");
    drop(nc.take_stdout());
    behind.write_all(b"x").expect("it is written");
    assert_eq!(seen(&behind), RESET, "stdout is closed");
    nc.end();
}

#[test]
fn an_nc_whose_peer_has_sent_all_ends_with_its_session_though_stdin_is_silent() {
    let shell = Shell::start();
    for way in ["session close", "drain"] {
        let (mut nc, mut behind) = half_sent(&shell, "");
        let stdin = nc.take_stdin();
        behind.write_all(b"all of it").expect("it is written");
        behind.shutdown(Shutdown::Write).expect("it is connected");
        while shell.json("ls")[0]["state"] != "close-wait" {
            thread::yield_now();
        }
        if way == "drain" {
            shell.drain();
        } else {
            let id = shell.json("session ls")[0]["session_id"].clone();
            shell.ok(&format!(
                "session close {}",
                id.as_str().expect("it is text")
            ));
        }
        assert_eq!(seen(&behind), RESET, "{way}");
        nc.fails(4);
        drop(stdin);
    }
}

#[test]
fn an_nc_whose_peer_takes_nothing_ends_with_a_reset_and_says_so() {
    let shell = Shell::start();
    let server = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let port = server.local_addr().expect("it has an address").port();
    let mut nc = shell.start_piped(&format!("nc -w 3s 127.0.0.1 {port}"));
    let mut stdin = nc.take_stdin();
    let writing = thread::spawn(move || {
        // Far more than all the room on the way.
        let _ = stdin.write_all(&vec![7; 64 << 20]);
    });
    let (behind, _) = server.accept().expect("a connection");
    let stderr = nc.fails(1);
    assert!(stderr.contains("the peer takes nothing"), "{stderr}");
    assert_eq!(seen(&behind), RESET);
    writing.join().expect("it does not panic");
}

#[test]
fn an_nc_that_has_sent_all_or_only_looks_which_ports_are_open_ends_in_order() {
    let shell = Shell::start();
    let server = TcpListener::bind("127.0.0.1:0").expect("it listens");
    let port = server.local_addr().expect("it has an address").port();
    let scan = shell.start_command(&format!("nc -z 127.0.0.1 {port}"));
    assert_eq!(seen(&server.accept().expect("a connection").0), Ok(0));
    scan.ok();

    for options in ["", "-w 3s", "-q 0"] {
        let mut nc = shell.start_piped(&format!("nc {options} 127.0.0.1 {port}"));
        let (behind, _) = server.accept().expect("a connection");
        nc.give("all of it");
        drop(nc.take_stdin());
        if options.is_empty() {
            behind.shutdown(Shutdown::Write).expect("it is connected");
        }
        nc.ok();
        assert_eq!(seen(&behind), Ok(9), "{options}");
    }
}
