//! Pictures of what was decided, and the names that a shell asks for.

use std::process::{Command, Stdio};

use super::ARENA;
use super::beside::{CLI, Dev, PATIENCE, ended, eventually, run};

#[test]
fn the_window_is_drawn_with_its_decisions() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    dev.ok(&["scale", "arena", "-r", "5"]);
    let picture = eventually("a sample with five rooms", PATIENCE, || {
        let picture = dev.json(&["explain", "arena", "--plot"]);
        (picture["points"].as_array()?.last()?["ready"] == 5).then_some(picture)
    });
    assert_eq!(picture["points"].as_array().unwrap().last().unwrap()["wanted"], 5);
    let last = picture["decisions"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["from"], &last["to"]), (&2.into(), &5.into()));
    // Rooms come up one by one, and the window saw each of them.
    let window = dev.json(&["explain", "arena", "--plot"]);
    assert!(window["points"].as_array().unwrap().len() >= 3, "{window}");
    assert!(dev.ok(&["explain", "arena", "--plot"]).contains('▲'));
    let drawn = dev.ok(&["explain", "arena", "--plot", "-n", "50"]);
    let lines: Vec<&str> = drawn.lines().collect();
    assert_eq!(lines.len(), 1 + 12 + 3, "{drawn}");
    assert!(lines[1].starts_with("    5 │"), "{drawn}");
    assert!(
        lines[15].contains("█ occupied  ░ ready  ▁ wanted  ▲▼ decisions"),
        "{drawn}"
    );
    assert!(!drawn.contains('\x1b'), "no colours in a file");

    let file = dev.file("arena.svg", "");
    assert_eq!(
        dev.ok(&["export", "arena", "--svg", &file]),
        format!("wrote {file}\n")
    );
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.starts_with("<svg ")
            && text.contains("<title>Rooms of arena</title>")
            && text.contains("</title><path"),
        "{text}"
    );
    assert!(dev.ok(&["export", "arena", "--svg", "-"]).starts_with("<svg "));
    assert!(dev.json(&["export", "arena", "--svg", &file])["points"].as_u64() > Some(1));
    let nowhere = dev.run(&["export", "arena", "--svg", "/nowhere/arena.svg"]);
    assert_eq!(nowhere.code, 1);
    assert!(
        nowhere.err.contains("can't write /nowhere/arena.svg"),
        "{}",
        nowhere.err
    );
}

/// What bash offers after a line. The script is the one that the program prints.
fn offered(url: &str, line: &str) -> Vec<String> {
    let program = std::path::Path::new(CLI).parent().unwrap().display();
    let script = format!(
        "PATH={program}:$PATH; source <(maestro-cli completions bash)
         COMP_LINE={line:?}; COMP_POINT=${{#COMP_LINE}}; read -ra COMP_WORDS <<< \"$COMP_LINE\"
         [[ $COMP_LINE == *' ' ]] && COMP_WORDS+=('')
         COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         _maestro_cli_live maestro-cli \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let mut bash = Command::new("bash");
    let ran = ended(
        bash.args(["-c", &script])
            .env("MAESTRO_URL", url)
            .stdin(Stdio::null()),
    );
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{line}");
    ran.out.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_is_offered_the_names_there_are() {
    let dev = Dev::start(&[]);
    dev.ok(&["create", &dev.file("arena.yaml", ARENA)]);
    dev.ok(&["wait", "arena", "--for", "ready"]);
    let rooms = dev.json(&["rooms", "arena"]);
    let mut rooms: Vec<&str> = rooms
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|room| room["roomId"].as_str())
        .collect();
    rooms.sort_unstable();
    assert_eq!(offered(dev.url(), "maestro-cli status "), ["arena", "idle"]);
    assert_eq!(offered(dev.url(), "maestro-cli -o json status a"), ["arena"]);
    assert_eq!(offered(dev.url(), "maestro-cli delete arena "), ["idle"]);
    assert_eq!(offered(dev.url(), "maestro-cli logs ar"), rooms);
    assert_eq!(offered(dev.url(), "maestro-cli events "), ["arena", "idle"]);
    assert_eq!(offered(dev.url(), "maestro-cli events -f --room ar"), rooms);
    assert_eq!(offered(dev.url(), "maestro-cli policy get me"), ["memory"]);
    assert_eq!(offered(dev.url(), "maestro-cli comp"), ["completions"]);
    assert_eq!(offered(dev.url(), "maestro-cli explain --pl"), ["--plot"]);
    // Nobody is there to ask, and a key was pressed: no word about it.
    let nobody = "http://127.0.0.1:1";
    let ran = run(nobody, &["__names", "--", "status"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "", ""));
}

#[test]
fn scripts_know_no_hidden_verb() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run("", &["completions", shell]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let asks = ran.out.matches("__names").count();
        assert_eq!(
            asks,
            usize::from(["bash", "zsh", "fish"].contains(&shell)),
            "{shell}"
        );
        assert!(!ran.out.contains("compile-policy"), "{shell}");
    }
}
