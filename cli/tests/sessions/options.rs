//! Socket options, by name and by number.

use crate::shell::Shell;

#[test]
fn what_is_set_is_read_back_in_the_form_that_is_set() {
    let shell = Shell::start();
    shell.ok("socket tcp -O SO_REUSEADDR=on -O so_keepalive=on");
    for (name, value) in [
        ("SO_REUSEADDR", "on"),
        ("SO_KEEPALIVE", "on"),
        ("SO_LINGER", "off"),
    ] {
        assert_eq!(shell.ok(&format!("opt get 1 {name}")), value, "{name}");
    }
    for (name, value) in [
        ("SO_LINGER", "3s"),
        ("SO_RCVTIMEO", "2.5s"),
        ("TCP_NODELAY", "on"),
        ("IP_TTL", "9"),
    ] {
        assert_eq!(shell.ok(&format!("opt set 1 {name} {value}")), "");
        assert_eq!(shell.ok(&format!("opt get 1 {name}")), value, "{name}");
    }
    let json = shell.json("opt get 1 SO_RCVTIMEO");
    let expected = serde_json::json!({ "option": "SO_RCVTIMEO", "value": 2.5 });
    assert_eq!(json, expected);
    assert_eq!(shell.json("opt get 1 TCP_NODELAY")["value"], true);
    // Options of the command may follow the value.
    assert_eq!(shell.ok("opt set 1 TCP_NODELAY off -o json"), "{}");
    assert_eq!(shell.json("opt get 1 TCP_INFO")["value"]["state"], "close");
}

#[test]
fn an_option_by_number_takes_numbers_and_bytes_and_gives_bytes() {
    let shell = Shell::start();
    shell.ok("socket tcp");
    // SOL_SOCKET, SO_KEEPALIVE.
    shell.ok("opt set 1 1:9 1");
    assert_eq!(shell.ok("opt get 1 SO_KEEPALIVE"), "on");
    let zero = "00".repeat(4);
    shell.ok(&format!("opt set 1 1:9 0x{zero}"));
    assert_eq!(shell.ok("opt get 1 1:9"), format!("0x{zero}"));
}

#[test]
fn an_option_that_fails_leaves_no_socket() {
    let shell = Shell::start();
    let stderr = shell.fails(4, "socket tcp -O SO_REUSEADDR=on -O SO_RCVBUF=lots");
    assert!(
        stderr.starts_with("farsock: socket tcp: INVALID_REQUEST: "),
        "{stderr}"
    );
    // A multicast group on a stream socket is the kernel's to refuse.
    let stderr = shell.fails(1, "socket tcp -O IP_ADD_MEMBERSHIP=239.1.2.3");
    assert!(stderr.starts_with("farsock: socket tcp: E"), "{stderr}");
    assert_eq!(shell.ok("ls -o raw"), "");
}

#[test]
fn the_list_names_level_kind_access_and_whether_it_works_here() {
    let shell = Shell::start();
    let list = shell.ok("opt list -o raw");
    assert!(list.lines().count() >= 100, "{list}");
    let reuse = list.lines().find(|line| line.starts_with("SO_REUSEADDR\t"));
    assert_eq!(reuse, Some("SO_REUSEADDR\tSOL_SOCKET\tflag\tget,set\tyes"));
    let some = shell.ok("opt list membership -o raw");
    assert!(
        some.lines().all(|line| line.contains("MEMBERSHIP")),
        "{some}"
    );
    assert!(!some.is_empty());
}

#[test]
fn path_mtu_discovery_is_set_by_the_names_of_ip_7() {
    let shell = Shell::start();
    shell.ok("socket udp");
    for (name, number) in [
        ("dont", "0"),
        ("want", "1"),
        ("DO", "2"),
        ("IP_PMTUDISC_PROBE", "3"),
        ("4", "4"),
        ("omit", "5"),
    ] {
        shell.ok(&format!("opt set 1 IP_MTU_DISCOVER {name}"));
        assert_eq!(shell.ok("opt get 1 IP_MTU_DISCOVER"), number, "{name}");
    }
    let stderr = shell.fails(4, "opt set 1 IP_MTU_DISCOVER always");
    assert!(
        stderr.contains("dont (0), want (1), do (2), probe (3), interface (4), omit (5)"),
        "{stderr}"
    );
}

#[test]
fn sendmsg_takes_an_interface_by_name_and_numbers_in_hexadecimal() {
    let shell = Shell::start();
    shell.ok("socket udp");
    shell.ok("socket udp -O IP_PKTINFO=on -O IP_RECVTOS=on");
    let to = shell.ok("bind 2 127.0.0.1:0");
    let line = format!("sendmsg 1 --to {to} x --source 127.0.0.1 --tos 0xb8 --interface");
    assert_eq!(shell.ok(&format!("{line} lo")), "1");
    let received = shell.json("recvmsg 2").to_string();
    assert!(received.contains("184"), "{received}");
    let stderr = shell.fails(1, &format!("{line} nonsense0"));
    assert!(
        stderr.contains("there is no interface \"nonsense0\" on the daemon's host"),
        "{stderr}"
    );
}
