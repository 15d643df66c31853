//! `farsock demo`: every kind of exchange, call by call.

use crate::{
    args::Global,
    demo::{self, Paths},
    endpoint::Endpoint,
    exit::Failure,
    output::Output,
};

/// Show every kind of exchange between two sockets, call by call
///
/// Starts a daemon in this process (or uses the one that --addr or FARSOCK_ADDR names), makes real sockets exchange data over TCP, UDP,
/// connected UDP, unix streams and unix datagrams, and prints each call as strace(1) would. Every byte received is compared
/// with what was sent: a mismatch is told on stderr, and the exit code is 1. Needs no network and no privileges.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock demo
  farsock demo --addr tcp://127.0.0.1:7600        the same through a running daemon")]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let endpoint = global.addr.clone().unwrap_or(Endpoint::Embedded);
        // A daemon in this process knows no sessions of others.
        let session = global.session.as_deref().filter(|_| global.addr.is_some());
        let client = endpoint.connect(global.timeout, session).await?;
        // A daemon reached over TCP may be on another host, where nobody would remove a path.
        let paths = if endpoint.is_local() {
            Paths::private()
        } else {
            Paths::none()
        };
        demo::run(&client, paths, output).await
    }
}
