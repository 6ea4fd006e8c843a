//! What every cluster promises, as checks that each adapter's tests run: local processes, Kubernetes, and the
//! simulator's.
//!
//! An adapter's test implements [`Harness`] and calls [`all`], or the checks one by one. A check that fails
//! panics with what it saw; one that can't go on returns the cluster's error. Each check has a scheduler of its
//! own and removes its rooms.

use std::collections::BTreeSet;

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::Phase;
use maestro_core::scheduler::{
    Autoscaling, Container, Deadlines, EnvVar, ImagePull, Network, Port, Protocol, Resources, RoomTemplate,
    Scheduler, Security,
};
use maestro_core::time::Span;

use super::{Cluster, Error, Object, Order};

/// What a check comes to.
pub type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// What a room shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Wait to be ended.
    Waits,
    /// Wait, and pay no heed to SIGTERM.
    Stubborn,
    /// Print these lines, then wait.
    Prints(Vec<String>),
    /// Print a line and exit with this code.
    Exits(i32, String),
    /// Keep half a core or more busy.
    Works,
}

/// A cluster under test.
#[async_trait]
pub trait Harness: Send + Sync {
    /// The cluster.
    fn cluster(&self) -> &dyn Cluster;
    /// A scheduler of this name, with the ports of [`ports`], whose rooms behave so.
    fn scheduler(&self, name: &str, behaviour: Behaviour) -> Scheduler;
    /// Whether rooms' output is kept, as simulated nodes don't.
    fn keeps_output(&self) -> bool {
        true
    }
    /// Lets a moment pass; `false` once so many of them have passed that nothing more is to be expected.
    async fn moment(&self, so_far: u32) -> bool;
}

/// The program that behaves so, for harnesses whose rooms run commands of a Unix system.
pub fn command(behaviour: &Behaviour) -> Vec<String> {
    // `wait` returns at once on a signal, while `sleep` in the foreground would hold the trap back.
    const WAIT: &str = "sleep 600 & wait $!";
    let script = match behaviour {
        Behaviour::Waits => WAIT.to_owned(),
        Behaviour::Stubborn => "trap '' TERM; echo deaf; while :; do sleep 600 & wait $!; done".to_owned(),
        Behaviour::Prints(lines) => {
            let printed: String = lines.iter().map(|line| format!("echo '{line}'; ")).collect();
            format!("{printed}{WAIT}")
        }
        Behaviour::Exits(code, line) => format!("echo '{line}'; exit {code}"),
        Behaviour::Works => "while :; do :; done".to_owned(),
    };
    ["sh", "-c", &script].map(str::to_owned).to_vec()
}

/// A scheduler of one container that runs `cmd`.
pub fn scheduler(name: &SchedulerName, cmd: Vec<String>) -> Scheduler {
    let container = Container {
        name: name.to_string(),
        image: "busybox:1.36".to_owned(),
        pull: ImagePull::IfNotPresent,
        ports: ports(),
        requests: Resources::default(),
        limits: Resources::default(),
        env: Vec::<EnvVar>::new(),
        cmd,
    };
    Scheduler {
        name: name.clone(),
        game: "contract".to_owned(),
        template: RoomTemplate {
            containers: vec![container],
            affinity: None,
            toleration: None,
            port_range: None,
            shutdown: Span::from_secs(1),
            network: Network::default(),
            security: Security::default(),
            pod_template: None,
        },
        deadlines: Deadlines::default(),
        autoscaling: Autoscaling {
            min: 0,
            max: None,
            up_cooldown: Span::ZERO,
            down_cooldown: Span::ZERO,
            triggers: Vec::new(),
        },
        forwarders: Vec::new(),
        authorized_users: Vec::new(),
        hold_creation_on_error: false,
    }
}

/// The ports that rooms of these checks have.
pub fn ports() -> Vec<Port> {
    vec![
        Port {
            name: "game".to_owned(),
            container_port: 5050,
            protocol: Protocol::Udp,
        },
        Port {
            name: "chat".to_owned(),
            container_port: 8888,
            protocol: Protocol::Tcp,
        },
    ]
}

