//! The floor: a bare tonic server, in a process of its own, that answers SendTo without doing anything.
//!
//! It is what tonic generates for one method, with tonic's defaults and TCP_NODELAY; whatever the daemon takes longer than this
//! is the daemon's.

use std::{
    convert::Infallible,
    env,
    future::{Ready, ready},
    io::{self, Read, Write},
    process::Command,
    task::{Context, Poll},
};

use farsock_proto::v1::{SendToRequest, SendToResponse, send_to_request::Payload};
use tokio::{net::TcpListener, sync::oneshot};
use tonic::{
    Request, Response, Status,
    codegen::{Body, BoxFuture, Service, StdError, http},
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;

use crate::{
    Failure,
    process::{LISTENING, Process},
};

/// Starts this program once more, as the floor.
///
/// # Errors
/// It does not come to listen.
pub(crate) fn start() -> Result<Process, Failure> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("--serve-echo");
    Process::start(command)
}

/// Is the floor: serves on a loopback port, tells it on standard error as the daemon does, and ends when standard input does.
///
/// # Errors
/// It cannot listen.
pub(crate) fn serve() -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let line = serde_json::json!({"message": format!("{LISTENING}{}", listener.local_addr()?)});
        writeln!(io::stderr(), "{line}")?;

        let (ended, end) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            // Whatever ends the reading, nobody is there any more.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            drop(ended);
        });
        tokio::select! {
            served = answer(listener) => served?,
            _ = end => {}
        }
        Ok(())
    })
}

async fn answer(listener: TcpListener) -> Result<(), tonic::transport::Error> {
    Server::builder()
        .add_service(Echo)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
}

/// What `SocketServiceServer` would be if SendTo were its only method.
#[derive(Clone, Debug)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "farsock.v1.SocketService";
}

impl<B> Service<http::Request<B>> for Echo
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/farsock.v1.SocketService/SendTo" => {
                    let mut grpc = Grpc::new(ProstCodec::default());
                    grpc.unary(Method, request).await
                }
                _ => Status::unimplemented("the floor knows SendTo alone").into_http(),
            })
        })
    }
}

struct Method;

impl UnaryService<SendToRequest> for Method {
    type Response = SendToResponse;
    type Future = Ready<Result<Response<SendToResponse>, Status>>;

    fn call(&mut self, request: Request<SendToRequest>) -> Self::Future {
        let length = match &request.get_ref().payload {
            Some(Payload::Data(data)) => data.len(),
            Some(Payload::Text(text)) => text.len(),
            None => 0,
        };
        // The answer is as long as the daemon's.
        let bytes_sent = length as u64;
        ready(Ok(Response::new(SendToResponse { bytes_sent })))
    }
}

#[cfg(test)]
mod tests {
    use crate::{connection, sink};

    use super::*;

    #[tokio::test]
    async fn the_floor_answers_as_if_it_had_sent_the_datagram() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(answer(listener));
        let mut client = connection::connect(address).await.unwrap();
        let to = "127.0.0.1:9".parse().unwrap();
        connection::send_to(&mut client, 1, to, &sink::datagram(7))
            .await
            .unwrap();
        let other = connection::create_udp_socket(&mut client).await;
        assert_eq!(other.unwrap_err().code(), tonic::Code::Unimplemented);
    }
}
