//! The README's Rust example is the crate's own, which is compiled and run as its doc test.

use std::{fs, path::Path};

#[test]
fn the_readmes_example_is_that_of_the_crates_front_page() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let front_page = fs::read_to_string(crate_folder.join("src/lib.rs")).unwrap();
    let front_page: String = front_page
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        // What rustdoc hides.
        .filter(|line| *line != "#" && !line.starts_with("# "))
        .flat_map(|line| [line, "\n"])
        .collect();
    let readme = fs::read_to_string(crate_folder.join("../README.md")).unwrap();
    assert_eq!(fenced(&readme, "```rust\n"), fenced(&front_page, "```\n"));
}

/// What stands between the first such fence and its end.
fn fenced<'a>(markdown: &'a str, fence: &str) -> &'a str {
    let (_, from) = markdown.split_once(fence).expect("there is an example");
    let (code, _) = from.split_once("```").expect("it ends");
    code
}
