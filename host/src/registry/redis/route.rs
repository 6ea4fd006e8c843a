//! From a slot to the server that has it, and through whatever a cluster does meanwhile.
//!
//! A single server has all slots. A cluster's owners are read when it is connected to, corrected by what redirects say,
//! and read again when a node does not answer. A call is made again where it certainly did not happen, and also where
//! nobody knows, if it is one of those that do no harm twice. All within one deadline. Called by [`super::Redis`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rand::RngExt;
use redis::{Client, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::time::Instant;

use super::bells::Bells;
use super::cluster;
use super::link::{Call, Failure, Limits, Link, Live};
use super::script::{Script, Slot};
use crate::registry::Error;

/// The wait before a server is asked again that said "later". Elections of a cluster take a second or more.
const LATER: Duration = Duration::from_millis(50);

/// Redirects that are followed without a wait: one to who has the slot, one more if it moved on. Nodes that have not
/// heard of a move yet send a call back and forth.
const REDIRECTS: u32 = 2;

/// The least time between two readings of who owns what.
const REFRESH_SPACING: Duration = Duration::from_millis(250);

/// Servers by slot.
pub(super) struct Router {
    limits: Limits,
    patience: Duration,
    bells: Arc<Bells>,
    owners: RwLock<Owners>,
    links: Mutex<BTreeMap<String, Arc<Link>>>,
    /// The nodes that it was told of: they may know the others when all of those that had slots are gone.
    seeds: Vec<Arc<Link>>,
    refreshed: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Clone)]
enum Owners {
    One(Arc<Link>),
    /// By slot, all of them; each is the address of a node.
    Cluster(Vec<String>),
}

/// A script with its keys and arguments.
pub(super) struct Order<'a> {
    pub(super) script: Script,
    pub(super) slot: Slot,
    pub(super) keys: &'a [String],
    pub(super) args: &'a [&'a [u8]],
}

/// An answer, and whether the call may have happened more than once.
pub(super) struct Answer {
    pub(super) value: Value,
    pub(super) is_repeated: bool,
}

