//! What the command line says of itself: the manual page and completions, made of the same comments as the help.

use std::io;

use clap::{Arg, Command, CommandFactory, builder::Resettable};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::{CommandLine, Settings};

const NAME: &str = "farsockd";

/// A script that makes a shell complete farsockd's command lines.
pub(super) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), NAME, &mut script);
    script
}

/// The page farsockd(8).
pub(super) fn manual_page() -> io::Result<Vec<u8>> {
    let mut command = CommandLine::command();
    command.build();
    let version = command.get_version().unwrap_or_default().to_owned();
    // Rendered below, where lines stay lines; the version is in the footer.
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let bare = command
        .clone()
        // After the name, which says who does.
        .about(about.trim_start_matches("farsockd ").to_owned())
        .after_help(Resettable::Reset)
        .after_long_help(Resettable::Reset)
        .version(Resettable::Reset);
    let mut page = Vec::new();
    clap_mangen::Man::new(bare)
        .section("8")
        // Quotes, since an empty date would be none, and the source stand for it.
        .date("\"\"")
        .source(format!("{NAME} {version}"))
        .render(&mut page)?;
    let mut roff = Roff::new();
    for (heading, lines) in closing_blocks(&command) {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        match heading.as_str() {
            "Examples" => {
                roff.control("nf", []);
                for line in lines.lines() {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []);
            }
            _ => items(&mut roff, &lines),
        }
        match heading.as_str() {
            "Exit status" => environment(&mut roff, &command),
            "Files" => keys(&mut roff),
            _ => {}
        }
    }
    roff.control("SH", ["SEE ALSO"])
        .text([bold("farsock"), roman("(1)")]);
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// A block of names and what is said of them; a line without a name goes on with what the one before says.
fn items(roff: &mut Roff, lines: &str) {
    for line in lines.lines() {
        let line = line.strip_prefix("  ").unwrap_or(line);
        match line.split_once("  ") {
            Some(("", more)) => roff.text([roman(more.trim())]),
            Some((name, text)) => {
                roff.control("TP", []).text([bold(name)]);
                roff.text([roman(text.trim())])
            }
            None => roff.text([roman(line)]),
        };
    }
}

fn environment(roff: &mut Roff, command: &Command) {
    roff.control("SH", ["ENVIRONMENT"]);
    for argument in command.get_arguments() {
        if let (Some(name), Some(flag)) = (argument.get_env(), argument.get_long()) {
            roff.control("TP", []).text([bold(name.to_string_lossy())]);
            roff.text([roman(format!("What holds without --{flag}."))]);
        }
    }
    for (name, text) in [
        (
            "XDG_RUNTIME_DIR",
            "Where the socket is without --listen, unless the daemon is root's.",
        ),
        (
            "NO_COLOR",
            "If not empty, no colours in a log on a terminal.",
        ),
    ] {
        roff.control("TP", []).text([bold(name)]);
        roff.text([roman(text)]);
    }
}

/// The keys of the configuration file: those of the flags that are settings.
fn keys(roff: &mut Roff) {
    roff.control("PP", []).text([roman(
        "The file is TOML and has a key for each setting; one that is not known is an error. \
         FORMAT, FILTER, DURATION and addresses are strings, and listen is an array of them:",
    )]);
    for (key, argument) in settings() {
        let value = argument.get_value_names().unwrap_or_default().join(" ");
        let value = match key.as_str() {
            "listen" => format!("[{value}, ...]"),
            _ => value,
        };
        roff.control("TP", [])
            .text([bold(key), roman(" = "), italic(value)]);
        let help = argument.get_help().map(ToString::to_string);
        roff.text([roman(help.unwrap_or_default())]);
    }
}

/// The settings' keys in the file, and their flags.
fn settings() -> Vec<(String, Arg)> {
    let command = <Settings as clap::Args>::augment_args(Command::new(NAME));
    let arguments = command.get_arguments().cloned();
    arguments
        .map(|argument| (argument.get_id().to_string(), argument))
        .collect()
}

/// The blocks after the help's options: a heading, which ends in a colon, and its lines.
fn closing_blocks(command: &Command) -> Vec<(String, String)> {
    let text = command
        .get_after_long_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    text.split("\n\n")
        .filter_map(|block| block.split_once(":\n"))
        .map(|(heading, lines)| (heading.to_owned(), lines.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        String::from_utf8(manual_page().unwrap()).unwrap()
    }

    #[test]
    fn the_page_has_each_section_once_and_in_the_order_of_manual_pages() {
        let page = page();
        let sections: Vec<&str> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "))
            .collect();
        assert_eq!(
            sections,
            [
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
                "OPTIONS",
                "SIGNALS",
                "\"EXIT STATUS\"",
                "ENVIRONMENT",
                "FILES",
                "EXAMPLES",
                "\"SEE ALSO\""
            ]
        );
        let title = format!(
            "\n.TH farsockd 8 \"\" \"farsockd {}\"",
            env!("CARGO_PKG_VERSION")
        );
        assert!(page.contains(&title), "{page}");
    }

    #[test]
    fn the_page_tells_signals_exit_status_and_examples_as_typed() {
        let page = page();
        for part in [
            ".TP\n\\fBSIGTERM, SIGINT, SIGQUIT\\fR\nthe first ends the daemon in order",
            "\nends it at once. So do SIGXCPU and SIGPWR\n",
            ".TP\n\\fB2\\fR\nthe command line or the configuration is wrong\n",
            ".TP\n\\fB/etc/farsock/farsockd.toml\\fR\nsettings, unless",
            ".SH EXAMPLES\n.nf\n  farsockd &",
        ] {
            assert!(page.contains(part), "{part}\nis not in\n{page}");
        }
    }

    #[test]
    fn every_setting_is_told_as_a_variable_and_as_a_key_that_the_file_knows() {
        let page = page();
        let all = super::super::Config::embedded().to_toml().unwrap();
        assert_eq!(settings().len(), all.lines().count());
        for (key, argument) in settings() {
            assert!(
                all.lines()
                    .any(|line| line.starts_with(&format!("{key} = "))),
                "{all}"
            );
            assert!(
                page.contains(&format!(".TP\n\\fB{key}\\fR = ")),
                "{key}\n{page}"
            );
            let variable = argument.get_env().unwrap().to_string_lossy();
            assert!(
                page.contains(&format!(".TP\n\\fB{variable}\\fR\n")),
                "{variable}"
            );
        }
        assert!(page.contains("\\fBFARSOCKD_CONFIG\\fR"), "{page}");
    }

    #[test]
    fn completions_know_the_flags() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completions(shell)).unwrap();
            assert!(script.contains("print-config"), "{shell}: {script}");
        }
    }
}
