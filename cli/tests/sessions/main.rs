//! Sessions of several commands against one daemon, each command a process of its own, as at a shell.

mod cut;
mod demo;
mod errors;
mod forms;
mod forward;
mod hostile;
mod journal;
mod leaving;
mod nc;
mod options;
mod readme;
mod reconnect;
mod reset;
mod session;
mod shell;
mod signals;
mod socks;
mod splice;
mod tcp;
mod udp;
mod unix;
mod waiting;
