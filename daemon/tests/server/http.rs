//! What HTTP/2 lets through and gRPC does not, at every method of every service: no request that is not a call is carried out, and nothing
//! that a client got wrong is INTERNAL.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body::{Body as _, Frame};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::support::{PATIENCE, Serving};

/// Every method of every service, as a path.
fn methods() -> Vec<String> {
    let sets = [
        farsock_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut paths = Vec::new();
    for set in sets {
        for file in FileDescriptorSet::decode(set).expect("built in").file {
            for service in &file.service {
                for method in &service.method {
                    paths.push(format!(
                        "/{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
    }
    assert!(paths.len() > 30, "{paths:?}");
    paths
}

struct Client(SendRequest<String>);

impl Client {
    async fn new(serving: &Serving) -> Self {
        let io = TokioIo::new(serving.raw().await);
        let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .expect("it speaks HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }

    async fn send(
        &mut self,
        method: &Method,
        path: &str,
        content_types: &[&str],
        body: &str,
    ) -> (StatusCode, HeaderMap) {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .header("te", "trailers");
        for content_type in content_types {
            request = request.header("content-type", *content_type);
        }
        let request = request.body(body.to_owned()).expect("a request");
        self.0.ready().await.expect("it takes requests");
        let answer = async {
            let response = self.0.send_request(request).await.expect("it answers");
            let (parts, body) = response.into_parts();
            (parts.status, end(parts.headers, body).await)
        };
        timeout(PATIENCE, answer).await.expect("it ends")
    }

    /// How a call with this body ends.
    async fn call(&mut self, path: &str, body: &str) -> Status {
        let (status, headers) = self
            .send(&Method::POST, path, &["application/grpc"], body)
            .await;
        assert_eq!(status, StatusCode::OK, "{path}");
        Status::from_header_map(&headers).unwrap_or_else(|| panic!("{path}: no grpc-status"))
    }
}

/// The headers, and the trailers where there are any.
async fn end(mut headers: HeaderMap, mut body: Incoming) -> HeaderMap {
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(trailers) = frame.expect("it is not cut off").into_trailers() {
            headers.extend(trailers);
        }
    }
    headers
}

#[tokio::test]
async fn a_method_other_than_post_is_refused_with_405_everywhere() {
    let serving = Serving::tcp().await;
    let mut client = Client::new(&serving).await;
    let mut paths = methods();
    paths.extend(["/".to_owned(), "/no.such.Service/Method".to_owned()]);
    for path in paths {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::OPTIONS,
            Method::DELETE,
            Method::PATCH,
        ] {
            let (status, headers) = client.send(&method, &path, &["application/grpc"], "").await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(headers["allow"], "POST");
        }
    }
}

#[tokio::test]
async fn a_content_type_other_than_grpc_is_refused_with_415_everywhere() {
    let serving = Serving::tcp().await;
    let mut client = Client::new(&serving).await;
    let mut paths = methods();
    paths.extend(["/".to_owned(), "/no.such.Service/Method".to_owned()]);
    for path in paths {
        for content_types in [
            &[][..],
            &[""],
            &["text/plain"],
            &["application/json"],
            &["application/x-www-form-urlencoded"],
            &["application/grpc-web"],
            &["application/grpc-web-text"],
            &["application/grpc+json"],
            &["application/grpcx"],
            &["text/plain", "application/grpc"],
            &["application/grpc", "text/plain"],
        ] {
            let (status, headers) = client
                .send(&Method::POST, &path, content_types, "\0\0\0\0\0")
                .await;
            assert_eq!(
                status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{path}: {content_types:?}"
            );
            assert_eq!(headers.get("grpc-status"), None, "{path}");
        }
    }
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "Application/gRPC; charset=utf-8",
    ] {
        let path = "/farsock.v1.HostService/GetClock";
        let (status, headers) = client
            .send(&Method::POST, path, &[content_type], "\0\0\0\0\0")
            .await;
        assert_eq!(status, StatusCode::OK, "{content_type}");
        assert_eq!(headers["grpc-status"], "0", "{content_type}");
    }
}

#[tokio::test]
async fn what_is_no_message_of_the_methods_is_an_invalid_argument_everywhere() {
    let serving = Serving::tcp().await;
    let mut client = Client::new(&serving).await;
    for path in methods() {
        for (body, what) in [
            ("", "no message"),
            ("\0", "a cut prefix"),
            ("\0\0\0\0", "a cut prefix"),
            ("\0\0\0\0\x05", "a prefix alone"),
            ("\0\0\0\0\x05\x0a\x03a", "a cut message"),
            ("\0\0\0\0\x02\x0a\x05", "an undecodable message"),
            ("\0\0\0\0\x01\x07", "an undecodable tag"),
            ("\x01\0\0\0\0", "a compressed message"),
            ("\x02\0\0\0\0", "a flag that does not exist"),
        ] {
            let status = client.call(&path, body).await;
            if body.is_empty() && path.starts_with("/grpc.reflection.") {
                // Nothing asked, nothing answered.
                assert_eq!(status.code(), Code::Ok, "{path}: {what}: {status:?}");
                continue;
            }
            assert_eq!(
                status.code(),
                Code::InvalidArgument,
                "{path}: {what}: {status:?}"
            );
            assert!(!status.details().is_empty(), "{path}: {what}: {status:?}");
        }
    }
}

#[tokio::test]
async fn what_follows_a_whole_message_is_looked_at_too() {
    let serving = Serving::tcp().await;
    let mut client = Client::new(&serving).await;
    for path in [
        "/farsock.v1.HostService/GetClock",
        "/farsock.v1.SocketService/ListSockets",
        "/grpc.health.v1.Health/Check",
    ] {
        let whole = "\0\0\0\0\0";
        assert_eq!(client.call(path, whole).await.code(), Code::Ok, "{path}");
        for more in ["\0", "\0\0\0\0\x05", "\0\0\0\0\x05\x0a"] {
            let status = client.call(path, &format!("{whole}{more}")).await;
            assert_eq!(status.code(), Code::InvalidArgument, "{path}: {status:?}");
        }
    }
}

/// A body of some bytes and of trailers, which gRPC has for answers alone.
struct WithTrailers(Option<Bytes>, Option<HeaderMap>);

impl http_body::Body for WithTrailers {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.0.take().map(Frame::data);
        let frame = data.or_else(|| self.1.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }
}

#[tokio::test]
async fn a_request_with_trailers_ends_as_one_without() {
    let serving = Serving::tcp().await;
    let io = TokioIo::new(serving.raw().await);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("it speaks HTTP/2");
    tokio::spawn(connection);
    let mut plain = Client::new(&serving).await;
    let is_endless = |path: &str| path.ends_with("/Watch");
    for path in methods() {
        for body in ["", "\0\0\0", "\0\0\0\0\x05a", "\0\0\0\0\0"] {
            if body == "\0\0\0\0\0" && is_endless(&path) {
                continue;
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", HeaderValue::from_static("y"));
            let request = Request::builder()
                .method(Method::POST)
                .uri(format!("http://localhost{path}"))
                .header("te", "trailers")
                .header("content-type", "application/grpc")
                .body(WithTrailers(Some(Bytes::from(body)), Some(trailers)))
                .expect("a request");
            sender.ready().await.expect("it takes requests");
            let answer = async {
                let response = sender.send_request(request).await.expect("it answers");
                let (parts, body) = response.into_parts();
                end(parts.headers, body).await
            };
            let headers = timeout(PATIENCE, answer).await.expect("it ends");
            let status = Status::from_header_map(&headers).expect("a status");
            let expected = plain.call(&path, body).await;
            assert_eq!(
                (status.code(), status.message()),
                (expected.code(), expected.message()),
                "{path}: {body:?}"
            );
        }
    }
}
