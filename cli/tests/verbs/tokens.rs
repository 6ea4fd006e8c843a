//! The token that is sent: which one, and to whom.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::beside::{Ran, command, ended};

const BODY: &str = r#"{"code":"MAE-005","error":"an operator's token is needed","description":"send one","success":false,"problems":[],"warnings":[]}"#;

/// Refuses every request as a Maestro does that knows no token, and hands on which one was sent.
fn guarded() -> (String, Receiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tx, rx) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let sent = head.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("authorization")
                    .then(|| value.to_owned())
            });
            let length = BODY.len();
            let answer = format!(
                "HTTP/1.1 401 Unauthorized\r\nx-maestro-version: 0.1.0\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{BODY}"
            );
            if stream.write_all(answer.as_bytes()).is_err() || tx.send(sent).is_err() {
                return;
            }
        }
    });
    (url, rx)
}

fn run(config: &Path, url: &str, token: &str, arguments: &[&str]) -> Ran {
    ended(
        command(url, arguments)
            .env("MAESTRO_TOKEN", token)
            .env("XDG_CONFIG_HOME", config)
            .stdin(Stdio::null()),
    )
}

#[test]
fn the_closest_token_is_sent_and_none_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path();
    let (url, sent) = guarded();
    let check = |token: &str, arguments: &[&str], expected: Option<&str>| {
        let ran = run(config, &url, token, arguments);
        assert_eq!(ran.code, 1, "{arguments:?}: {}", ran.err);
        assert!(
            ran.err.contains("an operator's token is needed"),
            "{arguments:?}: {}",
            ran.err
        );
        assert_eq!(sent.recv().unwrap().as_deref(), expected, "{token} {arguments:?}");
    };
    check("", &["get"], None);
    check("around", &["get"], Some("Bearer around"));
    check(" around\n", &["policies"], Some("Bearer around"));
    check("around", &["get", "--token", "said"], Some("Bearer said"));
    check("around", &["delete", "pong", "--yes"], Some("Bearer around"));
    check("around", &["scale", "pong", "-r", "3"], Some("Bearer around"));

    let added = run(
        config,
        "",
        "",
        &["context", "add", "prod", "--url", &url, "--token", "kept"],
    );
    assert_eq!(added.code, 0, "{}", added.err);
    let listed = run(config, "", "", &["context", "list", "-o", "json"]);
    for text in [&added.out, &added.err, &listed.out, &listed.err] {
        assert!(!text.contains("kept"), "{text}");
    }
    check("", &["get", "--context", "prod"], Some("Bearer kept"));
    check("around", &["get", "--context", "prod"], Some("Bearer around"));
    // Another place than the context's is told nothing of it.
    check("", &["get"], None);

    for wrong in ["two words", "é"] {
        let ran = run(config, &url, wrong, &["get"]);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("MAESTRO_TOKEN holds no token"), "{}", ran.err);
        assert!(!ran.err.contains(wrong), "{}", ran.err);
    }
}
