//! Unix sockets: paths, abstract names, pairs, and sockets in messages.

use crate::shell::Shell;

#[test]
fn a_stream_by_path_and_a_name_the_kernel_chose() {
    let shell = Shell::start();
    let path = format!("unix:{}/stream", shell.directory().display());
    shell.ok("socket unix");
    assert_eq!(shell.ok(&format!("bind 1 {path}")), path);
    shell.ok("listen 1");
    shell.ok("socket unix");
    assert_eq!(shell.ok(&format!("connect 2 {path}")), "unix:");
    assert_eq!(shell.ok("accept 1 --timeout 10s"), "3 unix:");
    shell.ok("send 2 hello");
    assert_eq!(shell.ok("recv 3 --timeout 10s"), "hello");

    shell.ok("socket unix-dgram");
    let name = shell.ok("bind 4 unix:");
    assert!(name.starts_with("unix-abstract:"), "{name}");
    shell.ok("socket unix-dgram");
    shell.ok(&format!("sendto 5 {name} hi"));
    // An unbound sender: the kernel tells no address.
    let received = shell.ok("recvfrom 4 --timeout 10s");
    assert!(received.ends_with(" hi"), "{received}");
}

#[test]
fn messages_of_a_pair_stay_apart() {
    let shell = Shell::start();
    assert_eq!(shell.ok("pair unix-seqpacket"), "1 2");
    assert_eq!(shell.ok("pair unix-seqpacket -o raw"), "3\t4");
    shell.ok("send 1 first");
    shell.ok("send 1 second");
    assert_eq!(shell.ok("recv 2"), "first");
    assert_eq!(shell.ok("recv 2"), "second");
}

#[test]
fn a_socket_travels_in_a_message_and_is_a_new_handle() {
    let shell = Shell::start();
    shell.ok("pair unix");
    shell.ok("pair unix");
    shell.ok("sendmsg 1 'a socket' --rights 3");
    let received = shell.json("recvmsg 2");
    assert_eq!(received["text"], "a socket");
    assert_eq!(
        received["control"][0]["rights"]["handles"],
        serde_json::json!([5])
    );
    shell.ok("send 5 'through the copy'");
    assert_eq!(shell.ok("recv 4"), "through the copy");
}
