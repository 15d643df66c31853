//! What the README prints of `farsock`: the demo's beginning, and the session at the shell.

use std::{env, net::TcpListener, path::Path};

use crate::shell::{Shell, farsock, text};

#[path = "../../../daemon/tests/interop/transcript.rs"]
mod transcript;

use transcript::Ports;

#[test]
fn the_readmes_session_answers_as_printed() {
    let shell = Shell::start();
    let folder = Path::new(env!("CARGO_BIN_EXE_farsock")).parent();
    let folders = folder.map(Path::to_owned).into_iter();
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(folders.chain(env::split_paths(&path))).unwrap();
    // Taken and given back: the session's own may be in use.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let replacements = [("127.0.0.1:4000", free.unwrap().to_string())];
    let environment = [
        ("PATH", path.as_os_str()),
        ("FARSOCK_ADDR", shell.address().as_ref()),
    ];
    transcript::check("The command line", &replacements, &environment);
}

#[test]
fn the_demo_begins_as_the_readme_prints_it() {
    let readme = transcript::readme();
    let block = readme
        .split("```")
        .find(|block| block.starts_with("text\n# TCP"));
    let printed = block.expect("the README has it").strip_prefix("text\n");
    let printed = Ports::default().name(printed.expect("it was found by that"));

    let output = farsock().arg("demo").output().unwrap();
    let shown = Ports::default().name(&text(&output.stdout));
    assert!(shown.starts_with(&printed), "{shown}\nis not\n{printed}");
}
