//! farsockd: the daemon.

use std::{
    io::{self, Write},
    process::ExitCode,
    thread,
};

use clap::Parser;
use farsock_daemon::{
    config::{CommandLine, Config},
    log,
    server::Server,
    shutdown::Shutdown,
};

fn main() -> ExitCode {
    let command_line = CommandLine::parse();
    if let Some(document) = command_line.document() {
        return ended(
            document
                .map_err(Failure::from)
                .and_then(|text| print(&text)),
        );
    }
    // Before the configuration: the default number of handles follows from it.
    farsock_daemon::raise_descriptor_limit();
    farsock_daemon::keep_freed_memory();
    let print = command_line.print_config();
    let config = match command_line.into_config() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("farsockd: {error}");
            return ExitCode::from(2);
        }
    };
    let result = if print {
        print_config(&config)
    } else {
        serve(config)
    };
    ended(result)
}

type Failure = Box<dyn std::error::Error>;

fn ended(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farsockd: {error}");
            ExitCode::FAILURE
        }
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

fn serve(config: Config) -> Result<(), Failure> {
    log::init(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(thread::available_parallelism().map_or(1, usize::from))
        // Half of the default; the deepest stack here is that of getaddrinfo(3) and its plug-ins.
        .thread_stack_size(1 << 20)
        .thread_name("farsockd")
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let server = Server::bind(config).await?.giving_memory_back();
        server.run(shutdown).await;
        Ok(())
    });
    // A look-up that still runs is left to end with the process.
    runtime.shutdown_background();
    served
}
