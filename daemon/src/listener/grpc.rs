//! What makes an HTTP/2 request a call of gRPC, checked before any service has it: method, content type, and the framing of its messages.
//!
//! tonic looks at neither method nor content type, and says INTERNAL of what it cannot read. A web page can send POST with a content type of
//! its own choosing only after it has asked (CORS), so the content type is what keeps a browser out.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use farsock_proto::{Violation, codec::refusal};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use hyper::body::Incoming;
use tonic::{Code, Status, body::Body, server::NamedService, service::Routes};

use super::deadline;
use crate::door::stream::StreamDoor;

/// The most bytes and messages of a body that are handed on at once.
const PIECE: usize = 16 << 10;
const MESSAGES: usize = 64;
/// The length of a message's prefix: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Calls the services, if the request is a call of gRPC.
pub(super) async fn call(
    routes: Routes,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if let Some(refused) = refused(request.method(), request.headers()) {
        return Ok(refused);
    }
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    let request = match service {
        // It reads its bodies by itself, byte by byte.
        StreamDoor::NAME => request.map(Body::new),
        // Nothing asked, nothing answered.
        service if service.starts_with("grpc.reflection.") => {
            let read = Arc::default();
            let request = request.map(|body| {
                let messages = Messages::new(body, Least::None);
                Body::new(messages.noting(Arc::clone(&read)))
            });
            let response = deadline::call(routes, request).await?;
            return Ok(response.map(|body| Body::new(Answers { body, read })));
        }
        "grpc.health.v1.Health" => {
            let request = request.map(|body| Body::new(Messages::new(body, Least::One)));
            let response = deadline::call(routes, request).await?;
            return Ok(undecodable(response));
        }
        _ => request.map(|body| Body::new(Messages::new(body, Least::One))),
    };
    deadline::call(routes, request).await
}

/// The answer to what is no call of gRPC: as other gRPC servers give it.
fn refused(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    let mut response = Response::new(Body::empty());
    if method != Method::POST {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        let allowed = HeaderValue::from_static("POST");
        response.headers_mut().insert(header::ALLOW, allowed);
        return Some(response);
    }
    let mut types = headers.get_all(header::CONTENT_TYPE).into_iter();
    if let (Some(one), None) = (types.next(), types.next())
        && is_grpc(one.as_bytes())
    {
        return None;
    }
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let accepted = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::ACCEPT, accepted);
    Some(response)
}

/// Whether a content type says gRPC with protobuf, which is what it says without a suffix.
fn is_grpc(value: &[u8]) -> bool {
    let end = value.iter().position(|byte| *byte == b';');
    let media = value[..end.unwrap_or(value.len())].trim_ascii();
    [&b"application/grpc"[..], b"application/grpc+proto"]
        .iter()
        .any(|known| media.eq_ignore_ascii_case(known))
}

/// The health service, which is not ours, says INTERNAL of nothing but a request that it cannot decode.
fn undecodable(mut response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Internal => {
            let violation = Violation::new(
                "",
                format!("the message is no HealthCheckRequest: {}", status.message()),
            );
            let refused: Response<Body> = refusal(&violation).into_http();
            *response.headers_mut() = refused.headers().clone();
            response
        }
        _ => response,
    }
}

/// How a request's body was read to its end: not set if its reader stopped before that.
type Read = Arc<OnceLock<Result<(), Violation>>>;

/// The answers of the reflection service, which is not ours: where it cannot read a request it stops, and says that all went well.
struct Answers<B> {
    body: B,
    read: Read,
}

impl<B> http_body::Body for Answers<B>
where
    B: http_body::Body<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &mut frame
            && let Some(trailers) = frame.trailers_mut()
            && Status::from_header_map(trailers).is_some_and(|status| status.code() == Code::Ok)
        {
            let refused = match self.read.get() {
                Some(Ok(())) => None,
                Some(Err(violation)) => Some(refusal(violation)),
                None => Some(refusal(&Violation::new(
                    "",
                    "the message is no ServerReflectionRequest".to_owned(),
                ))),
            };
            if let Some(refused) = refused {
                trailers.clear();
                if let Err(error) = refused.add_header(trailers) {
                    return Poll::Ready(Some(Err(error)));
                }
            }
        }
        Poll::Ready(frame)
    }
}

/// How many messages a body must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Least {
    None,
    One,
}

/// A request's body, whose messages are followed: handed on in pieces, with other tasks' turns in between, and refused with
/// INVALID_ARGUMENT where it is no sequence of whole messages.
struct Messages<B> {
    body: B,
    /// What has come and is not handed on.
    unread: Bytes,
    place: Place,
    least: Least,
    /// Where it is noted how the body was read.
    read: Option<Read>,
}

/// A place in a sequence of messages.
#[derive(Debug, Default)]
struct Place {
    prefix: [u8; PREFIX],
    /// How much of the next prefix has passed.
    have: usize,
    /// How much of the current message is to come.
    rest: usize,
    /// Whether a message has begun.
    begun: bool,
}

