//! Waits in which time passes at once: the clock goes on whenever nothing else is to be done.

use std::{io::Write as _, net::UdpSocket};

use super::*;
use crate::{
    socket::Socket,
    sys::{
        socket::{Events, poll_one, receive_queue},
        testing::{queue_errors, set_low_water},
    },
};

/// As long as an idle daemon may wait.
const LONG: Duration = Duration::from_secs(3600);

/// Runs `test` with a clock of its own.
fn with_a_clock_of_its_own<F: Future<Output = ()>>(test: impl FnOnce(Context) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let limits = EngineLimits {
            max_handles: 64,
            max_waiting: 64,
            allowed: Allowed::default(),
        };
        test(Context {
            engine: Engine::new(limits).expect("the kernel has descriptors to give"),
            owner: Owner::Embedded,
            session: None,
            request_id: None,
            watch: None,
        })
        .await;
    });
}

/// A TCP connection of the daemon's, and its peer.
async fn connection(context: &Context) -> (Handle, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let handle = tcp(context).await;
    let connect = Connect {
        handle,
        address: Address::Ip(listener.local_addr().expect("it is bound")),
        timeout: None,
    };
    execute(context, connect).await.expect("it listens");
    (handle, listener.accept().expect("it has connected").0)
}

/// Sets SO_RCVLOWAT.
fn wait_for(socket: &Socket, bytes: i32) {
    set_low_water(socket.as_fd(), bytes).expect("it is a stream");
    socket.options_changed();
}

/// Polls `receive` until it waits, and then lets `meanwhile` happen.
async fn during<T>(receive: impl Future<Output = T>, meanwhile: impl FnOnce()) -> T {
    let mut receive = Box::pin(receive);
    std::future::poll_fn(|cx| {
        assert!(receive.as_mut().poll(cx).is_pending(), "it waits");
        std::task::Poll::Ready(())
    })
    .await;
    meanwhile();
    receive.await
}

/// Sends in parts, and waits until all of it has arrived.
fn send_in_parts(peer: &mut TcpStream, socket: &Socket) {
    let before = receive_queue(socket.as_fd()).unwrap_or_default();
    for part in ["ab", "cd"] {
        peer.write_all(part.as_bytes())
            .expect("the connection is open");
    }
    while receive_queue(socket.as_fd()).unwrap_or_default() < before + 4 {
        thread::yield_now();
    }
}

fn recv(handle: Handle, flags: MessageFlags) -> Recv {
    Recv {
        handle,
        length: 64,
        flags,
        timeout: Some(LONG),
    }
}

/// What `receive` receives of "abcd" that comes in parts, which are too little to end its wait.
async fn below_the_low_water_mark<O: Operation>(
    context: &Context,
    receive: impl FnOnce(Handle) -> O,
) -> O::Output {
    let (handle, mut peer) = connection(context).await;
    let socket = context.socket(handle).expect("it is open");
    wait_for(&socket, 1000);
    let receive = execute(context, receive(handle));
    let received = during(receive, || send_in_parts(&mut peer, &socket)).await;
    received.expect("there are bytes")
}

#[test]
fn less_than_the_low_water_mark_is_received_when_the_timeout_is_over() {
    for flags in [
        MessageFlags::NONE,
        MessageFlags::PEEK,
        MessageFlags::WAITALL,
        MessageFlags::PEEK | MessageFlags::WAITALL,
    ] {
        with_a_clock_of_its_own(async |context| {
            let received = below_the_low_water_mark(&context, |handle| recv(handle, flags)).await;
            assert_eq!(received.data, "abcd", "{flags}");
        });
        with_a_clock_of_its_own(async |context| {
            let from = |handle| RecvFrom {
                handle,
                length: 64,
                flags,
                timeout: Some(LONG),
            };
            let received = below_the_low_water_mark(&context, from).await;
            assert_eq!(received.data, "abcd", "{flags}");
        });
        for count in [1, 3] {
            with_a_clock_of_its_own(async |context| {
                let several = |handle| RecvMessages {
                    handle,
                    count,
                    length: 64,
                    control_length: 64,
                    flags: flags | MessageFlags::WAITFORONE,
                    timeout: Some(LONG),
                };
                let received = below_the_low_water_mark(&context, several).await;
                assert_eq!(received[0].data, "abcd", "{flags}");
            });
        }
    }
}

#[test]
fn a_receive_of_which_nothing_came_has_timed_out() {
    with_a_clock_of_its_own(async |context| {
        let (handle, _peer) = connection(&context).await;
        let nothing = execute(&context, recv(handle, MessageFlags::NONE)).await;
        assert!(matches!(nothing, Err(Error::TimedOut(_))), "{nothing:?}");
    });
}

#[test]
fn a_receive_behind_another_takes_what_that_one_waits_on_when_its_own_time_is_over() {
    with_a_clock_of_its_own(async |context| {
        let (handle, mut peer) = connection(&context).await;
        let socket = context.socket(handle).expect("it is open");
        wait_for(&socket, 1000);
        let unlimited = Recv {
            timeout: None,
            ..recv(handle, MessageFlags::NONE)
        };
        let mut first = Box::pin(execute(&context, unlimited));
        std::future::poll_fn(|cx| {
            assert!(first.as_mut().poll(cx).is_pending(), "it waits");
            std::task::Poll::Ready(())
        })
        .await;
        let second = execute(&context, recv(handle, MessageFlags::NONE));
        let received = during(second, || send_in_parts(&mut peer, &socket));
        assert_eq!(received.await.expect("there are bytes").data, "abcd");
    });
}

