//! Being the far end: does what it is asked, one after the other.
//!
//! Threads: the one that answers, one that writes a flood or that of many sources, and those that connect; they end with the process, which ends when its
//! standard input does.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
};

use super::{Answer, Ask, Lines, accepting, datagrams, streams};
use crate::{Failure, process::LISTENING};

/// Is the far end: tells where it listens as the daemon does, and ends when standard input does.
///
/// # Errors
/// It cannot listen.
pub(crate) fn serve() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let line = serde_json::json!({"message": format!("{LISTENING}{}", listener.local_addr()?)});
    writeln!(io::stderr(), "{line}")?;
    std::thread::spawn(move || {
        // Whoever started it sees that it is gone.
        if let Ok((control, _)) = listener.accept() {
            let _ = answer(control);
        }
    });
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Answers until the connection's end.
pub(super) fn answer(control: TcpStream) -> Result<(), Failure> {
    let mut control = Lines::new(control)?;
    // It is waited for as long as other things are measured.
    control.0.get_ref().set_read_timeout(None)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut far_end = streams::Streams::new(listener);
    while let Some(ask) = control.read()? {
        let answer = match ask {
            Ask::Address => far_end.address(),
            Ask::Sink => far_end.sink(),
            Ask::Source(bytes) => far_end.source(bytes),
            Ask::Flood(length) => far_end.flood(length),
            Ask::Sources(count) => far_end.sources(count),
            Ask::Flooded => Ok(far_end.flooded()),
            Ask::Datagrams(ask) => datagrams::send(&ask, &mut control),
            Ask::Connections(ask) => accepting::connect(&ask),
        };
        control.write(&answer.unwrap_or_else(|error| Answer::Failed(error.to_string())))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        mem,
        net::{Shutdown, UdpSocket},
        thread,
        time::Duration,
    };

    use super::*;
    use crate::{
        far_end::{Connections, Datagrams, FarEnd},
        pattern::{Pattern, Tally},
        sink,
    };

    #[test]
    fn a_sink_tells_what_has_arrived_and_keeps_the_connection_open() {
        let mut far_end = FarEnd::in_this_process();
        let pattern = Pattern::new();
        for bytes in [0, 5_000_000] {
            far_end.ask(&Ask::Sink).unwrap();
            let mut data = TcpStream::connect(far_end.address()).unwrap();
            for chunk in pattern.chunks(bytes) {
                data.write_all(&chunk).unwrap();
            }
            data.shutdown(Shutdown::Write).unwrap();
            assert_eq!(far_end.arrived().unwrap(), pattern.expected(bytes));
            data.set_nonblocking(true).unwrap();
            let further = data.read(&mut [0]).unwrap_err();
            assert_eq!(further.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_source_sends_the_pattern_and_ends() {
        let mut far_end = FarEnd::in_this_process();
        far_end.ask(&Ask::Source(3_000_001)).unwrap();
        let mut data = TcpStream::connect(far_end.address()).unwrap();
        let mut received = Vec::new();
        data.read_to_end(&mut received).unwrap();
        drop(data);
        far_end.done().unwrap();
        let mut tally = Tally::default();
        tally.add(&received);
        assert_eq!(tally.arrived(), Pattern::new().expected(3_000_001));
    }

    #[test]
    fn a_flood_comes_to_rest_when_nobody_reads() {
        let mut far_end = FarEnd::in_this_process();
        far_end.ask(&Ask::Flood(60_000)).unwrap();
        let _data = TcpStream::connect(far_end.address()).unwrap();
        far_end.done().unwrap();
        let mut before = 0;
        let resting = (0..1_000).any(|_| {
            thread::sleep(Duration::from_millis(20));
            let bytes = far_end.flooded().unwrap();
            mem::replace(&mut before, bytes) == bytes && bytes > 0
        });
        assert!(resting);
    }

    #[test]
    fn sources_write_to_each_connection_as_it_is_read() {
        let mut far_end = FarEnd::in_this_process();
        far_end.ask(&Ask::Sources(3)).unwrap();
        let mut connections = [(); 3].map(|()| TcpStream::connect(far_end.address()).unwrap());
        far_end.done().unwrap();
        let mut data = vec![0; 1 << 20];
        for connection in &mut connections {
            connection.read_exact(&mut data).unwrap();
            assert!(data.iter().all(|byte| *byte == 0xf1));
        }
        assert!(far_end.flooded().unwrap() >= 3 << 20);
    }

    #[test]
    fn datagrams_are_sent_as_far_as_the_window_allows() {
        let mut far_end = FarEnd::in_this_process();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let (count, window) = (1_000, 100);
        far_end
            .ask(&Ask::Datagrams(Datagrams { to, count, window }))
            .unwrap();
        let mut buffer = [0; 100];
        for number in 0..count {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..length], sink::datagram(number));
            if number + 1 == window {
                socket.set_nonblocking(true).unwrap();
                assert!(socket.recv(&mut buffer).is_err());
                socket.set_nonblocking(false).unwrap();
            }
            if (number + 1).is_multiple_of(50) && number + 1 >= window {
                far_end.received(number + 1).unwrap();
            }
        }
        far_end.done().unwrap();
    }

    #[test]
    fn so_many_connections_are_made_and_each_is_seen_to_its_end() {
        let mut far_end = FarEnd::in_this_process();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let (count, in_flight) = (20, 3);
        let ask = Connections {
            to,
            count,
            in_flight,
        };
        far_end.ask(&Ask::Connections(ask)).unwrap();
        for _ in 0..count {
            listener.accept().unwrap();
        }
        far_end.done().unwrap();

        drop(listener);
        let ask = Connections {
            to,
            count,
            in_flight,
        };
        far_end.ask(&Ask::Connections(ask)).unwrap();
        let refused = far_end.answer().unwrap_err().to_string();
        assert!(refused.contains("refused"), "{refused}");
    }
}
