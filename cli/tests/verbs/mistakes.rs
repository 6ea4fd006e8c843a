//! What people type in haste, and the way out that they are shown.

use super::beside::Dev;

#[test]
fn what_makes_no_sense_is_told_with_a_way_out() {
    let dev = Dev::start(&[]);
    let empty = dev.file("empty.yaml", "");
    let cases: [(&[&str], i32, &str); 15] = [
        (
            &["apply", &empty],
            1,
            "empty.yaml:1:1: the text holds no document",
        ),
        (&["apply", "-f", "/"], 1, "can't read /"),
        (&["apply", "-"], 1, "stdin:1:1: the text holds no document"),
        (&["status", "höhle 💥"], 3, "there is no scheduler `höhle 💥`"),
        (&["status", "nobody"], 3, "which there are: maestro-cli get"),
        (
            &["scale-in", "pause", "nobody"],
            3,
            "which there are: maestro-cli get",
        ),
        (
            &["delete", "nobody", "--yes"],
            3,
            "which there are: maestro-cli get",
        ),
        (
            &["get", "idle", "--version", "v7.0"],
            3,
            "idle has no version `v7.0`; there are v1.0\n",
        ),
        (
            &["get", "nobody", "--version", "v1.0"],
            3,
            "which there are: maestro-cli get",
        ),
        (&["get", "--version", "v1.0"], 2, "SCHEDULER"),
        (
            &["get", "schedulers", "--version", "v1.0"],
            2,
            "get SCHEDULER --version VERSION",
        ),
        (&["status", "idle", "-o", "bogus"], 2, "table, json, yaml"),
        (&["scale", "idle", "-r", "-1"], 2, "-1 is not in 0..="),
        (&["scale", "idle", "-r", "99999999999"], 2, "is not in 0..="),
        (
            &["wait", "idle", "--for", "gone", "--timeout", "-5"],
            2,
            "invalid value '-5'",
        ),
    ];
    for (arguments, code, words) in cases {
        let ran = dev.run(arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}: errors are no data");
    }
}
