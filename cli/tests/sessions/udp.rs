//! UDP: datagrams, their senders, truncation, and control messages.

use crate::shell::Shell;

/// Two bound sockets, handles 1 and 2, and their addresses.
fn two(shell: &Shell) -> (String, String) {
    shell.ok("socket udp");
    shell.ok("socket udp");
    (
        shell.ok("bind 1 127.0.0.1:0"),
        shell.ok("bind 2 127.0.0.1:0"),
    )
}

#[test]
fn a_datagram_arrives_with_its_senders_address() {
    let shell = Shell::start();
    let (one, two) = two(&shell);
    assert_eq!(shell.ok(&format!("sendto 1 {two} ping")), "4");
    assert_eq!(shell.ok("recvfrom 2 --timeout 10s"), format!("{one} ping"));
    shell.ok(&format!("sendto 2 {one} ''"));
    let received = shell.json("recvfrom 1 --timeout 10s");
    let expected = serde_json::json!({
        "text": "", "length": 0, "full_length": 0, "end_of_stream": false, "flags": [],
        "address": two,
    });
    assert_eq!(received, expected);
}

#[test]
fn a_truncated_datagram_is_told_on_stderr_and_in_json() {
    let shell = Shell::start();
    let (_, two) = two(&shell);
    shell.ok(&format!("sendto 1 {two} 0123456789"));
    let cut = shell.run("recv 2 -n 4 --timeout 10s");
    assert_eq!(cut.stdout, b"0123\n");
    assert_eq!(cut.stderr, b"farsock: truncated: 4 of 10 bytes\n");
    shell.ok(&format!("sendto 1 {two} --hex ff00"));
    let received = shell.json("recv 2 -n 1 --timeout 10s");
    assert_eq!(received["data"], "/w==");
    assert_eq!(received["full_length"], 2);
    assert_eq!(received["flags"], serde_json::json!(["MSG_TRUNC"]));
}

#[test]
fn a_refused_datagram_is_told_to_a_connected_socket() {
    let shell = Shell::start();
    let (_, two) = two(&shell);
    shell.ok(&format!("connect 1 {two}"));
    shell.ok("close 2");
    shell.ok("send 1 hello");
    assert_eq!(
        shell.fails(1, "recv 1 --timeout 10s"),
        "farsock: recv 1: ECONNREFUSED: Connection refused"
    );
    shell.ok("connect 1 unspecified");
    assert!(shell.fails(1, "getpeername 1").contains("ENOTCONN"));
}

#[test]
fn control_messages_travel_with_a_message() {
    let shell = Shell::start();
    let (one, two) = two(&shell);
    shell.ok("opt set 2 IP_RECVTTL on");
    shell.ok("opt set 2 IP_PKTINFO on");
    let sent = format!("sendmsg 1 --to {two} hello --ttl 7 --source 127.0.0.1");
    assert_eq!(shell.ok(&sent), "5");
    let received = shell.json("recvmsg 2 --timeout 10s");
    assert_eq!(received["text"], "hello");
    assert_eq!(received["address"], one);
    let control = received["control"].as_array().unwrap();
    assert!(control.contains(&serde_json::json!({ "ttl": 7 })));
    assert!(
        control
            .iter()
            .any(|message| message["ipv4_packet_info"]["destination"] == "127.0.0.1")
    );
    shell.ok(&sent);
    let table = shell.ok("recvmsg 2 --timeout 10s");
    assert!(table.starts_with(&format!("{one} hello\n")), "{table}");
    assert!(table.lines().any(|line| line == "ttl  7"), "{table}");
}
