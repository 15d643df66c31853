//! `farsock forward`: connections carried between this host and the daemon's, as ssh's -L, -R and -D carry them.
//!
//! Tasks: one for each listening socket, of this host owned by the command, which aborts it at its end, of the daemon's by its session; one
//! for each connection, owned by the task that accepted it. A connection whose task is aborted is reset on both hosts; nothing else depends on it.

mod accept;
mod dynamic;
mod listener;
mod places;
mod relay;
mod session;
mod side;
mod socks;
mod spec;
mod udp;

use std::sync::Arc;

use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};

use self::{
    accept::{Goal, Route, Shared},
    places::{Places, raise_descriptors},
    session::{Life, Tasks, Way},
    side::Side,
    spec::{Dynamic, Forwarding, Listen},
};
use crate::{
    args::Global,
    endpoint::end_session,
    exit::Failure,
    output::{Format, Output},
    traffic::{dial::Dialing, signals::Signals},
};

/// Carry connections between this host and the daemon's, as ssh's -L, -R and -D do
///
/// Once everything listens, prints a line for each forward, those of -L before those of -R and -D; with `-o raw` its first address alone, which for port 0 has the port that the kernel
/// chose. Then it goes on until Ctrl-C, SIGTERM, SIGHUP or SIGQUIT, which end it with exit status 0. A connection that cannot be made, or that the daemon ends, is
/// told on stderr and ends alone. At most 1024 connections are carried at once, and more wait, which is told once, as is when there is room again.
/// A client that leaves while its connection is being made has no place any more. One that has only ended its sending direction looks the same:
/// up to 64 of those are waited with, and then the oldest is reset.
///
/// Each direction has an end of its own, as between the peers. A connection that is reset on one side is reset on the other, and one that is lost
/// with its session, the daemon or this command, or that cannot be made, is reset on both, so that what was cut off does not look complete; where
/// this command is killed (SIGKILL) or the way to the daemon breaks, the daemon's side within 30 s. A unix socket knows a reset only where bytes
/// are left unread; else its peer sees an end.
///
/// Connections survive that the way to the daemon breaks, for up to 30 s. When the daemon is restarted, or away for longer, they are lost, and
/// the command goes on: as soon as the daemon is back, everything is as it was, and what -R listens at is listened at again. Until then new
/// connections are reset. All of it is told on stderr. With --no-reconnect the command ends instead, with exit status 4. That the
/// daemon is not there at first ends it in any case, with 3.
///
/// BIND is the address to listen at. Without it: the loopback addresses, 127.0.0.1 and ::1. Empty or "*": all addresses. Names to
/// connect to are resolved where the connection is made from. An IPv6 address stands in brackets. A field with a slash is the path of
/// a unix socket, in which a backslash stands before a colon. A path that is listened at must not exist; on this host it is removed at the end, on the
/// daemon's it stays. After a restart it is in the way there, unless this command can remove it, since both hosts are the same one: else
/// it is tried again until somebody has removed it.
///
/// The sockets live in a session of this command's own, which ends with it, whatever --session says. --timeout is how long connecting
/// from the daemon's host may take.
#[derive(clap::Args)]
#[command(
    group = clap::ArgGroup::new("forwards").required(true).multiple(true),
    override_usage = "farsock forward [OPTIONS] <-L FORWARD|-R FORWARD|-D [BIND:]PORT>...",
    after_help = "\
Examples:
  farsock forward -L 8080:intranet.example:80    localhost:8080 is the daemon's intranet.example:80
  farsock forward -R '*:8080:localhost:3000'     its port 8080 is localhost:3000 of this host
  farsock forward -D 1080 -v                     curl --socks5-hostname localhost:1080 ...
  farsock forward -L /tmp/db.sock:/run/postgresql/.s.PGSQL.5432
  farsock forward -L '[::1]:5353:[2001:db8::1]:53' -R 2222:localhost:22
  read ADDRESS < <(farsock forward -o raw -D 0)  a port that the kernel chooses
  PID=$!                                         and at the end: kill $PID"
)]
pub(crate) struct Forward {
    /// Listen on this host, connect from the daemon's
    ///
    /// Either end may be the path of a unix socket: 8080:/run/a.sock, /tmp/a.sock:host:80, /tmp/a.sock:/run/a.sock.
    #[arg(
        short = 'L',
        long,
        value_name = "[BIND:]PORT:HOST:HOSTPORT",
        group = "forwards"
    )]
    local: Vec<Forwarding>,
    /// Listen on the daemon's host, connect from this one; forms as of -L
    #[arg(
        short = 'R',
        long,
        value_name = "[BIND:]PORT:HOST:HOSTPORT",
        group = "forwards"
    )]
    remote: Vec<Forwarding>,
    /// Be a SOCKS 5 server on this host, whose connections and datagrams come from the daemon's
    ///
    /// CONNECT and UDP ASSOCIATE, to IPv4 and IPv6 addresses and names, without authentication.
    #[arg(short = 'D', long, value_name = "[BIND:]PORT", group = "forwards")]
    dynamic: Vec<Dynamic>,
    /// Tell each connection's end on stderr: bytes each way, and their rate
    #[arg(short, long)]
    verbose: bool,
    /// End, with exit status 4, when the session with the daemon is over, such as by its restart
    #[arg(long)]
    no_reconnect: bool,
}

