//! Python's grpcio, which knows the API by reflection alone: `grpcio/client.py` has the tests.

use std::{path::Path, process::Command};

use crate::{
    daemon::Daemon,
    tools::{find, runs},
};

#[test]
fn grpcio_does_everything_over_tcp() {
    let daemon = Daemon::start();
    client(daemon.address());
}

#[test]
fn grpcio_does_everything_over_a_unix_socket() {
    let daemon = Daemon::start();
    client(&format!("unix:{}", daemon.socket().display()));
}

fn client(target: &str) {
    let Some(python) = find("python3", runs(&["-c", "import grpc_reflection.v1alpha"])) else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/grpcio/client.py");
    let output = Command::new(python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(script)
        .arg(target)
        .output()
        .expect("it was found");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // "OK" alone would also be said of no test at all.
    assert!(said.contains("test_the_daemon_is_healthy"), "{said}");
}
