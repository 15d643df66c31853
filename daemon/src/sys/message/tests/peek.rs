//! SO_PEEK_OFF: what the kernel writes is not what it returns, and what a receive returns moves the offset.

use super::*;
use crate::sys::socket::{kind, peek_offset, set_peek_offset};

/// A sender and a receiver for each kind of socket that has SO_PEEK_OFF and keeps the bounds of messages.
fn messengers() -> io::Result<Vec<(OwnedFd, OwnedFd)>> {
    let mut all = Vec::new();
    for (loopback, protocol) in [
        ("127.0.0.1:0", Protocol::Default),
        ("[::1]:0", Protocol::Default),
        ("127.0.0.1:0", Protocol::Udplite),
        ("[::1]:0", Protocol::Udplite),
    ] {
        let domain = match loopback.starts_with('[') {
            true => Domain::Inet6,
            false => Domain::Inet,
        };
        // Not every kernel has UDP-Lite.
        let Ok(near) = create(domain, SocketType::Dgram, protocol) else {
            continue;
        };
        let far = create(domain, SocketType::Dgram, protocol)?;
        bind(far.as_fd(), &ip(loopback))?;
        let address = local_address(far.as_fd())?.expect("a bound socket has an address");
        connect(near.as_fd(), &address)?;
        all.push((near, far));
    }
    for kind in [SocketType::Dgram, SocketType::Seqpacket] {
        all.push(pair(Domain::Unix, kind, Protocol::Default)?);
    }
    Ok(all)
}

/// Fills this thread's scratch with what another owner receives.
fn receive_a_secret() -> io::Result<()> {
    let (near, far) = pair(Domain::Unix, SocketType::Dgram, Protocol::Default)?;
    send(near.as_fd(), &[b'S'; 512], NONE, None)?;
    for flags in [MessageFlags::PEEK, NONE] {
        let received = receive(Inbound::of(&far)?, 512, flags, false)?;
        assert_eq!(received.data, vec![b'S'; 512]);
    }
    Ok(())
}

#[test]
fn a_receive_gives_what_the_kernel_wrote_and_moves_the_offset_as_recv_does() -> io::Result<()> {
    let flags = [
        NONE,
        MessageFlags::PEEK,
        MessageFlags::TRUNC,
        MessageFlags::PEEK | MessageFlags::TRUNC,
        MessageFlags::from_raw((libc::MSG_PEEK | libc::MSG_TRUNC).cast_unsigned()),
    ];
    // The kernel passes over an empty message that was peeked at, so it must not be peeked at twice.
    let queues: [&[&[u8]]; 3] = [&[b"abcd", b"ef"], &[b"", b"abcd"], &[b"ab", b"", b"cd"]];
    for ((near, far), messages) in messengers()?
        .iter()
        .flat_map(|sockets| queues.map(|messages| (sockets, messages)))
    {
        for (offset, flags, length) in (0..6)
            .flat_map(|offset| flags.map(|flags| (offset, flags)))
            .flat_map(|(offset, flags)| [0, 1, 2, 4, 64].map(|length| (offset, flags, length)))
        {
            let queue = || -> io::Result<()> {
                set_peek_offset(far.as_fd(), -1)?;
                while receive(Inbound::of(far)?, 64, NONE, false).is_ok() {}
                for message in messages {
                    send(near.as_fd(), message, NONE, None)?;
                }
                wait(far, Events::IN)?;
                set_peek_offset(far.as_fd(), offset)
            };

            queue()?;
            let mut room = [b'.'; 64];
            // SAFETY: `room` is writable for `length` bytes, of which there are 64 at most.
            let returned = unsafe {
                libc::recv(
                    std::os::fd::AsRawFd::as_raw_fd(far),
                    room.as_mut_ptr().cast(),
                    length,
                    kernel_flags(flags) | libc::MSG_DONTWAIT,
                )
            };
            let written = room.iter().take_while(|byte| **byte != b'.').count();
            let expected = (
                usize::try_from(returned).ok(),
                room[..written].to_vec(),
                peek_offset(far.as_fd())?,
            );

            queue()?;
            receive_a_secret()?;
            let received = receive(Inbound::of(far)?, length, flags, true);
            let full_length = received.as_ref().ok().map(|received| received.full_length);
            let data = received.map(|received| received.data).unwrap_or_default();
            let actual = (full_length, data.to_vec(), peek_offset(far.as_fd())?);
            let kind = kind(far.as_fd())?;
            assert_eq!(
                actual, expected,
                "{kind:?}, SO_PEEK_OFF {offset}, {flags}, {length} bytes, {messages:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn an_offset_that_was_not_seen_lets_out_nothing_of_another_receive() -> io::Result<()> {
    for (near, far) in messengers()? {
        send(near.as_fd(), b"abcd", NONE, None)?;
        wait(&far, Events::IN)?;
        receive_a_secret()?;
        // As if it were set between the look and the call.
        let mode = mode::Mode::new(Inbound::of(&far)?, MessageFlags::PEEK);
        set_peek_offset(far.as_fd(), 2)?;
        let received = receive::peek_with(Inbound::of(&far)?, 64, mode)?;
        assert_eq!(&received.data[..2], b"cd");
        assert!(!received.data.contains(&b'S'), "{:?}", received.data);
    }
    Ok(())
}

#[test]
fn several_messages_are_peeked_at_one_after_the_other() -> io::Result<()> {
    for flags in [MessageFlags::PEEK, MessageFlags::PEEK | MessageFlags::TRUNC] {
        for (near, far) in messengers()? {
            for data in [&b"abcd"[..], b"ef", b"ghi"] {
                send(near.as_fd(), data, NONE, None)?;
            }
            wait(&far, Events::IN)?;
            set_peek_offset(far.as_fd(), 0)?;
            receive_a_secret()?;
            let received = receive_messages(Inbound::of(&far)?, 8, 64, 0, flags)?;
            let data: Vec<_> = received.messages.iter().map(|one| &one.data[..]).collect();
            assert_eq!(data, [&b"abcd"[..], b"ef", b"ghi"]);
            assert_eq!(peek_offset(far.as_fd())?, 9);
        }
    }
    Ok(())
}