impl Router {
    /// Connects to the server, or to the cluster that these are nodes of.
    pub(super) async fn connect(
        seeds: Vec<Client>,
        limits: Limits,
        patience: Duration,
        bells: Arc<Bells>,
    ) -> RedisResult<Self> {
        let mut failure = RedisError::from((ErrorKind::InvalidClientConfig, "no address is given"));
        let seeds = seeds
            .into_iter()
            .map(|client| Link::new(client, limits, Arc::clone(&bells)));
        let seeds: Vec<Arc<Link>> = seeds.map(Arc::new).collect();
        for link in &seeds {
            let router = Self {
                limits,
                patience,
                bells: Arc::clone(&bells),
                owners: RwLock::new(Owners::One(Arc::clone(link))),
                links: Mutex::default(),
                seeds: seeds.clone(),
                refreshed: tokio::sync::Mutex::default(),
            };
            match router.begin(link).await {
                Ok(()) if seeds.len() == 1 || router.is_cluster() => return Ok(router),
                Ok(_) => {
                    let text = "several addresses are for the nodes of a cluster, and this is none";
                    let addr = link.client().get_connection_info().addr().to_string();
                    return Err(RedisError::from((ErrorKind::InvalidClientConfig, text, addr)));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn begin(&self, link: &Arc<Link>) -> RedisResult<()> {
        let live = link.connected().await?;
        if cluster::is_there(link, &live).await? {
            let owners = self.read_owners(link, &live).await?;
            self.set_owners(owners);
        }
        Ok(())
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(*self.owners(), Owners::Cluster(_))
    }

    /// The link to the server that has `slot`.
    pub(super) fn link(&self, slot: Slot) -> Option<Arc<Link>> {
        let address = match &*self.owners() {
            Owners::One(link) => return Some(Arc::clone(link)),
            Owners::Cluster(owners) => owners.get(usize::from(slot.0)).cloned(),
        };
        self.link_to(&address?)
    }

    /// Calls a script until it is answered, or for as long as makes sense.
    pub(super) async fn call(&self, order: Order<'_>) -> Result<Answer, Error> {
        let build = |live: &Live| {
            let mut command = redis::cmd("EVALSHA");
            command
                .arg(live.digest(order.script))
                .arg(order.keys.len())
                .arg(order.keys);
            for arg in order.args {
                command.arg(*arg);
            }
            command
        };
        self.run(order.slot, order.script.may_repeat(), build).await
    }

    /// Runs a command that only reads.
    pub(super) async fn read(&self, slot: Slot, command: &Cmd) -> Result<Value, Error> {
        let answer = self.run(slot, true, |_| command.clone()).await?;
        Ok(answer.value)
    }

    async fn run(&self, slot: Slot, may_repeat: bool, build: impl Fn(&Live) -> Cmd) -> Result<Answer, Error> {
        let deadline = Instant::now() + self.patience;
        let mut course = Course::default();
        loop {
            let tried = tokio::time::timeout_at(deadline, self.attempt(slot, &mut course, &build)).await;
            let failure = match tried {
                Ok(Ok(value)) => {
                    return Ok(Answer {
                        value,
                        is_repeated: course.is_repeated,
                    });
                }
                Ok(Err(failure)) => failure,
                Err(_) => return Err(course.give_up()),
            };
            if let Failure::Lost(_) = failure {
                course.is_repeated = true;
            }
            let goes_on = match &failure {
                Failure::NotSent(_) => true,
                Failure::Lost(_) => may_repeat,
                Failure::Answered(error) => can_wait(error) || error.redirect_node().is_some(),
            };
            let has_moved = !matches!(&failure, Failure::Answered(error) if error.redirect_node().is_some());
            course.last = Some(failure.into_error());
            if !goes_on {
                return Err(course.give_up());
            }
            if has_moved && self.is_cluster() {
                // An error here changes nothing: the next attempt goes where the last one went.
                if let Err(error) = tokio::time::timeout_at(deadline, self.refresh())
                    .await
                    .unwrap_or(Ok(()))
                {
                    tracing::debug!("the owners of the cluster's slots can't be read: {error}");
                }
            }
        }
    }

    async fn attempt(
        &self,
        slot: Slot,
        course: &mut Course,
        build: impl Fn(&Live) -> Cmd,
    ) -> Result<Value, Failure> {
        let redirect = course.redirect.take();
        let is_asking = redirect.is_some();
        let link = match redirect {
            Some(address) => self.link_to(&address),
            None => self.link(slot),
        };
        let link = link.ok_or_else(|| {
            Failure::NotSent((ErrorKind::ClusterConnectionNotFound, "no node has the slot").into())
        })?;
        let is_there = |slot| self.link(slot).is_some_and(|owner| Arc::ptr_eq(&owner, &link));
        let live = link.live(is_there).await.map_err(Failure::NotSent)?;
        let mut answer = send(&link, &live, build(&live), is_asking).await;
        if let Err(Failure::Answered(error)) = &answer
            && error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
        {
            link.reload(&live).await?;
            answer = send(&link, &live, build(&live), is_asking).await;
        }
        if let Err(Failure::Answered(error)) = &answer {
            self.heed(error, slot, &link, course);
            if can_wait(error) || course.redirects > REDIRECTS {
                // A replica that was a master: the address may belong to another server by now.
                if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
                    live.give_up();
                }
                let wait = LATER.mul_f64(rand::rng().random_range(0.5..1.5));
                tokio::time::sleep(wait).await;
            }
        }
        answer
    }

    /// Follows a redirect.
    fn heed(&self, error: &RedisError, slot: Slot, from: &Link, course: &mut Course) {
        let Some((address, _)) = error.redirect_node() else {
            return;
        };
        course.redirects += 1;
        // A node that does not know its own address says ":port".
        let address = match address.strip_prefix(':') {
            Some(port) => format!("{}:{port}", cluster::host(from.client())),
            None => address.to_owned(),
        };
        if error.kind() == ErrorKind::Server(ServerErrorKind::Ask) {
            course.redirect = Some(address);
            return;
        }
        let mut owners = self.owners.write().unwrap_or_else(PoisonError::into_inner);
        if let Owners::Cluster(owners) = &mut *owners
            && let Some(owner) = owners.get_mut(usize::from(slot.0))
        {
            *owner = address;
        }
        drop(owners);
        self.bells.look_again();
    }

    /// Reads from any node that answers who owns what.
    async fn refresh(&self) -> RedisResult<()> {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < REFRESH_SPACING) {
            return Ok(());
        }
        let links: Vec<Arc<Link>> = {
            let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.values().chain(&self.seeds).cloned().collect()
        };
        // Those that are connected first: the others may be what this is about.
        let (up, down): (Vec<_>, Vec<_>) = links.iter().partition(|link| link.current().is_some());
        let mut failure = None;
        for link in up.into_iter().chain(down) {
            let read = async {
                let live = link.connected().await?;
                self.read_owners(link, &live).await
            };
            match read.await {
                Ok(owners) => {
                    self.set_owners(owners);
                    failure = None;
                    break;
                }
                Err(error) => failure = Some(error),
            }
        }
        *refreshed = Some(Instant::now());
        failure.map_or(Ok(()), Err)
    }

    async fn read_owners(&self, link: &Arc<Link>, live: &Live) -> RedisResult<Vec<String>> {
        let owners = cluster::owners(link, live).await?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        for address in &owners {
            if !address.is_empty() && !links.contains_key(address) {
                links.insert(address.clone(), Arc::new(self.sibling(link, address)?));
            }
        }
        links.retain(|address, _| owners.contains(address));
        Ok(owners)
    }

    fn set_owners(&self, new: Vec<String>) {
        *self.owners.write().unwrap_or_else(PoisonError::into_inner) = Owners::Cluster(new);
        self.bells.look_again();
    }

    fn owners(&self) -> std::sync::RwLockReadGuard<'_, Owners> {
        self.owners.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn link_to(&self, address: &str) -> Option<Arc<Link>> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.get(address) {
            return Some(Arc::clone(link));
        }
        let sibling = links.values().next().cloned()?;
        let link = Arc::new(self.sibling(&sibling, address).ok()?);
        links.insert(address.to_owned(), Arc::clone(&link));
        Some(link)
    }

    fn sibling(&self, of: &Link, address: &str) -> RedisResult<Link> {
        let client = cluster::sibling(of.client(), address)?;
        Ok(Link::new(client, self.limits, Arc::clone(&self.bells)))
    }
}

/// Where one call stands.
#[derive(Default)]
struct Course {
    /// The node to ask next, this once.
    redirect: Option<String>,
    /// How often it was sent on.
    redirects: u32,
    is_repeated: bool,
    last: Option<RedisError>,
}

impl Course {
    fn give_up(self) -> Error {
        match self.last {
            // The server's memory is full, and it says so.
            Some(error) if error.code() == Some("OOM") => Error::Full {
                what: "the memory of Redis",
            },
            Some(error) => Error::Unavailable { cause: error.into() },
            None => Error::Unavailable {
                cause: "Redis did not answer in time".into(),
            },
        }
    }
}

/// Whether the server asks for patience, and did nothing yet.
fn can_wait(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly, TryAgain};
    match error.kind() {
        ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly | TryAgain) => true,
        _ => error.code() == Some("BUSY"),
    }
}

async fn send(link: &Link, live: &Live, command: Cmd, is_asking: bool) -> Result<Value, Failure> {
    if !is_asking {
        return link.send(live, &Call::Plain(&command)).await;
    }
    let mut pipeline = redis::pipe();
    pipeline.cmd("ASKING").ignore().add_command(command);
    link.send(live, &Call::Asking(&pipeline)).await
}
