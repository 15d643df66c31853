//! TCP, from socket to close.

use crate::shell::Shell;

#[test]
fn a_connection_is_made_used_and_closed_by_one_command_each() {
    let shell = Shell::start();
    assert_eq!(shell.ok("socket tcp"), "1");
    let address = shell.ok("bind 1 127.0.0.1:0");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    assert_eq!(shell.ok("getsockname 1"), address);
    assert_eq!(shell.ok("listen 1"), "");
    assert_eq!(shell.ok("socket tcp"), "2");
    let own = shell.ok(&format!("connect 2 {address}"));
    assert_eq!(shell.ok("getpeername 2"), address);
    assert_eq!(shell.ok("accept 1 --timeout 10s"), format!("3 {own}"));

    assert_eq!(shell.ok("send 2 'hello there'"), "11");
    assert_eq!(shell.ok("recv 3 --peek --timeout 10s"), "hello there");
    assert_eq!(shell.ok("recv 3 -n 5 --waitall"), "hello");
    assert_eq!(shell.ok("recv 3"), " there");
    assert_eq!(shell.ok("send 3 --hex 6869"), "2");
    assert_eq!(shell.ok("recv 2 --timeout 10s -o raw"), "hi");

    assert_eq!(shell.ok("shutdown 2 write"), "");
    let end = shell.run("recv 3 --timeout 10s");
    assert_eq!(end.status.code(), Some(0));
    assert_eq!(end.stdout, b"");
    assert_eq!(end.stderr, b"farsock: end of stream\n");
    assert_eq!(shell.ok("send 3 'still open'"), "10");
    assert_eq!(shell.ok("recv 2 --timeout 10s"), "still open");
    assert_eq!(shell.ok("close 1 2 3"), "");
    assert_eq!(shell.ok("ls -o raw"), "");
}

#[test]
fn an_accept_that_waits_gets_the_connection_that_comes() {
    let shell = Shell::start();
    shell.ok("socket tcp");
    let address = shell.ok("bind 1 127.0.0.1:0");
    shell.ok("listen 1 1");
    let accept = shell.start_command("accept 1 --timeout 30s -o raw");
    shell.until_waiting(1, 1);
    shell.ok("socket tcp");
    shell.ok(&format!("connect 2 {address}"));
    assert_eq!(accept.ok(), "3");
}

#[test]
fn a_payload_comes_from_stdin_or_a_file_as_it_is() {
    let shell = Shell::start();
    shell.ok("pair unix");
    let bytes: Vec<u8> = (0..=255).collect();
    let sent = shell.run_with_stdin("send 1", &bytes);
    assert_eq!(sent.stdout, b"256\n");
    assert_eq!(shell.run("recv 2 -o raw").stdout, bytes);

    let file = shell.directory().join("payload");
    std::fs::write(&file, &bytes).unwrap();
    let file = file.display();
    assert_eq!(shell.ok(&format!("send 1 --data-file {file}")), "256");
    assert_eq!(shell.run("recv 2 -o raw").stdout, bytes);

    let sent = shell.run_with_stdin("send 1 - --hex", b"68 65\n6c6c6f\n");
    assert_eq!(sent.stdout, b"5\n");
    assert_eq!(shell.ok("recv 2"), "hello");
}

#[test]
fn an_abortive_close_is_a_reset_for_the_peer() {
    let shell = Shell::start();
    shell.ok("socket tcp");
    let address = shell.ok("bind 1 127.0.0.1:0");
    shell.ok("listen 1");
    shell.ok("socket tcp");
    shell.ok(&format!("connect 2 {address}"));
    shell.ok("accept 1 --timeout 10s");
    shell.ok("close 2 --abort");
    assert_eq!(
        shell.fails(1, "recv 3 --timeout 10s"),
        "farsock: recv 3: ECONNRESET: Connection reset by peer"
    );
}

#[test]
fn ls_and_info_tell_states_addresses_and_queues() {
    let shell = Shell::start();
    shell.ok("socket tcp");
    let address = shell.ok("bind 1 127.0.0.1:0");
    shell.ok("listen 1 5");
    shell.ok("socket tcp");
    let own = shell.ok(&format!("connect 2 {address}"));
    shell.ok("socket udp6 --nonblocking");

    let table = shell.ok("ls");
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "HANDLE", "TYPE", "STATE", "RECV-Q", "SEND-Q", "LOCAL", "PEER", "OWNER", "SESSION",
            "LEASE", "AGE"
        ]
    );
    assert_eq!(
        lines[1][..7],
        ["1", "tcp", "LISTEN", "1", "5", &address, "-"]
    );
    assert_eq!(
        lines[2][..7],
        ["2", "tcp", "ESTAB", "0", "0", &own, &address]
    );
    assert_eq!(lines[3][1], "udp6");
    assert_eq!(lines.len(), 4);

    shell.ok("send 2 hello");
    let info = shell.json("info 2");
    assert_eq!(info["kind"], "tcp");
    assert_eq!(info["state"], "established");
    assert_eq!(info["peer_address"], address);
    assert_eq!(info["counters"]["bytes_sent"], 5);
    assert_eq!(info["tcp_info"]["state"], "established");
    assert!(
        info["tcp_info"]["rtt"]
            .as_f64()
            .is_some_and(|rtt| rtt < 10.0)
    );
    assert_eq!(shell.json("info 3")["nonblocking"], true);
    assert!(shell.ok("info 2").contains("tcp_info.snd_mss"));
}

#[test]
fn close_all_closes_every_socket_of_ones_own() {
    let shell = Shell::start();
    for kind in ["tcp", "udp", "unix"] {
        shell.ok(&format!("socket {kind}"));
    }
    assert_eq!(shell.ok("ls -o raw").lines().count(), 3);
    assert_eq!(shell.ok("close --all"), "");
    assert_eq!(shell.ok("ls -o raw"), "");
    assert_eq!(shell.ok("close --all"), "");
}
