//! What earlier releases left in a data folder is there again. Each release that changes what is stored adds its own
//! `fixtures/data-<version>/maestro.db` here: the file that its `maestro dev --data` left after a scheduler `arena` of two
//! rooms was created, scaled to three by hand, and saved anew with `max: 7`.

use std::fs;

use super::harness::{Dev, PATIENCE, eventually, file, root};

#[test]
fn the_data_of_each_earlier_release_opens_with_its_scheduler_and_its_decisions() {
    let fixtures = root().join("host/tests/fixtures");
    let mut releases = 0;
    for entry in fs::read_dir(fixtures).unwrap() {
        let left = entry.unwrap().path().join("maestro.db");
        let data = tempfile::tempdir().unwrap();
        fs::copy(&left, data.path().join("maestro.db")).unwrap();
        opens(data.path().to_str().unwrap());
        releases += 1;
    }
    assert!(releases > 0, "there is no fixture");
}

fn opens(data: &str) {
    let (_folder, path) = file(
        "idle.yaml",
        "name: idle\ngame: test\nimage: none\nautoscaling: {min: 0}\n",
    );
    let dev = Dev::start(&[&path, "--matches", "none", "--data", data]);
    assert_eq!(dev.get("/scheduler/arena")["version"], "v1.1");
    assert!(dev.cli_ok(&["get", "arena"]).contains("max: 7"));
    // The number that was wanted last comes back, though the document asks for two.
    eventually("its rooms", PATIENCE, || {
        (dev.in_state("arena", "ready").len() == 3).then_some(())
    });
    let page = dev.get("/scheduler/arena/decisions?limit=100&changes=true");
    let decisions = page["decisions"].as_array().unwrap();
    let by_hand = decisions.iter().find(|decision| decision["actor"] == "manual");
    let by_hand = by_hand.unwrap_or_else(|| panic!("{page}"));
    assert_eq!((&by_hand["before"], &by_hand["wanted"]), (&2.into(), &3.into()));
    assert_eq!(by_hand["summary"], "Scaled up from 2 to 3 rooms by hand.");
    assert!(dev.terminate().success());
}
