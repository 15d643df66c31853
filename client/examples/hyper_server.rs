//! An HTTP/1 server by hyper on a listener of another host's network: `hyper_server DAEMON [ADDRESS]`, such as
//! `hyper_server unix:///run/farsock/farsock.sock 127.0.0.1:8080`. The program runs here, the socket is there.

use std::{convert::Infallible, error::Error};

use farsock_client::{Client, TcpListener, TcpStream};
use http_body_util::Full;
use hyper::{
    Request, Response, body::Bytes, body::Incoming, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio_stream::StreamExt;

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "a program for people")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let daemon = arguments
        .next()
        .ok_or("which daemon? unix:///PATH or tcp://HOST:PORT")?;
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:0".to_owned());

    let client = Client::connect(&daemon).await?;
    let listener = TcpListener::bind(&client, address.as_str()).await?;
    println!("http://{}/ on the daemon's host", listener.local_addr());
    let mut connections = listener.incoming();
    while let Some(connection) = connections.next().await {
        let (stream, peer) = connection?;
        // Each ends with its connection.
        tokio::spawn(async move {
            if let Err(error) = serve(stream).await {
                println!("{peer}: {error}");
            }
        });
    }
    Ok(())
}

async fn serve(stream: TcpStream) -> hyper::Result<()> {
    let service = service_fn(answer);
    http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("{} {}\n", request.method(), request.uri());
    Ok(Response::new(Full::from(text)))
}
