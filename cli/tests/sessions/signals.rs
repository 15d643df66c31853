//! Signals: a command that goes on for long ends in order by each that asks for it, and is left alone by one that it was told to ignore.

use std::{
    net::TcpListener,
    os::unix::net::UnixListener,
    process::{Command, Stdio},
};

use crate::{
    forward::{echo_server, forwarding, get, web_server},
    shell::Shell,
};

/// An address of these tests' own: at another's, a port that is free again may be the next one that the kernel gives to a connection.
const OWN: &str = "127.83.73.71";

#[test]
fn each_signal_that_ends_a_forward_frees_at_once_what_it_listens_at() {
    let shell = Shell::start();
    let echo = echo_server();
    for signal in ["INT", "TERM", "HUP", "QUIT"] {
        let path = shell.directory().join("l").display().to_string();
        let line = format!("-L {OWN}:0:{echo} -L {path}:{echo} -R {OWN}:0:{echo}");
        let (forward, at) = forwarding(&shell, &line, 3);
        forward.signal(signal);
        forward.ok();
        assert_eq!(shell.ok("session ls -o raw"), "", "SIG{signal}");
        // Those of -L come first.
        for at in [&at[0], &at[2]] {
            TcpListener::bind(at).unwrap_or_else(|error| panic!("SIG{signal}: {at}: {error}"));
        }
        assert!(!std::path::Path::new(&path).exists(), "SIG{signal}");
    }
}

#[test]
fn each_signal_ends_the_session_of_an_nc() {
    let shell = Shell::start();
    for (signal, code) in [("INT", 130), ("TERM", 130), ("HUP", 129), ("QUIT", 131)] {
        let mut nc = shell.start_command(&format!("nc -v -l {OWN} 0"));
        let note = nc.note();
        let at = note
            .strip_prefix("listening on ")
            .expect("it says where it listens");
        nc.signal(signal);
        nc.fails(code);
        TcpListener::bind(at).unwrap_or_else(|error| panic!("SIG{signal}: {error}"));
        assert_eq!(shell.ok("session ls -o raw"), "", "SIG{signal}");
    }
}

#[test]
fn each_signal_ends_a_command_whose_daemon_does_not_answer() {
    let shell = Shell::start();
    let path = shell.directory().join("silent");
    let silent = UnixListener::bind(&path).expect("it listens");
    let address = format!("unix://{}", path.display());
    for (signal, code) in [("INT", 130), ("TERM", 130), ("HUP", 129), ("QUIT", 131)] {
        for command in ["nc -l 127.0.0.1 0", "forward -D 0"] {
            let waiting = shell.start_command(&format!("--addr {address} {command}"));
            let connected = silent.accept().expect("a connection");
            waiting.signal(signal);
            waiting.fails(code);
            drop(connected);
        }
    }
}

#[test]
fn a_forward_that_was_started_to_ignore_hangups_goes_on() {
    let shell = Shell::start();
    let server = web_server("hello");
    // As nohup(1) starts it.
    let script = format!(
        "trap '' HUP QUIT; exec {} forward -o raw -L 0:{server}",
        env!("CARGO_BIN_EXE_farsock")
    );
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .env("FARSOCK_ADDR", shell.address())
        .stdin(Stdio::null());
    let mut forward = shell.start_other(command);
    let at = forward.answer();
    forward.signal("HUP");
    forward.signal("QUIT");
    assert!(get(&at).ends_with("hello"));
    forward.signal("TERM");
    forward.ok();
}
