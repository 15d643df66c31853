//! farsock: sockets on any host, from a shell.

mod address;
mod args;
mod cmd;
mod demo;
mod endpoint;
mod exit;
mod flags;
mod kind;
mod output;
mod payload;
mod received;
mod show;
mod tcp_info;
mod traffic;

use std::process::ExitCode;

use clap::Parser;
use farsock_proto::escape;

use crate::{
    args::Args,
    exit::Failure,
    output::{Format, Output},
};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        // Help is asked for, and no error.
        Err(error) if error.use_stderr() && args::asks_for_json(std::env::args_os()) => {
            output::suit(Format::Json);
            return Failure::of_usage(&error).report();
        }
        Err(error) => return report_usage(&error),
    };
    output::suit(args.global.output);
    let mut output = Output::stdout(args.global.output);
    let outcome = run(args, &mut output).and_then(|()| Ok(output.flush()?));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // What was printed before the failure is part of the answer.
            let _ = output.flush();
            failure.report()
        }
    }
}

/// Prints help, or what is wrong with the command line, and tells the exit code. Arguments may hold what a peer chose.
fn report_usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    if error.use_stderr() && text.chars().any(|c| c != '\n' && !escape::is_plain(c)) {
        output::lines(&text);
    } else {
        // Coloured, if that suits the terminal.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run(args: Args, output: &mut Output) -> Result<(), Failure> {
    let Args { global, command } = args;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::Local(format!("cannot start: {error}")))?;
    let joins = global.session.is_some() && !command.has_own_session();
    let outcome = runtime.block_on(command.run(&global, output));
    // A look-up of a name on this host cannot be ended, and after Ctrl-C is not worth waiting for.
    runtime.shutdown_background();
    outcome.map_err(|failure| if joins { failure.in_session() } else { failure })
}
