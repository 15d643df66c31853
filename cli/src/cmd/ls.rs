//! `farsock ls`: one's own sockets, as ss(8) would list them.

use std::time::{Duration, SystemTime};

use farsock_client::{SessionInfo, SocketInfo, SocketState};
use serde_json::json;

use crate::{
    args::Global,
    cmd::{info, journal::short_id},
    exit::{Failure, Tried},
    kind,
    output::{Format, Output},
    show::Show,
};

/// List one's own sockets
///
/// The columns are those of ss(8): of a listening socket, RECV-Q counts the connections that wait to be accepted and SEND-Q is the
/// backlog's limit; else both are bytes. SESSION is the beginning of the session's id and LEASE what is left of its lease, for sockets that belong to one. A dash
/// stands for what is not there, or not told by the kernel. With -o json: one array with an object for each, as `info` prints it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  farsock ls
  farsock ls -o raw | cut -f1                                 the handles alone
  farsock ls -o json | jq '.[] | select(.state == \"listen\")'")]
pub(crate) struct Ls {}

impl Ls {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        const HEADER: [&str; 11] = [
            "HANDLE", "TYPE", "STATE", "RECV-Q", "SEND-Q", "LOCAL", "PEER", "OWNER", "SESSION",
            "LEASE", "AGE",
        ];
        let client = global.client().await?;
        let sockets = client.sockets().await.tried(|| "ls".to_owned())?;
        if output.format() == Format::Json {
            let sockets: Vec<_> = sockets
                .iter()
                .map(|socket| info::fields(socket).json())
                .collect();
            return Ok(output.json(&json!(sockets))?);
        }
        let sessions = if sockets.iter().any(|socket| socket.session_id.is_some()) {
            client.sessions().await.tried(|| "ls".to_owned())?
        } else {
            Vec::new()
        };
        // Ages are differences within the daemon's clock: this host's may say something else.
        let now = client.clock().await.tried(|| "ls".to_owned())?.realtime;
        let rows: Vec<_> = sockets
            .iter()
            .map(|socket| row(socket, &sessions, now))
            .collect();
        Ok(output.rows(&HEADER, &rows)?)
    }
}

/// The state's name in lower case and whole: "established", "close-wait".
pub(crate) fn state(socket: &SocketInfo) -> Option<String> {
    let name = socket.state?.as_str_name();
    let name = name.strip_prefix("SOCKET_STATE_").unwrap_or(name);
    Some(name.to_lowercase().replace('_', "-"))
}

/// The state as ss(8) shows it.
fn ss_state(state: SocketState) -> &'static str {
    match state {
        SocketState::Unspecified => "-",
        SocketState::Unconnected => "UNCONN",
        SocketState::SynSent => "SYN-SENT",
        SocketState::SynReceived => "SYN-RECV",
        SocketState::Established => "ESTAB",
        SocketState::FinWait1 => "FIN-WAIT-1",
        SocketState::FinWait2 => "FIN-WAIT-2",
        SocketState::TimeWait => "TIME-WAIT",
        SocketState::CloseWait => "CLOSE-WAIT",
        SocketState::LastAck => "LAST-ACK",
        SocketState::Listen => "LISTEN",
        SocketState::Closing => "CLOSING",
    }
}

fn row(socket: &SocketInfo, sessions: &[SessionInfo], now: SystemTime) -> Vec<String> {
    let age = now.duration_since(socket.create_time).unwrap_or_default();
    let id = socket.session_id.as_deref();
    // One that ended between the two calls has no lease any more.
    let session = sessions.iter().find(|session| Some(&*session.id) == id);
    vec![
        socket.handle.text(),
        kind::word(socket.domain, socket.kind, socket.protocol),
        socket.state.map(ss_state).text(),
        socket.receive_queue.text(),
        socket.send_queue.text(),
        socket.local_address.text(),
        socket.peer_address.text(),
        socket.owner.clone(),
        id.map(short_id).text(),
        session.map(|session| short(session.lease_left)).text(),
        short(age),
    ]
}

/// An age with the two largest units at most: "12s", "3m05s", "2h07m", "4d01h".
pub(crate) fn short(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if days > 0 {
        format!("{days}d{:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h{:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m{:02}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (185, "3m05s"),
            (7_620, "2h07m"),
            (349_200, "4d01h"),
        ] {
            assert_eq!(short(Duration::from_secs(seconds)), text);
        }
    }
}
