//! farsockd: the daemon.

use std::{
    io::{self, Write},
    process::ExitCode,
    thread,
};

use clap::Parser;
use farsock_daemon::{
    EssentialEnded,
    config::{CommandLine, Config},
    log::{self, Log},
    reload::Reload,
    server::Server,
    shutdown::Shutdown,
    signals::{self, Signals},
};

fn main() -> ExitCode {
    // Before anything else: a signal must not end it between its start and its first connection.
    signals::ignore_signals();
    let command_line = CommandLine::parse();
    if let Some(document) = command_line.document() {
        return ended(
            document
                .map_err(Failure::from)
                .and_then(|text| print(&text)),
            log::say_early,
        );
    }
    // Before the configuration: the default number of handles follows from it.
    farsock_daemon::raise_descriptor_limit();
    farsock_daemon::keep_freed_memory();
    let print = command_line.print_config();
    let config = match command_line.clone().into_config() {
        Ok(config) => config,
        Err(error) => {
            log::say_early(&format!("farsockd: {error}"));
            return ExitCode::from(2);
        }
    };
    if print {
        return ended(print_config(&config), log::say_early);
    }
    let log = match Log::start(&config) {
        Ok(log) => log,
        Err(error) => return ended(Err(error.into()), log::say_early),
    };
    log.panics();
    let code = ended(serve(command_line, config, &log), |line| log.say(line));
    log.finish();
    code
}

type Failure = Box<dyn std::error::Error>;

/// The exit code when an essential task has ended.
const BROKEN: u8 = 3;

fn ended(result: Result<(), Failure>, say: impl FnOnce(&str)) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    say(&format!("farsockd: {error}"));
    if error.is::<EssentialEnded>() {
        ExitCode::from(BROKEN)
    } else {
        ExitCode::FAILURE
    }
}

fn print_config(config: &Config) -> Result<(), Failure> {
    print(config.to_toml()?.as_bytes())
}

fn print(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(text) {
        // Who pipes into `head` has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn serve(command_line: CommandLine, config: Config, log: &Log) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(thread::available_parallelism().map_or(1, usize::from))
        // Half of the default; the deepest stack here is that of getaddrinfo(3) and its plug-ins.
        .thread_stack_size(1 << 20)
        .thread_name("farsockd")
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let signals = Signals::install()?;
        let shutdown = Shutdown::new();
        let server = Server::bind(config.clone()).await?.giving_memory_back();
        let reload = Reload::new(command_line, config, log.clone(), server.live());
        let handling = signals.serve(shutdown.clone(), reload);
        let server = server.with_essential("the task that handles signals", handling);
        // A task of its own, so that its panic ends the process with a message and a code as well.
        match tokio::spawn(server.run(shutdown)).await {
            Ok(served) => Ok(served?),
            Err(_panic) => Err(EssentialEnded::panicked("the server").into()),
        }
    });
    // A look-up that still runs is left to end with the process.
    runtime.shutdown_background();
    served
}