/// Runs all checks, one after the other.
pub async fn all(harness: &dyn Harness) -> Outcome {
    a_created_room_is_listed_and_runs(harness).await?;
    creating_twice_makes_one_room(harness).await?;
    deleting_an_unknown_room_succeeds(harness).await?;
    a_deleted_room_disappears(harness).await?;
    an_old_uid_touches_nothing(harness).await?;
    a_stubborn_room_is_killed_after_its_grace(harness).await?;
    a_second_deletion_shortens_the_grace(harness).await?;
    an_exit_is_noticed_and_kept_until_deleted(harness).await?;
    addresses_are_complete_or_empty_and_ports_never_clash(harness).await?;
    usage_is_measured(harness).await?;
    logs_tell_the_newest_lines(harness).await?;
    schedulers_do_not_see_each_other(harness).await?;
    changes_wake_whoever_waits(harness).await
}

/// What create returned for is in every later list, and comes to run.
pub async fn a_created_room_is_listed_and_runs(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-listed", Behaviour::Waits);
    let room = case.create(1).await?;
    let listed = case.list().await?;
    assert_eq!(names(&listed), [&room], "listed as soon as create returned");
    assert_eq!(listed[0].version, Version::FIRST);
    assert!(!listed[0].uid.is_empty() && !listed[0].deleting);
    case.running(&room).await?;
    case.end().await
}

/// A create under a name that exists is success, and makes nothing.
pub async fn creating_twice_makes_one_room(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-twice", Behaviour::Waits);
    let room = case.create(1).await?;
    let before = case.running(&room).await?;
    case.create(1).await?;
    let after = case.list().await?;
    assert_eq!(after.len(), 1);
    assert_eq!(
        after[0].uid, before.uid,
        "the room that was there is still the one"
    );
    case.end().await
}

/// No such object is success.
pub async fn deleting_an_unknown_room_succeeds(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-unknown", Behaviour::Waits);
    let room = RoomId::new(&case.scheduler.name, 7);
    case.delete(&room, "1-1", Span::from_secs(1)).await?;
    case.end().await
}

/// A room that heeds SIGTERM is gone long before its grace is over.
pub async fn a_deleted_room_disappears(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-deleted", Behaviour::Waits);
    let room = case.create(1).await?;
    let object = case.running(&room).await?;
    case.delete(&room, &object.uid, Span::from_secs(3_600)).await?;
    case.gone(&room).await?;
    case.delete(&room, &object.uid, Span::from_secs(1)).await?;
    case.end().await
}

/// A delete decided on one room never ends the next one of its name.
pub async fn an_old_uid_touches_nothing(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-uid", Behaviour::Waits);
    let room = case.create(1).await?;
    let old = case.running(&room).await?;
    case.delete(&room, &old.uid, Span::ZERO).await?;
    case.gone(&room).await?;
    case.create(1).await?;
    let new = case.running(&room).await?;
    assert_ne!(new.uid, old.uid);
    case.delete(&room, &old.uid, Span::ZERO).await?;
    let listed = case.running(&room).await?;
    assert_eq!((listed.uid, listed.deleting), (new.uid, false));
    case.end().await
}

/// A room that pays no heed to SIGTERM has its grace, and no more.
pub async fn a_stubborn_room_is_killed_after_its_grace(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-stubborn", Behaviour::Stubborn);
    let (room, object) = case.deaf().await?;
    case.delete(&room, &object.uid, Span::from_secs(2)).await?;
    let listed = case.list().await?;
    assert!(listed[0].deleting, "asked, and not heeded: {listed:?}");
    case.gone(&room).await?;
    case.end().await
}

/// A second delete can bring the end of a grace forward. Not on Kubernetes: its server takes the shorter grace, and a
/// kubelet that has begun to stop a container goes on waiting for the longer one
/// (<https://github.com/kubernetes/kubernetes/issues/83916>).
pub async fn a_second_deletion_shortens_the_grace(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-shorter", Behaviour::Stubborn);
    let (room, object) = case.deaf().await?;
    case.delete(&room, &object.uid, Span::from_secs(3_600)).await?;
    let listed = case.list().await?;
    assert!(listed[0].deleting, "asked, and not heeded: {listed:?}");
    case.delete(&room, &object.uid, Span::from_ms(50)).await?;
    case.gone(&room).await?;
    case.end().await
}

