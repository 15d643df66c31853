//! `farsock session`: sockets that are closed when nobody uses them any more.

use std::time::{Duration, SystemTime};

use farsock_client::{OnExpiry, SessionInfo, SessionOptions};
use farsock_proto::time::parse_duration;
use serde_json::json;

use crate::{
    args::{Global, session_id},
    cmd::ls::short,
    exit::{Failure, Tried},
    output::{Format, Output},
    show::{Fields, Show},
};

/// Open, list and close sessions
///
/// A session owns the sockets that are made in it (--session). Each command in it renews its lease; when the lease is over, its sockets are
/// closed: a script that dies leaves nothing behind.
#[derive(clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Session {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    Ls(Ls),
    Open(Open),
    Close(Close),
}

impl Session {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        match self.verb {
            Verb::Ls(verb) => verb.run(global, output).await,
            Verb::Open(verb) => verb.run(global, output).await,
            Verb::Close(verb) => verb.run(global, output).await,
        }
    }
}

/// List one's own sessions, oldest first
///
/// LEFT is what is left of the lease, ATTACHED whether a program's stream of operations is, KEPT how many results wait for their
/// acknowledgement. With -o json: one array with an object for each, durations in seconds.
#[derive(clap::Args)]
struct Ls {}

impl Ls {
    async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        const HEADER: [&str; 9] = [
            "ID",
            "LABEL",
            "LEASE",
            "LEFT",
            "ATTACHED",
            "SOCKETS",
            "IN-FLIGHT",
            "KEPT",
            "AGE",
        ];
        let client = global.client().await?;
        let sessions = client.sessions().await.tried(|| "session ls".to_owned())?;
        if output.format() == Format::Json {
            let sessions: Vec<_> = sessions.iter().map(|of| fields(of).json()).collect();
            return Ok(output.json(&json!(sessions))?);
        }
        // Ages are differences within the daemon's clock: this host's may say something else.
        let clock = client.clock().await.tried(|| "session ls".to_owned())?;
        let rows: Vec<_> = sessions.iter().map(|of| row(of, clock.realtime)).collect();
        Ok(output.rows(&HEADER, &rows)?)
    }
}

fn row(session: &SessionInfo, now: SystemTime) -> Vec<String> {
    let age = now.duration_since(session.create_time).unwrap_or_default();
    let label = match session.label.as_str() {
        "" => "-".to_owned(),
        label => label.to_owned(),
    };
    vec![
        session.id.clone(),
        label,
        short(session.lease),
        short(session.lease_left),
        session.attached.text(),
        session.sockets.text(),
        session.in_flight.text(),
        session.kept_results.text(),
        short(age),
    ]
}

fn fields(session: &SessionInfo) -> Fields {
    let on_expiry = match session.on_expiry {
        OnExpiry::Close => "close",
        OnExpiry::Abort => "abort",
    };
    Fields::default()
        .with("session_id", session.id.clone())
        .with("label", session.label.clone())
        .with("lease", session.lease)
        .with("lease_left", session.lease_left)
        .with("on_expiry", on_expiry)
        .with("create_time", session.create_time)
        .with("attached", session.attached)
        .with("sockets", session.sockets)
        .with("in_flight", session.in_flight)
        .with("kept_results", session.kept_results)
}

/// Open a session and print its id
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  export FARSOCK_SESSION=$(farsock session open --lease 1h)   all commands from here on are in it
  farsock session open --lease 5m --label nightly")]
struct Open {
    /// How long it lives without a command in it, 1s to 1h [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    lease: Option<Duration>,
    /// When the lease is over, or the daemon ends, reset TCP connections instead of ending them in good order
    #[arg(long)]
    abort: bool,
    /// A name for people, at most 256 bytes
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    label: String,
}

impl Open {
    async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let client = global.client().await?;
        let options = SessionOptions {
            lease: self.lease,
            on_expiry: if self.abort {
                OnExpiry::Abort
            } else {
                OnExpiry::Close
            },
            label: self.label,
        };
        let id = client
            .open_session_detached(options)
            .await
            .tried(|| "session open".to_owned())?;
        Ok(output.value(&id, &json!({ "session_id": id }))?)
    }
}

/// Close sessions, and their sockets
///
/// Operations that wait end. All sessions are tried, whatever becomes of the others; the first failure decides the exit code.
#[derive(clap::Args)]
struct Close {
    /// The sessions' ids
    #[arg(value_name = "ID", required = true, value_parser = session_id)]
    ids: Vec<String>,
    /// Reset TCP connections instead of ending them in good order
    #[arg(long)]
    abort: bool,
}

impl Close {
    async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let client = global.client().await?;
        let mut first = None;
        for id in self.ids {
            if let Err(error) = client.close_session(&id, self.abort).await {
                let failure = Failure::of(format!("session close {id}"), &error);
                match &first {
                    None => first = Some(failure),
                    Some(_) => failure.tell(),
                }
            }
        }
        match first {
            Some(failure) => Err(failure),
            None => Ok(output.done()?),
        }
    }
}
