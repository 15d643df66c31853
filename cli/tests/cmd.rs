//! Single commands, compared word for word: help texts, usage errors, and what a daemon within the command answers.

#[test]
fn commands_print_what_their_sessions_show() {
    trycmd::TestCases::new()
        // Help texts wrap at the terminal's width, for which this stands where there is none.
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd")
        .case("tests/cmd/help/*.trycmd")
        .run();
}
