//! What must be so: all the time, when things have settled, and in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use serde_json::Value;

use super::installation::Installation;
use super::running::eventually;

/// How long anything may take to settle, after whatever happened.
const SETTLE: Duration = Duration::from_secs(120);

impl Installation {
    /// Fails when a match was ended, or a room was told something that no room should be told.
    pub(crate) fn check(&self) {
        let violations = self.world.violations();
        assert!(
            violations.is_empty(),
            "matches were ended:\n{}",
            violations.join("\n")
        );
        let (_, _, refusals) = self.world.figures.read();
        // What a server that is away comes to; all else is wrong.
        let odd: Vec<_> = refusals.iter().filter(|(status, _)| **status != 503).collect();
        assert!(odd.is_empty(), "rooms were refused: {odd:?}");
    }

    /// Checks for this long.
    pub(crate) fn check_for(&self, time: Duration) {
        let begun = Instant::now();
        eventually("time passes", time + SETTLE, || {
            self.check();
            (begun.elapsed() >= time).then_some(())
        });
    }

    /// Waits until there are exactly so many rooms and everybody agrees on them.
    pub(crate) fn settled(&self, scheduler: &str, wanted: usize) {
        let mut last = String::new();
        let begun = Instant::now();
        eventually(&format!("{scheduler} settles at {wanted}"), 2 * SETTLE, || {
            self.check();
            let differs = self.difference(scheduler, wanted)?;
            if differs.is_empty() {
                return Some(());
            }
            assert!(
                begun.elapsed() < SETTLE,
                "{scheduler} does not settle at {wanted}: {differs}; before that: {last}\n{}",
                self.last_words(scheduler)
            );
            last = differs;
            None
        });
    }

    /// What keeps this from being settled; nothing when nobody can be asked.
    fn difference(&self, scheduler: &str, wanted: usize) -> Option<String> {
        let standing = self.world.standing(scheduler);
        if standing.len() != wanted {
            return Some(format!("{} pods", standing.len()));
        }
        for which in 0..self.apis.len() {
            let status = self.try_get(which, &format!("/scheduler/{scheduler}"));
            let status = match status {
                Ok(status) => status,
                Err((code, text)) => return Some(format!("API {which}: {code}: {text}")),
            };
            if status["wanted"] != wanted {
                return Some(format!("wanted is {}", status["wanted"]));
            }
            let rooms = match self.rooms(which, scheduler) {
                Ok(rooms) => rooms,
                Err((code, text)) => return Some(format!("API {which}: {code}: {text}")),
            };
            let in_use = |room: &&Value| room["status"] == "ready" || room["status"] == "occupied";
            let (good, other): (Vec<_>, Vec<_>) = rooms.iter().partition(in_use);
            if let Some(first) = other.first() {
                return Some(format!(
                    "API {which}: {} rooms are others, as {first}",
                    other.len()
                ));
            }
            let names: BTreeSet<String> = good.iter().map(|room| name(room)).collect();
            if names.len() != good.len() {
                return Some("a room is told twice".to_owned());
            }
            if names != standing {
                let odd: Vec<_> = names.symmetric_difference(&standing).collect();
                return Some(format!("API {which} and the cluster differ by {odd:?}"));
            }
            let occupied = good.iter().filter(|room| room["status"] == "occupied");
            let occupied: BTreeSet<String> = occupied.map(|room| name(room)).collect();
            let in_match = self.world.in_match(scheduler);
            if occupied != in_match {
                return Some(format!(
                    "{} rooms are occupied, {} in a match",
                    occupied.len(),
                    in_match.len()
                ));
            }
        }
        let services = self.services(scheduler)?;
        let once: BTreeMap<String, usize> = standing.into_iter().map(|name| (name, 1)).collect();
        Some(match services == once {
            true => String::new(),
            false => format!("{} services for {wanted} rooms", services.len()),
        })
    }

    /// How many services each pod has; nothing when the API server is away.
    fn services(&self, scheduler: &str) -> Option<BTreeMap<String, usize>> {
        let api: Api<Service> = Api::namespaced(self.bed.client.clone(), scheduler);
        let listed = self.bed.runtime.block_on(api.list(&ListParams::default())).ok()?;
        let mut services = BTreeMap::new();
        for service in listed.items {
            let owners = service.metadata.owner_references.unwrap_or_default();
            for owner in owners {
                *services.entry(owner.name).or_default() += 1;
            }
        }
        Some(services)
    }

    /// The pods of a scheduler, straight from the API server.
    pub(crate) fn pods(&self, scheduler: &str) -> Vec<Pod> {
        let api: Api<Pod> = Api::namespaced(self.bed.client.clone(), scheduler);
        let listed = self.bed.runtime.block_on(api.list(&ListParams::default()));
        listed.unwrap().items
    }

    /// What the newest decisions say, for a test that failed.
    fn last_words(&self, scheduler: &str) -> String {
        let output = self.try_cli(&["explain", scheduler, "-n", "5"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// All decisions that changed what is wanted, oldest first.
    pub(crate) fn changes(&self, scheduler: &str) -> Vec<Value> {
        let mut changes = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/scheduler/{scheduler}/decisions?changes=true&limit=200{cursor}");
            let page = self.get(&path);
            changes.extend(page["decisions"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        changes.reverse();
        changes
    }

    /// Checks that each change of what is wanted says why; answers how often the journal lacks one, which only the
    /// kill of a worker between a decision and its writing may bring about.
    pub(crate) fn explained(&self, scheduler: &str) -> (usize, Vec<String>) {
        let changes = self.changes(scheduler);
        let mut gaps = Vec::new();
        for pair in changes.windows(2) {
            if pair[0]["wanted"] != pair[1]["before"] {
                gaps.push(format!("{} … {}", pair[0]["summary"], pair[1]["summary"]));
            }
        }
        for change in &changes {
            let has_vote = |votes: &Value| {
                let winner = &change["winner"];
                let votes = votes.as_array().cloned().unwrap_or_default();
                votes.iter().any(|vote| {
                    vote["trigger"] == *winner && vote["reason"].as_str().is_some_and(|why| !why.is_empty())
                })
            };
            let clamps = change["clamps"]
                .as_array()
                .is_some_and(|clamps| !clamps.is_empty());
            let is_told = change["summary"].as_str().is_some_and(|text| text.len() > 10);
            let is_first = change["before"] == 0;
            let has_reason = has_vote(&change["votes"]) || clamps || is_first || change["actor"] == "manual";
            assert!(is_told && has_reason, "no reason is told: {change:#}");
        }
        (changes.len(), gaps)
    }
}

fn name(room: &Value) -> String {
    room["roomId"].as_str().unwrap_or_default().to_owned()
}
