//! See `fuzz/`: frames are the same wherever they are cut.

use bytes::Bytes;
use farsock_proto::{codec, v1};

use super::frames::{Event, Frames};

/// What came of some frames: whole messages, bytes without their bounds, and how it ended.
#[derive(Debug, PartialEq)]
struct Parsed {
    events: Vec<Event>,
    end: Result<bool, String>,
}

fn parse(mut frames: Frames, pieces: impl IntoIterator<Item = Bytes>) -> Parsed {
    let mut events: Vec<Event> = Vec::new();
    for mut piece in pieces {
        loop {
            match frames.next(&mut piece) {
                Ok(None) => break,
                Ok(Some(Event::Data(data))) => {
                    if let Some(Event::Data(before)) = events.last_mut() {
                        *before = [&before[..], &data].concat().into();
                    } else {
                        events.push(Event::Data(data));
                    }
                }
                Ok(Some(message)) => events.push(message),
                Err(status) => {
                    let end = Err(status.to_string());
                    return Parsed { events, end };
                }
            }
        }
    }
    let end = Ok(frames.is_between());
    Parsed { events, end }
}

pub(crate) fn frames(data: &[u8]) {
    let Some((size, data)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let whole = || [Bytes::copy_from_slice(data)];
    let pieces = || data.chunks(size).map(Bytes::copy_from_slice);
    let bytes = parse(Frames::of_bytes(), whole());
    assert_eq!(parse(Frames::of_bytes(), pieces()), bytes);
    let messages = parse(Frames::of_messages(), whole());
    assert_eq!(parse(Frames::of_messages(), pieces()), messages);
    // Nothing is made up, and nothing is larger than what came.
    for parsed in [&bytes, &messages] {
        let all = parsed.events.iter().map(|event| match event {
            Event::Data(data) | Event::Message(data) => data.len(),
        });
        assert!(all.sum::<usize>() <= data.len());
    }
    // Bytes that are passed on are those of the messages.
    if let (Ok(true), Ok(true)) = (&bytes.end, &messages.end) {
        let mut carried = Vec::new();
        for event in &messages.events {
            let Event::Message(message) = event else {
                unreachable!("{event:?} among whole messages");
            };
            let request = codec::decode::<v1::StreamRequest>(message.clone());
            if let Ok(request) = request
                && let Some(v1::stream_request::Message::Data(data)) = request.message
            {
                carried.extend_from_slice(&data);
            }
        }
        let mut passed = Vec::new();
        for event in &bytes.events {
            let data = match event {
                Event::Data(data) => Some(data.clone()),
                Event::Message(message) => {
                    let request = codec::decode::<v1::StreamRequest>(message.clone()).ok();
                    match request.and_then(|request| request.message) {
                        Some(v1::stream_request::Message::Data(data)) => Some(data),
                        _ => None,
                    }
                }
            };
            passed.extend_from_slice(&data.unwrap_or_default());
        }
        assert_eq!(passed, carried);
    }
}
