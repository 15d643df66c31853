//! farsockd as a process: signals, exit codes, the log.

use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
};

use crate::support::{Daemon, Directory, connect, health};

#[tokio::test]
async fn signals_to_end_end_it_in_order_with_code_0_and_without_its_socket() {
    for signal in ["TERM", "INT", "QUIT", "XCPU", "PWR"] {
        let directory = Directory::new();
        let path = directory.join("x.sock");
        let listen = format!("unix://{}", path.display());
        let mut daemon = Daemon::start(&["--listen", &listen]);
        let address = daemon.address().await;
        assert_eq!(health(connect(&address).await.unwrap()).await.unwrap(), 1);

        daemon.signal(signal).await;
        daemon.logs("draining").await;
        assert_eq!(daemon.exit_code().await, Some(0));
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut daemon = Daemon::start(&["--listen=tcp://127.0.0.1:0", "--drain-timeout=1h"]);
    let address = daemon.address().await;
    let mut client = ServerReflectionClient::new(connect(&address).await.unwrap());
    let _call = client
        .server_reflection_info(futures_util::stream::pending::<ServerReflectionRequest>())
        .await
        .unwrap();
    daemon.signal("TERM").await;
    daemon.logs("draining").await;
    daemon.signal("TERM").await;
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[tokio::test]
async fn no_other_signal_ends_it() {
    let mut daemon = Daemon::start(&["--listen=tcp://127.0.0.1:0"]);
    let address = daemon.address().await;
    // HUP, USR1, USR2, PIPE, ALRM, STKFLT, CHLD, CONT, URG, XFSZ, VTALRM, PROF, WINCH, IO and real-time ones: all but those that order
    // its end, stop it, cannot be handled, or report its own faults.
    for signal in [
        "1", "10", "12", "13", "14", "16", "17", "18", "23", "25", "26", "27", "28", "29", "34",
        "35", "50", "64",
    ] {
        daemon.signal(signal).await;
        let answer = health(connect(&address).await.unwrap()).await;
        assert_eq!(answer.unwrap(), 1, "signal {signal}");
    }
    daemon.signal("TERM").await;
    assert_eq!(daemon.exit_code().await, Some(0));
}

#[tokio::test]
async fn several_listeners_serve_at_once_and_tell_their_real_ports() {
    let directory = Directory::new();
    let unix = format!("unix://{}", directory.join("x.sock").display());
    let mut daemon = Daemon::start(&[
        "--listen",
        "tcp://127.0.0.1:0,tcp://[::1]:0",
        "--listen",
        &unix,
    ]);
    for _ in 0..3 {
        let address = daemon.address().await;
        assert!(!address.to_string().ends_with(":0"));
        assert_eq!(health(connect(&address).await.unwrap()).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_a_usage_error_that_says_why() {
    let mut daemon = Daemon::start(&["--listen", "tcp://0.0.0.0:7600"]);
    daemon.logs("not a loopback address").await;
    assert_eq!(daemon.exit_code().await, Some(2));
}

#[tokio::test]
async fn a_second_daemon_at_the_same_socket_says_that_the_first_is_running() {
    let directory = Directory::new();
    let listen = format!("unix://{}", directory.join("x.sock").display());
    let mut first = Daemon::start(&["--listen", &listen]);
    let address = first.address().await;
    let mut second = Daemon::start(&["--listen", &listen]);
    second.logs("already running").await;
    assert_eq!(second.exit_code().await, Some(1));
    assert_eq!(health(connect(&address).await.unwrap()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_json_log_is_one_object_a_line() {
    let mut daemon = Daemon::start(&["--listen=tcp://127.0.0.1:0", "--log=json"]);
    let line = daemon.logs("listening on tcp://127.0.0.1:").await;
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    assert!(line.contains("\"level\":\"INFO\""), "{line}");
}
