//! The help texts are what most people read first, and the names in them live for ever: a change of either has to be
//! meant. `cargo insta review`, or `INSTA_UPDATE=always` on a test run, takes new texts over.
#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::process::Command;

fn help(verb: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_maestro-cli"))
        .args(verb)
        .arg("--help")
        // The width of the terminal changes the text.
        .env("COLUMNS", "100")
        .output()
        .unwrap();
    assert!(output.status.success(), "{verb:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_of_the_program_and_of_each_verb() {
    let verbs: [&[&str]; 35] = [
        &[],
        &["apply"],
        &["diff"],
        &["create"],
        &["update"],
        &["get"],
        &["status"],
        &["watch"],
        &["top"],
        &["wait"],
        &["rooms"],
        &["room"],
        &["scale"],
        &["scale-in"],
        &["scale-in", "pause"],
        &["scale-in", "resume"],
        &["delete"],
        &["explain"],
        &["events"],
        &["export"],
        &["deploy-policy"],
        &["policy"],
        &["policy", "deploy"],
        &["policy", "list"],
        &["policy", "get"],
        &["policies"],
        &["logs"],
        &["nodes"],
        &["drain-node"],
        &["context"],
        &["context", "add"],
        &["context", "use"],
        &["context", "list"],
        &["context", "remove"],
        &["completions"],
    ];
    for verb in verbs {
        let name = [&["maestro-cli"], verb].concat().join("-");
        insta::assert_snapshot!(name, help(verb));
    }
}

#[test]
fn every_verb_has_its_text_above() {
    let listed = help(&[]);
    let commands = listed
        .split_once("Commands:\n")
        .unwrap()
        .1
        .split_once("\n\n")
        .unwrap()
        .0;
    let verbs: Vec<&str> = commands
        .lines()
        // A verb's further lines are indented more.
        .filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let known = [
        "apply",
        "diff",
        "create",
        "update",
        "get",
        "status",
        "watch",
        "top",
        "wait",
        "rooms",
        "room",
        "scale",
        "scale-in",
        "delete",
        "explain",
        "events",
        "export",
        "deploy-policy",
        "policy",
        "policies",
        "logs",
        "context",
        "completions",
        "help",
    ];
    assert_eq!(verbs, known);
}
