//! A cluster that lives in memory: objects appear, run, end and go exactly when a test says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use maestro_core::names::{RoomId, SchedulerName, Version};
use maestro_core::room::{Address, OpenPort, Phase};
use maestro_core::scheduler::{Protocol, Scheduler};
use maestro_core::time::{Span, Timestamp};
use tokio::sync::Notify;

use maestro::cluster::{Cluster, Error, Nodes, Object, Order, Standing, Usage};
use maestro::registry::Clock;

/// The cluster.
pub(crate) struct Yard {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    objects: BTreeMap<RoomId, Object>,
    made: u64,
    calls: BTreeMap<&'static str, u32>,
    refusal: Option<String>,
    is_foreign: bool,
    is_away: bool,
    /// The call, counted from 0, that never returns.
    hang_at: Option<u32>,
    seen: u32,
    cpu_milli: f64,
    /// Nodes, once one was told of.
    nodes: Nodes,
    /// Where rooms come, if not to the yard.
    place: Option<String>,
    /// What new rooms were told to stay away from, of the newest one.
    avoided: Vec<String>,
}

impl Yard {
    /// Says how a node stands.
    pub(crate) fn set_node(&self, node: &str, standing: Standing) {
        self.inner.lock().unwrap().nodes.set(node, standing);
    }

    /// Forgets all nodes, as a process that has listed none yet.
    pub(crate) fn forget_nodes(&self) {
        self.inner.lock().unwrap().nodes = Nodes::default();
    }

    /// Where rooms come from now on.
    pub(crate) fn place_on(&self, node: &str) {
        self.inner.lock().unwrap().place = Some(node.to_owned());
    }

    /// Where the newest room was not to go.
    pub(crate) fn avoided(&self) -> Vec<String> {
        self.inner.lock().unwrap().avoided.clone()
    }

    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            inner: Mutex::default(),
        }
    }

    fn called(&self, what: &'static str) -> Result<MutexGuard<'_, Inner>, Error> {
        let mut inner = self.inner.lock().unwrap();
        inner.seen += 1;
        *inner.calls.entry(what).or_default() += 1;
        match inner.is_away {
            true => Err(Error::Unavailable {
                cause: "it is away".into(),
            }),
            false => Ok(inner),
        }
    }

    /// How often each call came since the last time this was asked.
    pub(crate) fn calls(&self) -> BTreeMap<&'static str, u32> {
        std::mem::take(&mut self.inner.lock().unwrap().calls)
    }

    /// Makes creates fail with this reason, or succeed again.
    pub(crate) fn refuse(&self, reason: Option<&str>) {
        self.inner.lock().unwrap().refusal = reason.map(str::to_owned);
    }

    /// Makes the place where rooms would be somebody else's.
    pub(crate) fn take_away(&self) {
        self.inner.lock().unwrap().is_foreign = true;
    }

    /// Makes all calls fail, or succeed again.
    pub(crate) fn set_away(&self, is_away: bool) {
        self.inner.lock().unwrap().is_away = is_away;
    }

    /// Makes one call do its work and never return.
    pub(crate) fn hang_at(&self, call: u32) {
        self.inner.lock().unwrap().hang_at = Some(call);
    }

    /// The same for one of those to come, counted from 0.
    pub(crate) fn hang_next(&self, call: u32) {
        let mut inner = self.inner.lock().unwrap();
        inner.hang_at = Some(inner.seen + call);
    }

    /// Makes all calls return.
    pub(crate) fn hang_never(&self) {
        self.inner.lock().unwrap().hang_at = None;
    }

    /// Hangs when this is the call that shall.
    async fn hang(&self) {
        let is_chosen = {
            let inner = self.inner.lock().unwrap();
            inner.hang_at.is_some_and(|call| call + 1 == inner.seen)
        };
        if is_chosen {
            std::future::pending::<()>().await;
        }
    }

    /// What each room uses from now on, in thousandths of a core.
    pub(crate) fn set_cpu(&self, cpu_milli: f64) {
        self.inner.lock().unwrap().cpu_milli = cpu_milli;
    }

    pub(crate) fn rooms(&self) -> Vec<RoomId> {
        self.inner.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Ends a room's process.
    pub(crate) fn crash(&self, room: &RoomId, code: i32) {
        let phase = Phase::Exited {
            at: (self.clock)(),
            code: Some(code),
            reason: String::new(),
        };
        self.inner.lock().unwrap().objects.get_mut(room).unwrap().phase = phase;
    }

    /// A room that somebody else made, or that is left from before.
    pub(crate) fn put(&self, room: RoomId, version: Version) {
        let now = (self.clock)();
        let mut inner = self.inner.lock().unwrap();
        inner.put(room, version, now);
    }
}