/// A process that ends by itself stays in the list with how it ended.
pub async fn an_exit_is_noticed_and_kept_until_deleted(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-exit", Behaviour::Exits(3, "no licence".to_owned()));
    let room = case.create(1).await?;
    let object = case
        .until("the exit is noticed", async || {
            Ok(case
                .find(&room)
                .await?
                .filter(|object| matches!(object.phase, Phase::Exited { .. })))
        })
        .await?;
    match &object.phase {
        Phase::Exited { code, reason, .. } => {
            assert_eq!(*code, Some(3));
            assert!(
                reason.contains("no licence"),
                "the reason is its last word: {reason}"
            );
        }
        other => assert!(matches!(other, Phase::Exited { .. }), "{other:?}"),
    }
    case.create(1).await?;
    assert_eq!(
        case.list().await?[0].uid,
        object.uid,
        "an ended room is not started again behind our back"
    );
    case.delete(&room, &object.uid, Span::ZERO).await?;
    case.gone(&room).await?;
    case.end().await
}

/// Nobody is ever shown half an address, and no two rooms share a port of one protocol.
pub async fn addresses_are_complete_or_empty_and_ports_never_clash(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-ports", Behaviour::Waits);
    for suffix in 1..=4 {
        case.create(suffix).await?;
    }
    let objects = case
        .until("all rooms have addresses", async || {
            let objects = case.list().await?;
            for object in &objects {
                let ports = object.ports.len();
                assert!(
                    ports == 0 || ports == self::ports().len(),
                    "half a list of ports: {object:?}"
                );
            }
            let is_complete = |object: &Object| !object.addresses.is_empty() && !object.ports.is_empty();
            Ok(objects.iter().all(is_complete).then_some(objects))
        })
        .await?;
    let mut seen = BTreeSet::new();
    for object in &objects {
        for address in &object.addresses {
            assert!(!address.host.is_empty() && !address.kind.is_empty() && !address.family.is_empty());
        }
        for port in &object.ports {
            // Rooms on different machines may have equal ports.
            assert!(
                seen.insert((object.node.clone(), port.protocol, port.port)),
                "{port:?} is taken twice"
            );
        }
    }
    case.end().await
}

/// A busy room is seen to be busy.
pub async fn usage_is_measured(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-usage", Behaviour::Works);
    let room = case.create(1).await?;
    case.until("the work is measured", async || {
        let usage = harness.cluster().usage(&case.scheduler.name).await?;
        // Half a core is asked for and a fifth is enough: the machine may be busy with other things.
        Ok(usage
            .into_iter()
            .find(|usage| usage.room == room && usage.cpu_milli > 200.0 && usage.memory_bytes > 1e4))
    })
    .await?;
    case.end().await
}

/// The newest lines of the present output; unknown rooms are unknown.
pub async fn logs_tell_the_newest_lines(harness: &dyn Harness) -> Outcome {
    let lines = ["one", "two", "three"].map(str::to_owned).to_vec();
    let case = Case::begin(harness, "c-logs", Behaviour::Prints(lines));
    let room = case.create(1).await?;
    let cluster = harness.cluster();
    let name = &case.scheduler.name;
    let told = case
        .until("the last line is written", async || {
            let text = cluster.logs(name, &room, 2, false).await?;
            Ok(text.contains("three").then_some(text))
        })
        .await?;
    assert_eq!(told.lines().collect::<Vec<_>>(), ["two", "three"]);
    let nobody = cluster.logs(name, &RoomId::new(name, 99), 2, false).await;
    assert!(matches!(nobody, Err(Error::UnknownRoom(_))), "{nobody:?}");
    case.end().await
}

