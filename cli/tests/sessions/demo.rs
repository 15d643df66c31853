//! The demo: it runs anywhere, shows its calls, and notices a single wrong byte.

use std::path::PathBuf;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use crate::shell::{Shell, farsock, text};

#[test]
fn the_demo_runs_by_itself_and_shows_every_exchange() {
    let output = farsock().arg("demo").output().unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
    for call in [
        "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 1",
        "bind(1, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr(\"127.0.0.1\")}, 16) = 0",
        "\"hello over TCP\", 14, MSG_WAITALL) = 14",
        "shutdown(2, SHUT_WR) = 0",
        "= -1 ECONNREFUSED (Connection refused)",
        "= -1 EAGAIN (Resource temporarily unavailable)",
        "msg_flags=MSG_TRUNC",
        "sun_path=@\"",
        "{sa_family=AF_UNIX, sun_path=\"/",
        "socketpair(AF_UNIX, SOCK_SEQPACKET, 0, [",
    ] {
        assert!(stdout.contains(call), "no {call} in:\n{stdout}");
    }
    assert!(!stdout.contains("htons(0), sin_addr=inet_addr(\"127.0.0.1\")}, [16])"));
}

#[test]
fn the_demo_leaves_no_socket_in_a_daemon_it_was_given() {
    let shell = Shell::start();
    let output = shell.run("demo");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(shell.ok("ls -o raw"), "");
}

#[test]
fn a_single_wrong_byte_makes_the_demo_fail() {
    for (right, wrong) in [
        ("hello over TCP", "hello over TCQ"),
        ("pong", "pOng"),
        ("and back", "and bacl"),
        ("hello over a unix stream", "hello over a unix ttream"),
    ] {
        let shell = Shell::start();
        let relay = relay(&shell, right, wrong);
        let output = shell.run(&format!("demo --addr unix://{}", relay.display()));
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{right}: {stderr}");
        let told = format!("received \"{wrong}\", sent \"{right}\"");
        assert!(stderr.contains(&told), "{stderr}");
    }
}

/// A way to the daemon that changes what the daemon answers, wherever it holds `right`.
fn relay(shell: &Shell, right: &'static str, wrong: &'static str) -> PathBuf {
    assert_eq!(right.len(), wrong.len());
    let path = shell.directory().join("relay.sock");
    let daemon = PathBuf::from(shell.address().trim_start_matches("unix://"));
    let _guard = shell.runtime().enter();
    let listener = UnixListener::bind(&path).expect("the path is free");
    // Ends with the shell's runtime.
    shell.runtime().spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(daemon) = UnixStream::connect(&daemon).await else {
                return;
            };
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_daemon, mut to_daemon) = daemon.into_split();
            tokio::spawn(async move {
                let _ = tokio::io::copy(&mut from_client, &mut to_daemon).await;
            });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length @ 1..) = from_daemon.read(&mut buffer).await {
                    replace(&mut buffer[..length], right.as_bytes(), wrong.as_bytes());
                    if to_client.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    path
}

/// An answer is one write of the daemon's, so that it is whole in one read.
fn replace(bytes: &mut [u8], right: &[u8], wrong: &[u8]) {
    let found = bytes.windows(right.len()).position(|part| part == right);
    if let Some(at) = found {
        bytes[at..at + right.len()].copy_from_slice(wrong);
    }
}