impl Inner {
    fn put(&mut self, room: RoomId, version: Version, now: Timestamp) {
        self.made += 1;
        let object = Object {
            room: room.clone(),
            uid: format!("uid-{}", self.made),
            version,
            phase: Phase::Running { since: now },
            deleting: false,
            node: Some(self.place.clone().unwrap_or_else(|| "yard".to_owned())),
            addresses: vec![Address {
                kind: "InternalIP".to_owned(),
                family: "IPv4".to_owned(),
                host: "127.0.0.1".to_owned(),
            }],
            ports: vec![OpenPort {
                name: "game".to_owned(),
                protocol: Protocol::Tcp,
                port: 7_000,
            }],
            exposed: true,
        };
        self.objects.entry(room).or_insert(object);
    }
}

#[async_trait]
impl Cluster for Yard {
    async fn list(&self, _: &SchedulerName) -> Result<Vec<Object>, Error> {
        let objects = {
            let inner = self.called("list")?;
            if inner.is_foreign {
                return Err(Error::Foreign("the namespace is somebody else's".to_owned()));
            }
            inner.objects.values().cloned().collect()
        };
        self.hang().await;
        Ok(objects)
    }

    async fn create(&self, _: &Scheduler, order: &Order) -> Result<(), Error> {
        let now = (self.clock)();
        {
            let mut inner = self.called("create")?;
            if let Some(reason) = inner.refusal.clone() {
                return Err(Error::Refused {
                    room: order.room.clone(),
                    reason,
                });
            }
            assert_eq!(order.token, format!("token of {}", order.room));
            inner.put(order.room.clone(), order.version, now);
            inner.avoided.clone_from(&order.avoid);
        }
        self.hang().await;
        Ok(())
    }

    async fn expose(&self, _: &Scheduler, _: &RoomId) -> Result<(), Error> {
        self.called("expose").map(|_| ())
    }

    async fn delete(&self, _: &SchedulerName, room: &RoomId, uid: &str, _: Span) -> Result<(), Error> {
        {
            let mut inner = self.called("delete")?;
            if inner.objects.get(room).is_some_and(|object| object.uid == uid) {
                inner.objects.remove(room);
            }
        }
        self.hang().await;
        Ok(())
    }

    async fn usage(&self, _: &SchedulerName) -> Result<Vec<Usage>, Error> {
        let at = (self.clock)();
        let inner = self.called("usage")?;
        let cpu_milli = inner.cpu_milli;
        let rooms = inner.objects.keys().cloned();
        Ok(rooms
            .map(|room| Usage {
                room,
                at,
                cpu_milli,
                memory_bytes: 1e6,
            })
            .collect())
    }

    async fn logs(&self, _: &SchedulerName, _: &RoomId, _: usize, _: bool) -> Result<String, Error> {
        self.called("logs").map(|_| String::new())
    }

    async fn remove(&self, _: &SchedulerName) -> Result<(), Error> {
        self.called("remove").map(|_| ())
    }

    fn nudges(&self, _: &SchedulerName) -> Arc<Notify> {
        Arc::default()
    }

    fn nodes(&self) -> Arc<Nodes> {
        Arc::new(self.inner.lock().unwrap().nodes.clone())
    }
}
