//! The process around the API, end to end: listeners, limits, health, reflection, shutdown, configuration.

mod allowed;
mod config;
mod deadline;
mod drain;
mod embedded;
mod flood;
mod host;
mod http;
mod journal;
mod limits;
mod linger;
mod log;
mod process;
mod reload;
mod services;
mod support;
mod unix;
