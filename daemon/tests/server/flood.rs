//! Frames that carry nothing: a client that sends far more of them than it has reason to is sent away, and others are served.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{PATIENCE, Serving, health};

/// HTTP/2's preface and an empty SETTINGS frame.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// Sends `frame` until the daemon has had enough, and returns GOAWAY's error code.
async fn flood(stream: TcpStream, frame: &[u8]) -> u32 {
    let (mut from, mut to) = stream.into_split();
    let frames = frame.repeat(1_000);
    let flooding = tokio::spawn(async move {
        to.write_all(HELLO).await?;
        // 26 million came to nothing before; some 20,000 are enough.
        for _ in 0..1_000 {
            to.write_all(&frames).await?;
        }
        std::io::Result::Ok(())
    });
    let code = async {
        loop {
            let mut head = [0; 9];
            from.read_exact(&mut head).await.expect("it says why");
            let [_, high, low, kind, ..] = head;
            let mut payload = vec![0; usize::from(high) << 8 | usize::from(low)];
            from.read_exact(&mut payload).await.expect("a whole frame");
            if kind == 7 {
                return u32::from_be_bytes(payload[4..8].try_into().expect("four bytes"));
            }
        }
    };
    let code = timeout(PATIENCE, code).await.expect("it has an end");
    // Cut off, or all sent in vain.
    let _ = timeout(PATIENCE, flooding).await.expect("it has an end");
    code
}

#[tokio::test]
async fn a_flood_of_frames_that_carry_nothing_ends_its_connection_alone() {
    let serving = Serving::tcp().await;
    let honest = serving.client().await;
    for (frame, what) in [
        (&b"\0\0\x08\x06\0\0\0\0\x0012345678"[..], "PING"),
        (b"\0\0\x08\x06\x01\0\0\0\x0012345678", "PING's answer"),
        (b"\0\0\0\x04\0\0\0\0\0", "SETTINGS"),
        (b"\0\0\x04\x08\0\0\0\0\0\0\0\0\x01", "WINDOW_UPDATE"),
        (b"\0\0\x05\x02\0\0\0\0\x01\0\0\0\0\x10", "PRIORITY"),
        (b"\0\0\x01\xfe\0\0\0\0\0x", "an unknown frame"),
    ] {
        assert_eq!(flood(serving.raw().await, frame).await, 0xb, "{what}");
        assert_eq!(health(honest.clone()).await.unwrap(), 1);
    }
}
