//! Handles that do not exist: never given out, closed, or no handle at all.

use farsock_proto::v1::{
    AcceptRequest, Address, BindRequest, CloseRequest, ConnectRequest, ControlMessage,
    GetOptionRequest, GetPeerNameRequest, GetSocketNameRequest, GetSocketRequest, ListenRequest,
    OptionValue, OutgoingMessage, PollEntry, PollRequest, RecvFromRequest, RecvMessagesRequest,
    RecvRequest, Rights, SendMessagesRequest, SendRequest, SendToRequest, SetOptionRequest,
    ShutdownRequest, SocketOption, SpliceRequest, address::Form, control_message::Content,
    get_option_request, option_value, set_option_request,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{embedded, udp};

/// The daemon has no such handle, and says so.
fn assert_not_found<T: std::fmt::Debug>(outcome: Result<T, Status>, handle: u64, verb: &str) {
    let status = outcome.expect_err(verb);
    assert_eq!(status.code(), Code::NotFound, "{verb}: {status:?}");
    let info = status.get_details_error_info().expect("an error has one");
    assert_eq!(info.reason, "HANDLE_NOT_FOUND", "{verb}");
    assert_eq!(info.domain, "farsock", "{verb}");
    assert!(
        status.message().contains(&handle.to_string()),
        "{verb}: {}",
        status.message()
    );
}

macro_rules! not_found {
    ($client:expr, $handle:expr; $($verb:ident($request:expr);)*) => {
        $(assert_not_found($client.$verb($request).await, $handle, stringify!($verb));)*
    };
}

#[tokio::test]
async fn no_verb_finds_a_handle_that_does_not_exist() {
    let (_daemon, mut client) = embedded().await;
    let open = udp(&mut client).await;
    let closed = udp(&mut client).await;
    client
        .close(CloseRequest {
            handle: closed,
            abort: false,
        })
        .await
        .expect("it is open");

    for handle in [
        0,
        closed,
        closed + 1,
        1 << 32,
        i64::MAX as u64 + 1,
        u64::MAX,
    ] {
        let address = Some(Address {
            form: Some(Form::Text("127.0.0.1:9".to_owned())),
        });
        let option = SocketOption::SoKeepalive.into();
        let value = Some(OptionValue {
            value: Some(option_value::Value::Flag(true)),
        });
        let messages = vec![OutgoingMessage::default()];
        not_found! { client, handle;
            bind(BindRequest { handle, address: address.clone() });
            listen(ListenRequest { handle, backlog: None });
            accept(AcceptRequest { handle, ..Default::default() });
            connect(ConnectRequest { handle, address: address.clone(), timeout: None });
            send(SendRequest { handle, ..Default::default() });
            send_to(SendToRequest { handle, address, ..Default::default() });
            send_messages(SendMessagesRequest { handle, messages, ..Default::default() });
            recv(RecvRequest { handle, ..Default::default() });
            recv_from(RecvFromRequest { handle, ..Default::default() });
            recv_messages(RecvMessagesRequest { handle, ..Default::default() });
            shutdown(ShutdownRequest { handle, how: 3 });
            close(CloseRequest { handle, abort: false });
            close(CloseRequest { handle, abort: true });
            get_socket_name(GetSocketNameRequest { handle });
            get_peer_name(GetPeerNameRequest { handle });
            set_option(SetOptionRequest {
                handle,
                name: Some(set_option_request::Name::Option(option)),
                value,
            });
            get_option(GetOptionRequest {
                handle,
                name: Some(get_option_request::Name::Option(option)),
                length: None,
            });
            get_socket(GetSocketRequest { handle });
            splice(SpliceRequest { first: handle, second: open, timeout: None });
            splice(SpliceRequest { first: open, second: handle, timeout: None });
            // Among the sockets that would travel.
            send_messages(SendMessagesRequest {
                handle: open,
                messages: vec![OutgoingMessage {
                    control: vec![ControlMessage {
                        content: Some(Content::Rights(Rights {
                            handles: vec![open, handle],
                            discarded: 0,
                        })),
                    }],
                    ..Default::default()
                }],
                ..Default::default()
            });
        }
        // poll(2) has an answer of its own.
        let entries = vec![PollEntry {
            handle,
            events: vec![1],
        }];
        let ready = client
            .poll(PollRequest {
                entries,
                timeout: None,
            })
            .await;
        let ready = ready.expect("NVAL does not wait").into_inner().ready;
        assert_eq!(ready[0].events, [6]);
    }
}

#[tokio::test]
async fn a_handle_is_never_given_out_again() {
    let (_daemon, mut client) = embedded().await;
    let mut last = 0;
    for _ in 0..100 {
        let handle = udp(&mut client).await;
        assert!(handle > last);
        last = handle;
        client
            .close(CloseRequest {
                handle,
                abort: false,
            })
            .await
            .expect("it is open");
    }
}
