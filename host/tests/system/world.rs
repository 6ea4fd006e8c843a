//! All rooms that there are, what the test wants of them, and who watches that no match is ended.
//!
//! Simulated nodes run nothing: the test plays each pod's room (`room`), begins and ends matches up to a demand, and compares
//! what happens to pods with what their rooms were doing. That comparison is exact: a room that was asked to go begins no
//! match, so that a pod that is deleted while its room is in one was deleted wrongly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use super::room::{Identity, Room};

/// Time between two looks of the matchmaker.
const LOOK: Duration = Duration::from_millis(100);

/// Pods of every scheduler.
const OURS: &str = "app.kubernetes.io/managed-by=maestro";

/// The rooms of one run.
pub(crate) struct World {
    client: kube::Client,
    /// Only schedulers whose names begin so are this run's.
    run: String,
    begun: Instant,
    apis: Mutex<[String; 2]>,
    rooms: Mutex<BTreeMap<String, Arc<Room>>>,
    demand: Mutex<BTreeMap<String, usize>>,
    /// What rooms of a scheduler are said to use: cpu and memory, as annotations of the testbed's nodes.
    usage: Mutex<BTreeMap<String, (&'static str, &'static str)>>,
    violations: Mutex<Vec<String>>,
    pub(crate) figures: Figures,
}

/// What is counted.
#[derive(Default)]
pub(crate) struct Figures {
    answered: AtomicU64,
    failed: AtomicU64,
    refusals: Mutex<BTreeMap<u16, (u64, String)>>,
}

impl Figures {
    pub(crate) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, status: u16, room: &str, body: &str) {
        let mut refusals = self.refusals.lock().unwrap();
        let first = || (0, format!("{room}: {body}"));
        refusals.entry(status).or_insert_with(first).0 += 1;
    }

    /// Answers, failures, and refusals by status with the first of each.
    pub(crate) fn read(&self) -> (u64, u64, BTreeMap<u16, (u64, String)>) {
        let refusals = self.refusals.lock().unwrap().clone();
        let (answered, failed) = (&self.answered, &self.failed);
        (
            answered.load(Ordering::Relaxed),
            failed.load(Ordering::Relaxed),
            refusals,
        )
    }
}

impl World {
    /// A world without rooms; its tasks run from now on.
    pub(crate) fn begin(client: kube::Client, run: &str, apis: [String; 2]) -> Arc<Self> {
        let world = Arc::new(Self {
            client,
            run: run.to_owned(),
            begun: Instant::now(),
            apis: Mutex::new(apis),
            rooms: Mutex::default(),
            demand: Mutex::default(),
            usage: Mutex::default(),
            violations: Mutex::default(),
            figures: Figures::default(),
        });
        tokio::spawn(Arc::clone(&world).watch());
        tokio::spawn(Arc::clone(&world).make_matches());
        world
    }

    /// Where the APIs are: host and port of each.
    pub(crate) fn apis(&self) -> [String; 2] {
        self.apis.lock().unwrap().clone()
    }

    pub(crate) fn set_apis(&self, apis: [String; 2]) {
        *self.apis.lock().unwrap() = apis;
    }

    /// How many matches there shall be.
    pub(crate) fn demand(&self, scheduler: &str, matches: usize) {
        self.demand.lock().unwrap().insert(scheduler.to_owned(), matches);
    }

    /// What each of a scheduler's rooms uses from now on.
    pub(crate) fn use_up(&self, scheduler: &str, cpu: &'static str, memory: &'static str) {
        let usage = (cpu, memory);
        self.usage.lock().unwrap().insert(scheduler.to_owned(), usage);
        for room in self.rooms(scheduler) {
            self.annotate(&room.identity, usage);
        }
    }

    /// Rooms whose pods are there.
    pub(crate) fn rooms(&self, scheduler: &str) -> Vec<Arc<Room>> {
        let rooms = self.rooms.lock().unwrap();
        let of_scheduler = rooms.values().filter(|room| room.identity.scheduler == scheduler);
        of_scheduler.cloned().collect()
    }

