//! `buf curl`, over the gRPC protocol with reflection.

use std::process::{Command, Output};

use crate::{
    daemon::Daemon,
    tools::{find, runs},
};

#[test]
fn buf_curl_over_tcp_gets_answers_and_readable_errors() {
    let daemon = Daemon::start();
    client(&[], &format!("http://{}", daemon.address()));
}

#[test]
fn buf_curl_over_a_unix_socket_gets_answers_and_readable_errors() {
    let daemon = Daemon::start();
    let socket = daemon.socket().display().to_string();
    client(&["--unix-socket", &socket], "http://localhost");
}

fn client(options: &[&str], url: &str) {
    let Some(buf) = find("buf", runs(&["--version"])) else {
        return;
    };
    let call = |verb: &str, request: &str| -> Output {
        Command::new(&buf)
            .args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"])
            .args(options)
            .args(["-d", request])
            .arg(format!("{url}/farsock.v1.SocketService/{verb}"))
            .output()
            .expect("it was found")
    };
    let answer = |verb, request| {
        let output = call(verb, request);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{verb} {request}: {error}");
        packed(&output.stdout)
    };

    let kind = r#"{"domain": "DOMAIN_UNIX", "type": "SOCKET_TYPE_DGRAM"}"#;
    assert_eq!(
        answer("CreateSocketPair", kind),
        r#"{"first":"1","second":"2"}"#
    );
    assert_eq!(
        answer("Send", r#"{"handle": 1, "text": "over a pair"}"#),
        r#"{"bytesSent":"11"}"#
    );
    assert_eq!(
        answer("Recv", r#"{"handle": 2, "asText": true}"#),
        r#"{"text":"overapair","fullLength":"11"}"#
    );

    let output = call("Listen", r#"{"handle": 1}"#);
    assert!(!output.status.success());
    let error = packed(&output.stderr);
    assert!(error.contains(r#""code":"invalid_argument""#), "{error}");
    assert!(error.contains("Operationnotsupported"), "{error}");
    assert!(error.contains("google.rpc.ErrorInfo"), "{error}");
}

/// Without blanks: the printers of JSON differ in them from one version to the next.
fn packed(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.split_whitespace().collect()
}
