//! Sessions of several commands against one daemon, each command a process of its own, as at a shell.

mod demo;
mod errors;
mod forms;
mod options;
mod readme;
mod shell;
mod tcp;
mod udp;
mod unix;
mod waiting;
