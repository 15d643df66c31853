//! A test that hangs ends its binary with its name.

use std::process::Command;

use farsock_testing as _;

#[test]
#[ignore = "it hangs: the other test runs it"]
fn this_one_hangs() {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_test_that_hangs_ends_its_binary_with_its_name() {
    let own = std::env::current_exe().expect("this is a program");
    let output = Command::new(own)
        .args(["--ignored", "--test-threads=2", "this_one_hangs"])
        .env("FARSOCK_TEST_LIMIT", "1")
        .output()
        .expect("it runs");
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("this_one_hangs"), "{output:?}");
}