impl Forward {
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        let mut signals = Signals::install()?;
        raise_descriptors();
        let connection = tokio::select! {
            opened = global.open_session("forward") => opened?,
            code = signals.next() => return Err(Failure::Interrupted(code)),
        };
        let life = Life::of(&connection)?;
        // One failure is enough to end, so that there is room for no more.
        let (fatal, mut failed) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            way: Way::by(life.clone()),
            dialing: Dialing {
                timeout: global.timeout,
                ..Dialing::default()
            },
            places: Places::new(),
            verbose: self.verbose,
            fatal,
        });
        let (mut listeners, mut tasks) = (JoinSet::new(), Tasks::new());
        let reconnects = !self.no_reconnect;
        let result = tokio::select! {
            result = self.listen(&life, &shared, output, &mut listeners, &mut tasks) => result,
            code = signals.next() => Err(Failure::Interrupted(code)),
        };
        let result = match result {
            Ok(()) => tokio::select! {
                _ = signals.next() => Ok(()),
                Some(failure) = failed.recv() => Err(failure),
                failure = sessions(life, tasks, &shared, reconnects) => Err(failure),
            },
            failure => failure,
        };
        // Waited for, so that the paths they listened at are gone.
        listeners.shutdown().await;
        // The daemon that is away hears nothing.
        if let Ok(life) = shared.way.life() {
            end_session(&life.client).await;
        }
        result
    }

    /// Listens for every forward, or for none; says so; and only then accepts.
    async fn listen(
        self,
        life: &Life,
        shared: &Arc<Shared>,
        output: &mut Output,
        here: &mut JoinSet<()>,
        there: &mut Tasks,
    ) -> Result<(), Failure> {
        let routes = self.local.into_iter().map(|forwarding| {
            let target = forwarding.target.clone();
            let goal = Goal::Target(Side::There, target);
            ("-L", Side::Here, forwarding.listen, goal)
        });
        let routes = routes.chain(self.remote.into_iter().map(|forwarding| {
            let target = forwarding.target.clone();
            let goal = Goal::Target(Side::Here, target);
            ("-R", Side::There, forwarding.listen, goal)
        }));
        let routes = routes.chain(self.dynamic.into_iter().map(|Dynamic { bind, port }| {
            let listen = Listen::Tcp { bind, port };
            ("-D", Side::Here, listen, Goal::Socks)
        }));
        let mut listening = Vec::new();
        for (letter, side, listen, goal) in routes {
            let listeners = side.listen(&life.client, &listen).await?;
            listening.push((Route { letter, goal }, listeners));
        }
        for (route, listeners) in &listening {
            let addresses: Vec<String> = listeners.iter().map(|one| one.name()).collect();
            let (letter, goal) = (route.letter, route.goal.to_string());
            match output.format() {
                Format::Table => {
                    output.line(format_args!("{letter} {} -> {goal}", addresses.join(", ")))?
                }
                Format::Raw => output.line(&addresses[0])?,
                Format::Json => output.json(&json!({
                    "forward": letter,
                    "addresses": addresses,
                    "target": goal,
                }))?,
            }
        }
        output.flush()?;
        for (route, listeners) in listening {
            let route = Arc::new(route);
            for listener in listeners {
                let (route, shared) = (Arc::clone(&route), Arc::clone(shared));
                match listener.place().cloned() {
                    Some(place) => {
                        let life = life.clone();
                        there.spawn(accept::there(listener, place, route, life, shared));
                    }
                    None => {
                        here.spawn(accept::here(listener, route, shared));
                    }
                }
            }
        }
        Ok(())
    }
}

/// One session after the other, and why there is no other.
async fn sessions(
    mut life: Life,
    mut tasks: Tasks,
    shared: &Arc<Shared>,
    reconnects: bool,
) -> Failure {
    loop {
        let why = session::follow(&life, shared).await;
        if !reconnects {
            return why;
        }
        match session::next(&life, &why, tasks, shared).await {
            Ok(next) => (life, tasks) = next,
            Err(failure) => return failure,
        }
    }
}
