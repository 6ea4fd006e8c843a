//! The golden scenarios: a script in `tests/scenarios/*.txt`, what came of it in the `.snap` beside it.
//!
//! After a wanted change of a text: `cargo insta test --accept -p maestro-core`, then read the difference.

use std::path::Path;

use crate::script;

#[test]
fn every_scenario_ends_as_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            names.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
        }
    }
    names.sort();
    assert!(names.len() >= 10, "only {names:?} were found");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for name in names {
            let text = std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
            insta::assert_snapshot!(name, script::run(&text));
        }
    });
}
