//! The README's console sessions, run line by line in a shell and compared with the answers printed there.
//!
//! Two answers are the same if they differ in nothing but port numbers, which must then differ in one way throughout: what is
//! printed as 4000 in one place must not be two ports in truth. So each run may use ports that are free, and the printed ones are
//! those that a reader gets, or like them.

use std::{ffi::OsStr, fs, path::Path, process::Command};

/// One command and what it is said to print.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    /// Its line in the file, from 1.
    line: usize,
    command: String,
    answer: String,
}

/// Runs the steps in the README's section of that heading, in its order. `replacements` are texts of the commands, and what stands
/// in their place here; `environment` is added to the shell's.
///
/// # Panics
/// The section has no steps, or one of them answers differently.
pub(crate) fn check(
    heading: &str,
    replacements: &[(&str, String)],
    environment: &[(&str, &OsStr)],
) {
    let readme = readme();
    let steps = steps(&readme, heading);
    assert!(!steps.is_empty(), "no console session below {heading:?}");
    let (mut printed, mut true_ports) = (Ports::default(), Ports::default());
    for step in steps {
        let command = replace(&step.command, replacements);
        let answer = run(&command, environment);
        // The commands' own ports too, in which both sides must agree.
        let expected = printed.name(&format!("{}\n{}", step.command, step.answer));
        let actual = true_ports.name(&format!("{command}\n{answer}"));
        let (_, expected) = expected.split_once('\n').expect("it was put there");
        let (_, actual) = actual.split_once('\n').expect("it was put there");
        assert_eq!(
            without_reason(actual),
            without_reason(expected),
            "README.md, line {}, run as {command}\nanswers:\n{answer}\nnot:\n{}",
            step.line,
            step.answer
        );
    }
}

/// The README.
pub(crate) fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    fs::read_to_string(path).expect("it stands at the top of the repository")
}

/// Text whose ports have names, by which two runs can be compared.
#[derive(Default)]
pub(crate) struct Ports(Vec<String>);

impl Ports {
    /// Names the ports, which are all numbers from 1,024 to 65,535, in the order in which they first appear in any text.
    pub(crate) fn name(&mut self, text: &str) -> String {
        let mut named = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !c.is_ascii_digit());
            let (number, after) = from.split_at(end.unwrap_or(from.len()));
            named += before;
            named += &match number.parse::<u64>() {
                Ok(1_024..=65_535) => self.port(number),
                _ => number.to_owned(),
            };
            rest = after;
        }
        named + rest
    }

    fn port(&mut self, number: &str) -> String {
        let known = self.0.iter().position(|one| one == number);
        let index = known.unwrap_or_else(|| {
            self.0.push(number.to_owned());
            self.0.len() - 1
        });
        format!("<port {index}>")
    }
}

/// The commands, which follow "$ ", and the answers in the section's blocks of "console".
fn steps(markdown: &str, heading: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_section, mut block) = (false, None);
    for (index, line) in markdown.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            block = block.is_none().then_some(language);
        } else if block.is_none() && line.starts_with('#') {
            in_section = line.trim_start_matches('#').trim() == heading;
        } else if in_section && block == Some("console") {
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (Some(command), _) => steps.push(Step {
                    line: index + 1,
                    command: command.to_owned(),
                    answer: String::new(),
                }),
                (None, Some(step)) => step.answer = format!("{}{line}\n", step.answer),
                (None, None) => panic!("line {} answers no command", index + 1),
            }
        }
    }
    steps
}

/// Replaces texts in one pass, so that none is found in another's replacement.
fn replace(mut rest: &str, replacements: &[(&str, String)]) -> String {
    let mut replaced = String::new();
    while let Some(next) = rest.chars().next() {
        let found = replacements
            .iter()
            .find_map(|(text, by)| rest.strip_prefix(text).map(|after| (by, after)));
        if let Some((by, after)) = found {
            replaced += by;
            rest = after;
        } else {
            replaced.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    replaced
}

/// What a person would see: both outputs, and no blanks at the ends of lines.
fn run(command: &str, environment: &[(&str, &OsStr)]) -> String {
    let output = Command::new("/bin/sh")
        .args(["-c", &format!("exec 2>&1\n{command}")])
        .envs(environment.iter().copied())
        .output()
        .expect("there is a shell");
    let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// An answer without the sentence of DeadlineExceeded, which client and daemon end with at the same instant, each in its words.
fn without_reason(answer: &str) -> String {
    let late = answer.contains("Code: DeadlineExceeded");
    answer
        .lines()
        .filter(|line| !(late && line.trim_start().starts_with("Message: ")))
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

#[test]
fn the_steps_are_those_of_the_sections_console_blocks() {
    let text = "# A\n```console\n$ no\n```\n## B\n```sh\n$ no\n```\n```console\n$ x 1\ny\n# z\n$ w\n```\n## C\n";
    let step = |line, command: &str, answer: &str| Step {
        line,
        command: command.to_owned(),
        answer: answer.to_owned(),
    };
    assert_eq!(
        steps(text, "B"),
        [step(10, "x 1", "y\n# z\n"), step(13, "w", "")]
    );
}

#[test]
fn ports_are_named_in_the_order_of_their_appearance() {
    let mut ports = Ports::default();
    assert_eq!(
        ports.name("127.0.0.1:4000 -> :40001, 70000"),
        "127.0.0.1:<port 0> -> :<port 1>, 70000"
    );
    assert_eq!(ports.name("[40001, 4000, 5]"), "[<port 1>, <port 0>, 5]");
}