impl Place {
    /// How many of `bytes` are handed on at once, having gone on over them.
    fn pass(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let (mut passed, mut messages) = (0, 0);
        let most = bytes.len().min(PIECE);
        while passed < most && messages < MESSAGES {
            let left = &bytes[passed..most];
            if self.rest > 0 {
                let count = self.rest.min(left.len());
                self.rest -= count;
                passed += count;
                continue;
            }
            let count = (PREFIX - self.have).min(left.len());
            self.prefix[self.have..self.have + count].copy_from_slice(&left[..count]);
            self.have += count;
            passed += count;
            if self.have == PREFIX {
                let [flag, length @ ..] = self.prefix;
                // A call that announces a compression is refused before it is read, so none is in use.
                if flag != 0 {
                    return Err(Violation::new(
                        "",
                        format!(
                            "a message's compressed flag is {flag}, but must be 0: the call has no grpc-encoding"
                        ),
                    ));
                }
                self.have = 0;
                self.rest = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
                self.begun = true;
                messages += 1;
            }
        }
        Ok(passed)
    }

    /// Whether the body may end here.
    fn end(&self, least: Least) -> Result<(), Violation> {
        if self.have > 0 || self.rest > 0 {
            return Err(Violation::new(
                "",
                "the request ends within a message".to_owned(),
            ));
        }
        if !self.begun && least == Least::One {
            return Err(Violation::new(
                "",
                "the request ends before its message".to_owned(),
            ));
        }
        Ok(())
    }
}

impl<B> Messages<B> {
    fn new(body: B, least: Least) -> Self {
        Self {
            body,
            unread: Bytes::new(),
            place: Place::default(),
            least,
            read: None,
        }
    }

    fn noting(mut self, read: Read) -> Self {
        self.read = Some(read);
        self
    }

    fn note(&self, result: Result<(), Violation>) {
        if let Some(read) = &self.read {
            // What is noted first holds.
            let _ = read.set(result);
        }
    }
}

impl<B> http_body::Body for Messages<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        while this.unread.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.unread = data,
                    // A request's trailers mean nothing in gRPC, and its end is still to come.
                    Err(_trailers) => {}
                },
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Status::from_error(error.into()))));
                }
                None => {
                    let end = this.place.end(this.least);
                    this.note(end.clone());
                    // What is said once is enough.
                    (this.place, this.least) = (Place::default(), Least::None);
                    return Poll::Ready(end.err().map(|violation| Err(refusal(&violation))));
                }
            }
        }
        // Other tasks of this thread have their turn, however much comes.
        ready!(pin!(tokio::task::coop::consume_budget()).poll(cx));
        Poll::Ready(Some(match this.place.pass(&this.unread) {
            Ok(count) => Ok(Frame::data(this.unread.split_to(count))),
            Err(violation) => {
                let status = refusal(&violation);
                this.note(Err(violation));
                Err(status)
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        // Of the end this has to be asked.
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_with_protobuf_is_the_only_content_type() {
        for value in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC",
            "application/grpc; charset=utf-8",
            "application/grpc+proto;x=y",
        ] {
            assert!(is_grpc(value.as_bytes()), "{value}");
        }
        for value in [
            "",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc+json",
            "application/grpcx",
            "application/json",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "text/plain",
            "text/plain; application/grpc",
        ] {
            assert!(!is_grpc(value.as_bytes()), "{value}");
        }
    }

    #[tokio::test]
    async fn a_body_that_lies_ready_is_not_read_in_one_go() {
        // A thousand calls' worth of messages in one frame.
        let body = Body::new(Whole(Some(Bytes::from([0; PREFIX].repeat(100_000)))));
        let mut body = Messages::new(body, Least::One);
        let mut read = 0;
        let mut reading = tokio_test::task::spawn(async {
            while let Some(frame) =
                std::future::poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx))
                    .await
            {
                read += frame.unwrap().into_data().unwrap().len();
            }
        });
        assert!(reading.poll().is_pending());
        // It only waits for its turn.
        reading.await;
        assert_eq!(read, PREFIX * 100_000);
    }

    /// A body of one frame.
    struct Whole(Option<Bytes>);

    impl http_body::Body for Whole {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// The pieces in which a body of `bytes` passes that comes in frames of `size`, or why it does not.
    fn pieces(bytes: &[u8], size: usize) -> Result<Vec<usize>, Violation> {
        let (mut place, mut pieces) = (Place::default(), Vec::new());
        for mut frame in bytes.chunks(size) {
            while !frame.is_empty() {
                let count = place.pass(frame)?;
                pieces.push(count);
                frame = &frame[count..];
            }
        }
        place.end(Least::One).map(|()| pieces)
    }

    #[test]
    fn a_body_passes_in_pieces_of_bounded_size_and_number_of_messages() {
        let small = [0; PREFIX].repeat(1_000);
        let large = [&[0, 0, 1, 0, 0][..], &[7; 65_536]].concat();
        for size in [1, 3, 5, 64, 100_000] {
            for body in [&small, &large] {
                let pieces = pieces(body, size).unwrap();
                assert_eq!(pieces.iter().sum::<usize>(), body.len());
                assert!(pieces.iter().all(|piece| (1..=PIECE).contains(piece)));
            }
            let most = pieces(&small, size).unwrap().into_iter().max().unwrap();
            assert!(most <= MESSAGES * PREFIX, "{most}");
        }
    }

    #[test]
    fn what_is_cut_off_wherever_and_what_is_missing_is_refused() {
        let body = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0, 0, 0, 0, 0]].concat();
        for end in 0..=body.len() {
            let whole = matches!(end, 8 | 13);
            for size in 1..=13 {
                assert_eq!(pieces(&body[..end], size).is_ok(), whole, "{end}, {size}");
            }
        }
        for flag in [1, 2, 255] {
            assert!(pieces(&[flag, 0, 0, 0, 0], 5).is_err());
        }
    }
}
