//! The commands: one file each, named as the command; a command checks its arguments, makes its call and prints the answer.

mod accept;
mod bind;
mod clock;
mod close;
mod completions;
mod connect;
mod demo;
mod forward;
mod getpeername;
mod getsockname;
mod host;
mod info;
mod interfaces;
mod journal;
mod listen;
mod ls;
mod man;
mod nc;
mod opt;
mod pair;
mod poll;
mod recv;
mod recvfrom;
mod recvmsg;
mod resolve;
mod send;
mod sendmsg;
mod sendto;
mod session;
mod shutdown;
mod socket;
mod splice;

use crate::{args::Global, exit::Failure, output::Output};

/// All commands, in the order in which one meets them.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    Demo(demo::Demo),
    Socket(socket::Socket),
    Pair(pair::Pair),
    Bind(bind::Bind),
    Listen(listen::Listen),
    Accept(accept::Accept),
    Connect(connect::Connect),
    Send(send::Send),
    Recv(recv::Recv),
    Sendto(sendto::Sendto),
    Recvfrom(recvfrom::Recvfrom),
    Sendmsg(sendmsg::Sendmsg),
    Recvmsg(recvmsg::Recvmsg),
    Shutdown(shutdown::Shutdown),
    Close(close::Close),
    Getsockname(getsockname::Getsockname),
    Getpeername(getpeername::Getpeername),
    Opt(opt::Opt),
    Poll(poll::Poll),
    Splice(splice::Splice),
    Nc(nc::Nc),
    Forward(forward::Forward),
    Ls(ls::Ls),
    Info(info::Info),
    Journal(journal::Journal),
    Session(session::Session),
    Host(host::Host),
    Interfaces(interfaces::Interfaces),
    Resolve(resolve::Resolve),
    Clock(clock::Clock),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Whether it opens a session for itself, whatever --session says.
    pub(crate) fn has_own_session(&self) -> bool {
        matches!(self, Self::Nc(_) | Self::Forward(_))
    }

    /// Runs the command that was typed.
    pub(crate) async fn run(self, global: &Global, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Demo(command) => command.run(global, output).await,
            Self::Socket(command) => command.run(global, output).await,
            Self::Pair(command) => command.run(global, output).await,
            Self::Bind(command) => command.run(global, output).await,
            Self::Listen(command) => command.run(global, output).await,
            Self::Accept(command) => command.run(global, output).await,
            Self::Connect(command) => command.run(global, output).await,
            Self::Send(command) => command.run(global, output).await,
            Self::Recv(command) => command.run(global, output).await,
            Self::Sendto(command) => command.run(global, output).await,
            Self::Recvfrom(command) => command.run(global, output).await,
            Self::Sendmsg(command) => command.run(global, output).await,
            Self::Recvmsg(command) => command.run(global, output).await,
            Self::Shutdown(command) => command.run(global, output).await,
            Self::Close(command) => command.run(global, output).await,
            Self::Getsockname(command) => command.run(global, output).await,
            Self::Getpeername(command) => command.run(global, output).await,
            Self::Opt(command) => command.run(global, output).await,
            Self::Poll(command) => command.run(global, output).await,
            Self::Splice(command) => command.run(global, output).await,
            Self::Nc(command) => command.run(global).await,
            Self::Forward(command) => command.run(global, output).await,
            Self::Ls(command) => command.run(global, output).await,
            Self::Info(command) => command.run(global, output).await,
            Self::Journal(command) => command.run(global, output).await,
            Self::Session(command) => command.run(global, output).await,
            Self::Host(command) => command.run(global, output).await,
            Self::Interfaces(command) => command.run(global, output).await,
            Self::Resolve(command) => command.run(global, output).await,
            Self::Clock(command) => command.run(global, output).await,
            Self::Completions(command) => command.run(output),
            Self::Man(command) => command.run(output),
        }
    }
}
