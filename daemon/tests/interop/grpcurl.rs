//! grpcurl over either transport. What it prints is the README's matter: see `readme`.

use std::{path::PathBuf, process::Command};

use crate::{
    daemon::Daemon,
    tools::{find, runs},
};

#[test]
fn grpcurl_over_tcp_lists_and_describes_the_services() {
    let daemon = Daemon::start();
    client(&[], daemon.address());
}

#[test]
fn grpcurl_over_a_unix_socket_lists_and_describes_the_services() {
    let daemon = Daemon::start();
    let socket = daemon.socket().display().to_string();
    // Without an authority of its own it sends the path, which is none.
    client(&["-unix", "-authority", "localhost"], &socket);
}

/// grpcurl, if it is there.
pub(crate) fn program() -> Option<PathBuf> {
    find("grpcurl", runs(&["-version"]))
}

fn client(options: &[&str], address: &str) {
    let Some(grpcurl) = program() else {
        return;
    };
    let run = |arguments: &[&str]| {
        let output = Command::new(&grpcurl)
            .arg("-plaintext")
            .args(options)
            .arg(address)
            .args(arguments)
            .output()
            .expect("it was found");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).expect("it prints UTF-8")
    };

    let services = run(&["list"]);
    for service in ["farsock.v1.SocketService", "farsock.v1.HostService"] {
        assert!(services.lines().any(|line| line == service), "{services}");
    }
    let accept = run(&["describe", "farsock.v1.SocketService.Accept"]);
    assert!(accept.contains("Corresponds to accept4(2)."), "{accept}");
    let info = run(&["describe", "google.rpc.ErrorInfo"]);
    assert!(info.contains("map<string, string> metadata"), "{info}");
}