    /// Rooms whose pods are there and not being deleted.
    pub(crate) fn standing(&self, scheduler: &str) -> BTreeSet<String> {
        let rooms = self.rooms(scheduler).into_iter();
        let standing = rooms.filter(|room| !room.now.lock().unwrap().is_ending);
        standing.map(|room| room.identity.name.clone()).collect()
    }

    /// Rooms in a match.
    pub(crate) fn in_match(&self, scheduler: &str) -> BTreeSet<String> {
        let rooms = self.rooms(scheduler).into_iter();
        let busy = rooms.filter(|room| room.now.lock().unwrap().in_match);
        busy.map(|room| room.identity.name.clone()).collect()
    }

    /// What must not have happened and has.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().unwrap().clone()
    }

    async fn watch(self: Arc<Self>) {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let mut ticks = interval(Duration::from_millis(250));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // An API server that was taken away by the test is asked until it is back.
            ticks.tick().await;
            let Ok(listed) = pods.list(&ListParams::default().labels(OURS)).await else {
                continue;
            };
            let mut version = listed.metadata.resource_version.unwrap_or_default();
            self.compare(&listed.items);
            while let Ok(next) = self.follow(&pods, &version).await {
                version = next;
            }
        }
    }

    /// Takes in one watch from this version on, which ends now and then; the version to go on from.
    async fn follow(self: &Arc<Self>, pods: &Api<Pod>, version: &str) -> Result<String, ()> {
        let params = WatchParams::default().labels(OURS).timeout(20);
        let mut version = version.to_owned();
        let stream = pods.watch(&params, &version).await.map_err(drop)?;
        let mut stream = stream.boxed();
        while let Some(event) = stream.try_next().await.map_err(drop)? {
            match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                    version = pod.metadata.resource_version.clone().unwrap_or_default();
                    self.see(&pod);
                }
                WatchEvent::Deleted(pod) => {
                    version = pod.metadata.resource_version.clone().unwrap_or_default();
                    let (name, uid) = (pod.metadata.name, pod.metadata.uid);
                    self.lose(&name.unwrap_or_default(), &uid.unwrap_or_default());
                }
                WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                WatchEvent::Error(_) => return Err(()),
            }
        }
        Ok(version)
    }

    /// Takes in a list: also what is no longer in it.
    fn compare(self: &Arc<Self>, pods: &[Pod]) {
        let known: Vec<Arc<Room>> = self.rooms.lock().unwrap().values().cloned().collect();
        for room in known {
            let Identity { name, uid, .. } = &room.identity;
            let is_there = pods.iter().any(|pod| pod.metadata.uid.as_ref() == Some(uid));
            if !is_there {
                self.lose(name, uid);
            }
        }
        for pod in pods {
            self.see(pod);
        }
    }

    fn see(self: &Arc<Self>, pod: &Pod) {
        let Some(identity) = identity(pod).filter(|identity| identity.scheduler.contains(&self.run)) else {
            return;
        };
        let known = self.rooms.lock().unwrap().get(&identity.name).cloned();
        let room = match known {
            Some(room) if room.identity.uid == identity.uid => room,
            Some(_) | None => self.welcome(identity),
        };
        let mut now = room.now.lock().unwrap();
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let containers = status
            .and_then(|status| status.container_statuses.as_deref())
            .unwrap_or_default();
        let all_run = containers.iter().all(|container| {
            container
                .state
                .as_ref()
                .is_some_and(|state| state.running.is_some())
        });
        now.node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let is_running = phase == Some("Running") && all_run;
        if std::mem::replace(&mut now.is_running, is_running) != is_running {
            room.wake.notify_one();
        }
        if pod.metadata.deletion_timestamp.is_some() && !now.is_ending {
            self.judge(&room.identity, &mut now, "is being deleted");
            now.is_ending = true;
            room.wake.notify_one();
        }
    }

    fn welcome(self: &Arc<Self>, identity: Identity) -> Arc<Room> {
        let room = Room::new(identity);
        let Identity { scheduler, name, .. } = &room.identity;
        if let Some(usage) = self.usage.lock().unwrap().get(scheduler) {
            self.annotate(&room.identity, *usage);
        }
        self.rooms.lock().unwrap().insert(name.clone(), Arc::clone(&room));
        tokio::spawn(Arc::clone(&room).live(Arc::clone(self)));
        room
    }

    fn lose(&self, name: &str, uid: &str) {
        let mut rooms = self.rooms.lock().unwrap();
        let Some(room) = rooms.get(name).filter(|room| room.identity.uid == uid).cloned() else {
            return;
        };
        rooms.remove(name);
        drop(rooms);
        let mut now = room.now.lock().unwrap();
        if !now.is_ending {
            self.judge(&room.identity, &mut now, "is gone");
            now.is_ending = true;
        }
        room.wake.notify_one();
    }

    fn judge(&self, identity: &Identity, now: &mut super::room::Now, what: &str) {
        now.note(what.to_owned());
        if now.in_match && !now.is_forfeit {
            let text = format!(
                "{:.1} s: {} {what} while in a match; {}",
                self.begun.elapsed().as_secs_f64(),
                identity.name,
                now.history.join(" | ")
            );
            self.violations.lock().unwrap().push(text);
        }
    }

    fn annotate(&self, identity: &Identity, (cpu, memory): (&str, &str)) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &identity.scheduler);
        let usage = json!({"kwok.x-k8s.io/usage-cpu": cpu, "kwok.x-k8s.io/usage-memory": memory});
        let patch = Patch::Merge(json!({"metadata": {"annotations": usage}}));
        let name = identity.name.clone();
        tokio::spawn(async move {
            // The pod may have gone meanwhile.
            drop(pods.patch(&name, &PatchParams::default(), &patch).await);
        });
    }

    async fn make_matches(self: Arc<Self>) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let demand = self.demand.lock().unwrap().clone();
            for (scheduler, matches) in demand {
                self.match_up(&scheduler, matches);
            }
        }
    }

    fn match_up(&self, scheduler: &str, matches: usize) {
        let rooms = self.rooms(scheduler);
        let (with, without): (Vec<_>, Vec<_>) = rooms
            .into_iter()
            .filter(|room| !room.now.lock().unwrap().is_ending)
            .partition(|room| room.now.lock().unwrap().wants_match);
        for room in with.iter().skip(matches) {
            room.now.lock().unwrap().wants_match = false;
            room.wake.notify_one();
        }
        let is_free = |room: &&Arc<Room>| {
            let now = room.now.lock().unwrap();
            now.is_open && now.is_running && !now.is_mute
        };
        for room in without
            .iter()
            .filter(is_free)
            .take(matches.saturating_sub(with.len()))
        {
            room.now.lock().unwrap().wants_match = true;
            room.wake.notify_one();
        }
    }

    /// Ends the matches of these rooms; others begin elsewhere.
    pub(crate) fn end_matches(&self, scheduler: &str, is_meant: impl Fn(&Room) -> bool) {
        for room in self.rooms(scheduler).iter().filter(|room| is_meant(room)) {
            room.now.lock().unwrap().wants_match = false;
            room.wake.notify_one();
        }
    }
}

/// What the pod tells its room in its environment.
fn identity(pod: &Pod) -> Option<Identity> {
    let containers = &pod.spec.as_ref()?.containers;
    let env = containers.first()?.env.as_deref().unwrap_or_default();
    let told = |name: &str| env.iter().find(|var| var.name == name)?.value.clone();
    Some(Identity {
        scheduler: told("MAESTRO_SCHEDULER_NAME")?,
        name: told("MAESTRO_ROOM_ID")?,
        token: told("MAESTRO_ROOM_TOKEN")?,
        uid: pod.metadata.uid.clone()?,
    })
}
