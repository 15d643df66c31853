//! Connecting: connect(2).

use std::time::Duration;

use farsock_client::Address;
use libc::{POLLOUT, SO_SNDTIMEO};

use crate::{call::Addr, kinds::*, theme::Theme};

pub(crate) fn theme() -> Theme {
    let mut theme = Theme::default();

    theme.each(
        &CONNECTED,
        "connect, send and receive both ways",
        |s, kind| {
            let (near, far) = s.connected(kind);
            s.send(near, "there");
            s.recv(far, 64).gives("there");
            s.send(far, "and back");
            s.recv(near, 64).gives("and back");
        },
    );
    theme.each(&CONNECTED, "nobody listens: ECONNREFUSED", |s, kind| {
        let address = s.deaf(kind);
        let near = s.socket(kind);
        s.connect(near, address).fails("ECONNREFUSED");
        s.error_of(near).gives("[0, 0, 0, 0]");
        s.send(near, "x").either();
        s.peer_name(near).fails("ENOTCONN");
    });
    theme.each(
        &TCP,
        "non-blocking: EINPROGRESS, then poll and SO_ERROR tell ECONNREFUSED",
        |s, kind| {
            let address = s.deaf(kind);
            let near = s.socket(kind.nonblocking());
            s.connect(near, address).fails("EINPROGRESS");
            s.poll_until(&[(near, POLLOUT)]).gives("OUT+ERR+HUP");
            s.error_of(near).gives("[111, 0, 0, 0]");
            s.error_of(near).gives("[0, 0, 0, 0]");
        },
    );
    theme.each(
        &TCP,
        "non-blocking: a second connect tells ECONNREFUSED",
        |s, kind| {
            let address = s.deaf(kind);
            let near = s.socket(kind.nonblocking());
            s.connect(near, address.clone()).fails("EINPROGRESS");
            s.poll_until(&[(near, POLLOUT)]);
            s.connect(near, address.clone()).fails("ECONNREFUSED");
            // And a third begins anew.
            s.connect(near, address).fails("EINPROGRESS");
        },
    );
    theme.each(
        &TCP,
        "non-blocking: EINPROGRESS, then connected",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind.nonblocking());
            s.connect(near, listener).fails("EINPROGRESS");
            s.poll_until(&[(near, POLLOUT)]).gives("OUT");
            s.error_of(near).gives("[0, 0, 0, 0]");
            s.connect(near, listener);
            s.connect(near, listener).fails("EISCONN");
            let far = s.accept(listener);
            s.send(near, "x");
            s.recv(far, 16).gives("x");
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "non-blocking: connected at once",
        |s, kind| {
            let listener = s.listener(kind);
            let near = s.socket(kind.nonblocking());
            s.connect(near, listener);
            s.connect(near, listener).fails("EISCONN");
        },
    );
    theme.each(&CONNECTED, "connecting twice is EISCONN", |s, kind| {
        let listener = s.listener(kind);
        let near = s.socket(kind);
        s.connect(near, listener);
        s.connect(near, listener).fails("EISCONN");
    });
    theme.each(
        &CONNECTED,
        "a listening socket does not connect",
        |s, kind| {
            let listener = s.listener(kind);
            let other = s.listener(kind);
            // TCP: EISCONN; unix: EINVAL.
            s.connect(listener, other).either();
            s.info(other).either();
        },
    );
    theme.each(&TCP, "a refused socket can be used again", |s, kind| {
        let near = s.socket(kind);
        let address = s.deaf(kind);
        s.connect(near, address).fails("ECONNREFUSED");
        let listener = s.listener(kind);
        s.connect(near, listener);
        s.accept(listener);
    });
    theme.each(&TCP, "AF_UNSPEC resets a connection", |s, kind| {
        let (near, far) = s.connected(kind);
        s.connect(near, Address::Unspecified);
        s.peer_name(near).fails("ENOTCONN");
        s.recv(far, 16).fails("ECONNRESET");
        s.recv(far, 16).gives("end");
    });
    theme.each(
        &TCP,
        "AF_UNSPEC ends a connect that is under way",
        |s, kind| {
            let (listener, _full) = full_backlog(s, kind);
            let late = s.socket(kind.nonblocking());
            s.connect(late, listener).fails("EINPROGRESS");
            s.connect(late, listener).fails("EALREADY");
            s.connect(late, Address::Unspecified);
            s.poll(&[(late, POLLOUT)]).either();
        },
    );
    theme.each(&TCP, "a connection with oneself", |s, kind| {
        let socket = s.bound(kind);
        s.connect(socket, socket);
        s.peer_name(socket);
        s.send(socket, "echo");
        s.recv(socket, 16).gives("echo");
    });
    theme.each(
        &[("tcp4", TCP4)],
        "a full backlog keeps a connect waiting",
        |s, kind| {
            let (listener, waiting) = full_backlog(s, kind);
            let late = s.socket(kind);
            let begun = s.connect(late, listener).either().starts();
            s.waits(begun);
            let hurried = s.socket(kind);
            s.time_limit(hurried, SO_SNDTIMEO, Duration::from_millis(30));
            s.connect(hurried, listener).fails("EINPROGRESS");
            s.connect(hurried, listener).fails("EALREADY");
            s.close(hurried);
            for _ in &waiting {
                s.accept(listener);
            }
            // The SYN is sent again after a second: there is room by now.
            s.accept(listener);
            s.finish(begun);
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a full backlog keeps a connect waiting until an accept makes room",
        |s, kind| {
            let (listener, _waiting) = full_backlog(s, kind);
            let late = s.bound(kind);
            let begun = s.connect(late, listener).starts();
            s.waits(begun);
            s.accept(listener);
            s.finish(begun);
            s.accept(listener);
            let far = s.accept(listener);
            s.send(late, "at last").either();
            s.peer_name(far).either();
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a full backlog is EAGAIN for a non-blocking connect",
        |s, kind| {
            let (listener, _waiting) = full_backlog(s, kind);
            let late = s.socket(kind.nonblocking());
            s.connect(late, listener).fails("EAGAIN");
            s.poll(&[(late, POLLOUT)]);
            s.accept(listener);
            s.connect(late, listener);
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a full backlog is EAGAIN at the end of SO_SNDTIMEO",
        |s, kind| {
            let (listener, _waiting) = full_backlog(s, kind);
            let late = s.socket(kind);
            s.time_limit(late, SO_SNDTIMEO, Duration::from_millis(20));
            s.connect(late, listener).fails("EAGAIN");
        },
    );
    theme.each(
        &[
            ("unix stream", UNIX_STREAM),
            ("unix seqpacket", UNIX_SEQPACKET),
        ],
        "a connect that waits is refused when the listener closes",
        |s, kind| {
            let (listener, _waiting) = full_backlog(s, kind);
            let late = s.socket(kind);
            let begun = s.connect(late, listener).fails("ECONNREFUSED").starts();
            s.waits(begun);
            s.close(listener);
            s.finish(begun);
        },
    );
    theme.each(&TCP, "a listener that shuts down is refused", |s, kind| {
        let listener = s.listener(kind);
        s.shutdown(listener, libc::SHUT_RD);
        let near = s.socket(kind);
        s.connect(near, listener).fails("ECONNREFUSED");
    });

    // unix(7).
    theme.case("unix: a path that is not there is ENOENT", |s| {
        let near = s.socket(UNIX_STREAM);
        s.connect(near, Addr::Path("nobody".to_owned()))
            .fails("ENOENT");
        let datagram = s.socket(UNIX_DGRAM);
        s.connect(datagram, Addr::Path("nobody".to_owned()))
            .fails("ENOENT");
    });
    theme.case(
        "unix: an abstract name that nobody has is ECONNREFUSED",
        |s| {
            let near = s.socket(UNIX_STREAM);
            s.connect(near, Addr::Abstract("nobody".to_owned()))
                .fails("ECONNREFUSED");
        },
    );
    theme.case("unix: a socket of another type is EPROTOTYPE", |s| {
        let listener = s.listener(UNIX_STREAM);
        let seqpacket = s.socket(UNIX_SEQPACKET);
        s.connect(seqpacket, listener).fails("EPROTOTYPE");
        let datagram = s.socket(UNIX_DGRAM);
        s.connect(datagram, listener).fails("EPROTOTYPE");
    });
    theme.case("unix: a path whose socket is closed is ECONNREFUSED", |s| {
        let listener = s.listener(UNIX_STREAM);
        s.sock_name(listener);
        let near = s.socket(UNIX_STREAM);
        s.connect(near, listener);
        s.close(listener);
        let late = s.socket(UNIX_STREAM);
        s.connect(late, listener).fails("ECONNREFUSED");
    });
    theme.case("unix: AF_UNSPEC does not end a stream", |s| {
        let (near, _far) = s.connected(UNIX_STREAM);
        s.connect(near, Address::Unspecified).either();
        s.send(near, "still here");
    });

    theme.each(
        &TCP,
        "AF_UNSPEC ends a receive that waits in EPIPE, and leaves ECONNRESET",
        |s, kind| {
            let (near, _far) = s.connected(kind);
            let begun = s.recv(near, 16).fails("EPIPE").starts();
            s.waits(begun);
            s.connect(near, Address::Unspecified);
            s.finish(begun);
            s.poll(&[(near, 0)]).gives("ERR");
            s.error_of(near);
        },
    );
    theme.each(
        &TCP,
        "AF_UNSPEC ends an accept that waits in EINVAL",
        |s, kind| {
            let listener = s.listener(kind);
            let begun = s.try_accept(listener).fails("EINVAL").starts();
            s.waits(begun);
            s.connect(listener, Address::Unspecified);
            s.finish(begun);
        },
    );
    theme
}

/// A listener whose queue is full, and the sockets that fill it: a backlog of n has room for n + 1.
pub(super) fn full_backlog(
    s: &mut crate::script::Script,
    kind: crate::call::Kind,
) -> (crate::call::Slot, Vec<crate::call::Slot>) {
    let listener = s.bound(kind);
    s.listen(listener, 1);
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let near = s.socket(kind);
            s.connect(near, listener);
            near
        })
        .collect();
    if kind.domain != libc::AF_UNIX {
        s.until_queued(listener, waiting.len() as u64);
    }
    (listener, waiting)
}