/// How often the kernel has reported something of the socket.
fn reports(context: &Context, handle: Handle) -> u64 {
    context.socket(handle).expect("it is open").reports()
}

/// A UDP socket with an entry in its error queue, which nobody reads.
async fn with_an_unread_error(context: &Context) -> (Handle, SocketAddr) {
    let create = CreateSocket {
        domain: Domain::Inet,
        kind: SocketType::Dgram,
        protocol: Protocol::Default,
        nonblocking: false,
        options: Vec::new(),
        new_handle: 0,
    };
    let handle = execute(context, create).await.expect("a socket");
    let bind = Bind {
        handle,
        address: Address::Ip((Ipv4Addr::LOCALHOST, 0).into()),
    };
    execute(context, bind).await.expect("a port is chosen");
    let socket = context.socket(handle).expect("it is open");
    queue_errors(socket.as_fd(), false).expect("it is IPv4");
    let deaf = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is chosen");
    let nobody = deaf.local_addr().expect("it is bound");
    drop(deaf);
    let send = SendTo {
        handle,
        data: "anybody?".into(),
        address: Some(Address::Ip(nobody)),
        flags: MessageFlags::NONE,
        timeout: None,
    };
    execute(context, send).await.expect("it is sent");
    let has_error =
        || poll_one(socket.as_fd(), Events::EMPTY).is_ok_and(|ready| ready.contains(Events::ERR));
    while !has_error() {
        thread::yield_now();
    }
    sys::socket::take_error(socket.as_fd()).expect("it is open");
    assert!(has_error(), "the entry stays");
    match sys::socket::local_address(socket.as_fd()) {
        Ok(Some(Address::Ip(address))) => (handle, address),
        other => panic!("{other:?} is no address"),
    }
}

#[test]
fn a_receive_beside_an_unread_error_queue_sleeps_until_something_comes() {
    for select in [false, true] {
        with_a_clock_of_its_own(async |context| {
            let (handle, address) = with_an_unread_error(&context).await;
            let socket = context.socket(handle).expect("it is open");
            if select {
                queue_errors(socket.as_fd(), true).expect("it is IPv4");
            }
            let nothing = execute(&context, recv(handle, MessageFlags::NONE)).await;
            assert!(matches!(nothing, Err(Error::TimedOut(_))), "{nothing:?}");
            let woken = reports(&context, handle);
            assert!(woken <= 4, "woken {woken} times by what was there before");

            // Again and again it wakes for what comes, and for nothing else.
            let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is chosen");
            for round in 0..20 {
                let text = format!("datagram {round}");
                let receive = Recv {
                    timeout: None,
                    ..recv(handle, MessageFlags::NONE)
                };
                let mut receive = Box::pin(execute(&context, receive));
                tokio::select! {
                    biased;
                    early = &mut receive => panic!("nothing was sent: {early:?}"),
                    () = tokio::time::sleep(LONG / 2) => {}
                }
                peer.send_to(text.as_bytes(), address)
                    .expect("there is room");
                let received = receive.await.expect("something came");
                assert_eq!(received.data, text);
            }
            let woken = reports(&context, handle);
            assert!(woken <= 4 + 20 * 6, "woken {woken} times");
        });
    }
}

#[test]
fn a_relay_and_a_peek_sleep_beside_what_does_not_help_them() {
    with_a_clock_of_its_own(async |context| {
        let (handle, _) = with_an_unread_error(&context).await;
        let (other, _) = with_an_unread_error(&context).await;
        let relay = Splice {
            first: handle,
            second: other,
            timeout: Some(LONG),
        };
        let over = execute(&context, relay).await;
        assert!(over.is_err(), "{over:?}");
        for handle in [handle, other] {
            let woken = reports(&context, handle);
            assert!(woken <= 8, "woken {woken} times");
        }
    });
    with_a_clock_of_its_own(async |context| {
        let (handle, mut peer) = connection(&context).await;
        let socket = context.socket(handle).expect("it is open");
        send_in_parts(&mut peer, &socket);
        let peek = recv(handle, MessageFlags::PEEK | MessageFlags::WAITALL);
        let received = execute(&context, peek).await.expect("there are bytes");
        assert_eq!(received.data, "abcd");
        let woken = reports(&context, handle);
        assert!(woken <= 8, "woken {woken} times by what was there before");
    });
}

#[test]
fn who_waits_for_a_state_and_who_waits_for_a_change_do_not_wake_each_other_for_ever() {
    with_a_clock_of_its_own(async |context| {
        let (handle, address) = with_an_unread_error(&context).await;
        let receives: Vec<_> = (0..4)
            .map(|_| Recv {
                timeout: None,
                ..recv(handle, MessageFlags::NONE)
            })
            .map(|receive| execute(&context, receive))
            .collect();
        let mut receives = std::pin::pin!(futures_util::future::join_all(receives));
        tokio::select! {
            biased;
            _ = &mut receives => panic!("nothing was sent"),
            () = tokio::time::sleep(LONG / 2) => {}
        }
        assert!(reports(&context, handle) <= 8);
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is chosen");
        for _ in 0..4 {
            peer.send_to(b"x", address).expect("there is room");
        }
        for received in receives.await {
            assert_eq!(received.expect("each gets one").data, "x");
        }
    });
}