/// Rooms of one scheduler are in no other's list.
pub async fn schedulers_do_not_see_each_other(harness: &dyn Harness) -> Outcome {
    // One name begins with the other.
    let one = Case::begin(harness, "c-game", Behaviour::Waits);
    let other = Case::begin(harness, "c-game-eu", Behaviour::Waits);
    let (a, b) = (one.create(1).await?, other.create(1).await?);
    assert_eq!(names(&one.list().await?), [&a]);
    assert_eq!(names(&other.list().await?), [&b]);
    one.end().await?;
    assert_eq!(names(&other.list().await?), [&b]);
    other.end().await
}

/// A change wakes the scheduler's loop.
pub async fn changes_wake_whoever_waits(harness: &dyn Harness) -> Outcome {
    let case = Case::begin(harness, "c-nudge", Behaviour::Exits(0, "done".to_owned()));
    let nudges = harness.cluster().nudges(&case.scheduler.name);
    case.create(1).await?;
    case.until("a nudge comes", async || {
        let woken = nudges.notified();
        Ok(futures::FutureExt::now_or_never(woken))
    })
    .await?;
    case.end().await
}

/// One check with its scheduler.
struct Case<'a> {
    harness: &'a dyn Harness,
    scheduler: Scheduler,
}

impl<'a> Case<'a> {
    fn begin(harness: &'a dyn Harness, name: &str, behaviour: Behaviour) -> Self {
        Self {
            harness,
            scheduler: harness.scheduler(name, behaviour),
        }
    }

    async fn create(&self, suffix: u32) -> Result<RoomId, Error> {
        let room = RoomId::new(&self.scheduler.name, suffix);
        let order = Order {
            room: room.clone(),
            version: Version::FIRST,
            token: "secret".to_owned(),
            avoid: Vec::new(),
        };
        self.harness.cluster().create(&self.scheduler, &order).await?;
        Ok(room)
    }

    async fn delete(&self, room: &RoomId, uid: &str, grace: Span) -> Result<(), Error> {
        self.harness
            .cluster()
            .delete(&self.scheduler.name, room, uid, grace)
            .await
    }

    async fn list(&self) -> Result<Vec<Object>, Error> {
        self.harness.cluster().list(&self.scheduler.name).await
    }

    async fn find(&self, room: &RoomId) -> Result<Option<Object>, Error> {
        Ok(self.list().await?.into_iter().find(|object| object.room == *room))
    }

    async fn logs(&self, room: &RoomId) -> Result<String, Error> {
        self.harness
            .cluster()
            .logs(&self.scheduler.name, room, 50, false)
            .await
    }

    async fn running(&self, room: &RoomId) -> Result<Object, Box<dyn std::error::Error + Send + Sync>> {
        self.until("the room runs", async || {
            Ok(self
                .find(room)
                .await?
                .filter(|object| matches!(object.phase, Phase::Running { .. })))
        })
        .await
    }

    /// A stubborn room that hears no SIGTERM any more.
    async fn deaf(&self) -> Result<(RoomId, Object), Box<dyn std::error::Error + Send + Sync>> {
        let room = self.create(1).await?;
        let object = self.running(&room).await?;
        if self.harness.keeps_output() {
            self.until("the room is deaf", async || {
                Ok(self.logs(&room).await?.contains("deaf").then_some(()))
            })
            .await?;
        }
        Ok((room, object))
    }

    async fn gone(&self, room: &RoomId) -> Outcome {
        self.until("the room is gone", async || {
            Ok(self.find(room).await?.is_none().then_some(()))
        })
        .await
    }

    /// Looks again and again until there is something to be seen.
    async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
        let mut moments = 0;
        loop {
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
            if !self.harness.moment(moments).await {
                return Err(format!("{what}: never came; the list is {:?}", self.list().await?).into());
            }
            moments += 1;
        }
    }

    /// Removes all that the check left.
    async fn end(self) -> Outcome {
        for object in self.list().await? {
            self.delete(&object.room, &object.uid, Span::ZERO).await?;
        }
        self.until("the last room is gone", async || {
            Ok(self.list().await?.is_empty().then_some(()))
        })
        .await?;
        Ok(self.harness.cluster().remove(&self.scheduler.name).await?)
    }
}

fn names(objects: &[Object]) -> Vec<&RoomId> {
    objects.iter().map(|object| &object.room).collect()
}
