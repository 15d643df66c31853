//! `farsock close`: close(2), for one socket, several, or all of a session or of none.

use farsock_client::{Reason, SocketInfo};

use crate::{
    args::{Global, handle},
    exit::{Failure, Tried},
    output::Output,
};

/// Close sockets
///
/// Calls that wait on a socket end with HANDLE_CLOSED. All handles are tried, whatever becomes of the others; the first failure decides
/// the exit code. --all closes one's own sockets that belong to no session, or with --session (FARSOCK_SESSION) that session's. Those of other
/// sessions may be in use by programs that run; --every-session closes them too. Corresponds to close(2).
#[derive(clap::Args)]
#[command(
    override_usage = "farsock close [OPTIONS] <HANDLE>...\n       farsock close [OPTIONS] --all",
    after_help = "\
Examples:
  farsock close 1 2 3
  farsock close --all                    one's own sockets outside of any session
  farsock close --all --session $ID      that session's, which stays open
  farsock close --all --every-session    every socket in `farsock ls`
  farsock close 3 --abort                reset the connection"
)]
pub(crate) struct Close {
    /// The sockets' handles
    #[arg(value_name = "HANDLE", value_parser = handle)]
    handles: Vec<u64>,
    /// Close all of one's own sockets that belong to no session, or to the one of --session
    #[arg(long, conflicts_with = "handles")]
    all: bool,
    /// With --all: those of every session too, also of other programs that run
    #[arg(long, requires = "all")]
    every_session: bool,
    /// Reset TCP connections (linger of 0 seconds) instead of ending them in good order
    #[arg(long)]
    abort: bool,
}

impl Close {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        if self.handles.is_empty() && !self.all {
            return Err(Failure::Usage("close: name handles, or --all".to_owned()));
        }
        let client = global.client().await?;
        let handles = if self.all {
            client
                .sockets()
                .await
                .tried(|| "close --all".to_owned())?
                .iter()
                .filter(|socket| self.every_session || is_of(socket, global.session.as_deref()))
                .map(|socket| socket.handle)
                .collect()
        } else {
            self.handles
        };
        let mut first = None;
        for handle in handles {
            let socket = client.adopt(handle);
            let closed = if self.abort {
                socket.abort().await
            } else {
                socket.close().await
            };
            match closed {
                Ok(()) => {}
                // Gone since it was listed: closed, as was asked.
                Err(error) if self.all && error.reason() == Some(Reason::HandleNotFound) => {}
                Err(error) => {
                    let failure = Failure::of(format!("close {handle}"), &error);
                    match &first {
                        None => first = Some(failure),
                        Some(_) => failure.tell(),
                    }
                }
            }
        }
        match first {
            Some(failure) => Err(failure),
            None => Ok(output.done()?),
        }
    }
}

/// Whether a socket belongs to the session, or to none as is asked for.
fn is_of(socket: &SocketInfo, session: Option<&str>) -> bool {
    match (socket.session_id.as_deref(), session) {
        (Some(id), Some(session)) => id.eq_ignore_ascii_case(session),
        (None, None) => true,
        _ => false,
    }
}
