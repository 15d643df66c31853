//! `setup-rtt`: how many round trips a TCP server takes until it waits for its first connection: socket, bind, listen and accept in
//! one pipeline of the Rust client, over a long way.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use farsock_client::{
    Client, Domain, Operation, Protocol, SocketOption, SocketOptions, SocketType,
};
use farsock_proto::v1::ListSocketsRequest;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{Case, Plan};
use crate::{
    Failure, connection, daemon_process, delay, operation,
    report::{Row, Target},
    rounds::Rounds,
    stats,
};

pub(crate) const CASE: Case = Case {
    name: "setup-rtt",
    about: "time until a new TCP server's accept waits, behind a delay of 20 ms each way, in round trips",
    run,
};

const TARGET: Target = Target::AtMost(1.2);

/// How long the way is, each way.
const DELAY: Duration = Duration::from_millis(20);

fn run(plan: &Plan) -> Result<Vec<Row>, Failure> {
    let times = if plan.quick { 3 } else { 9 };
    let daemon = daemon_process::start(&plan.daemon)?;
    let rounds = tokio::runtime::Runtime::new()?.block_on(async {
        let far = delay::start(daemon.address(), DELAY).await?;
        let ours = operation::connect(far).await?;
        let theirs = connection::connect(far).await?;

        // Warms up both.
        armed(&ours).await?;
        answered(&theirs).await?;
        Rounds::interleave(
            plan.rounds,
            async || median(times, async || armed(&ours).await).await,
            async || median(times, async || answered(&theirs).await).await,
        )
        .await
    })?;
    Ok(vec![Row::compared(
        CASE.name,
        "ms",
        &rounds,
        "one round trip",
        TARGET,
        format_args!(
            "{times} servers a round, {} ms each way, the session is open; every server then took a connection and its data",
            DELAY.as_millis()
        ),
    )])
}

/// The median of so many times, in milliseconds.
async fn median(
    times: usize,
    measure: impl AsyncFn() -> Result<Duration, Failure>,
) -> Result<f64, Failure> {
    let mut measured = Vec::with_capacity(times);
    for _ in 0..times {
        measured.push(measure().await?.as_secs_f64() * 1e3);
    }
    stats::median(&measured).ok_or_else(|| "no times".into())
}

/// How long it takes until the daemon says that a new server's accept waits.
async fn armed(client: &Client) -> Result<Duration, Failure> {
    let start = Instant::now();
    let mut pipeline = client.pipeline();
    let options = SocketOptions::new().option(SocketOption::SoReuseaddr, true);
    let listener = pipeline
        .socket_with(Domain::Inet, SocketType::Stream, Protocol::Default, options)
        .await?;
    let bound = pipeline.then(listener.bind("127.0.0.1:0"));
    let listening = pipeline.then(listener.listen(None));
    let mut accepting = pipeline.then_operation(Operation::new(listener.accept()).notify_waiting());
    let waits = accepting.waiting().await;
    let took = start.elapsed();

    // The clock has stopped. Does it work?
    let address = bound
        .await?
        .as_ip()
        .ok_or("an internet socket's address is none")?;
    listening.await?;
    if !waits {
        accepting.await?;
        return Err("accept did not wait, and yet nobody had connected".into());
    }
    let sent = farsock_client::Bytes::from(address.to_string());
    let (mut peer, peer_address) = connected(address).await?;
    peer.write_all(&sent).await?;
    let (connection, accepted) = accepting.await?;
    if accepted.as_ip() != Some(peer_address) {
        return Err(format!("{accepted} was accepted, not {peer_address}").into());
    }
    let received = connection.recv(sent.len()).await?.data;
    if received != sent {
        return Err(format!("{received:?} arrived, not {sent:?}").into());
    }
    Ok(took)
}

async fn connected(address: SocketAddr) -> Result<(TcpStream, SocketAddr), Failure> {
    let stream = TcpStream::connect(address).await?;
    let own = stream.local_addr()?;
    Ok((stream, own))
}

/// How long one answer takes: the cheapest there is on an open connection.
async fn answered(client: &connection::Client) -> Result<Duration, Failure> {
    let mut client = client.clone();
    let request = ListSocketsRequest {
        page_size: 1,
        ..ListSocketsRequest::default()
    };
    let start = Instant::now();
    client.list_sockets(request).await?;
    Ok(start.elapsed())
}
