//! The demo: exchanges between two sockets, written as the socket programs they are.
//!
//! Each exchange is a function over a [`Tracer`], whose methods make one call each and print it. What was received is compared byte by
//! byte with what was sent; the first difference ends the demo.

mod paths;
mod strace;
mod tcp;
mod tracer;
mod udp;
mod unix;

use farsock_client::Client;

pub(crate) use paths::Paths;

use crate::{exit::Failure, output::Output};
use tracer::Tracer;

/// Runs all exchanges.
pub(crate) async fn run(client: &Client, paths: Paths, output: &mut Output) -> Result<(), Failure> {
    let mut tracer = Tracer::new(client, output);
    tcp::exchange(&mut tracer).await?;
    tcp::refused(&mut tracer).await?;
    udp::exchange(&mut tracer).await?;
    udp::truncated(&mut tracer).await?;
    udp::connected(&mut tracer).await?;
    unix::stream(&mut tracer, &paths).await?;
    unix::datagrams(&mut tracer).await?;
    unix::pair(&mut tracer).await?;
    tracer.end()
}
