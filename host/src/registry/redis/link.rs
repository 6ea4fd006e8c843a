//! One shared connection to one server: calls of all tasks go over it at once, and it is made again when it breaks.
//!
//! A connection that broke answers nobody: whoever comes next makes a new one first, or waits for whoever is making
//! it. Attempts that fail are spaced by a delay that doubles, with chance in it, so that many processes do not come
//! back to a server in step. Nothing here is spawned: the next call mends what broke. Called by [`super::route`].

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::FutureExt;
use rand::RngExt;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, PushInfo, PushKind, RedisError, RedisResult, Value,
};
use tokio::time::Instant;

use super::bells::Bells;
use super::script::{Script, Slot};

/// Calls that wait for the connection to take them. More wait outside, which keeps their order just as well.
const QUEUE: usize = 1_024;

/// The first delay after a failed attempt, and the longest: a server that came back is found within a second.
const DELAYS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How long is waited for a connection, and for an answer on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connect: Duration,
    pub(super) answer: Duration,
}

/// A connection to one server, which comes back.
pub(super) struct Link {
    client: Client,
    limits: Limits,
    bells: Arc<Bells>,
    live: RwLock<Option<Live>>,
    retry: tokio::sync::Mutex<Retry>,
    subscribing: tokio::sync::Mutex<()>,
    /// Channels that were listened to on any connection so far: who waits for those may have missed something.
    heard: Mutex<BTreeSet<String>>,
}

/// A connection that works, as far as is known.
#[derive(Clone)]
pub(super) struct Live {
    connection: MultiplexedConnection,
    digests: Arc<[String]>,
    is_broken: Arc<AtomicBool>,
    subscribed: Arc<Mutex<BTreeSet<String>>>,
    /// The version of the bells that it is subscribed to.
    bells: Arc<AtomicU64>,
}

#[derive(Default)]
struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

/// What a call over a link came to when it came to no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The call did not reach the server.
    NotSent(RedisError),
    /// It may have happened.
    Lost(RedisError),
    /// The server answered, and not as hoped.
    Answered(RedisError),
}

impl Failure {
    pub(super) fn into_error(self) -> RedisError {
        match self {
            Self::NotSent(error) | Self::Lost(error) | Self::Answered(error) => error,
        }
    }
}

impl Link {
    pub(super) fn new(client: Client, limits: Limits, bells: Arc<Bells>) -> Self {
        Self {
            client,
            limits,
            bells,
            live: RwLock::default(),
            retry: tokio::sync::Mutex::default(),
            subscribing: tokio::sync::Mutex::default(),
            heard: Mutex::default(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The connection as it is, if it is not known to be broken.
    pub(super) fn current(&self) -> Option<Live> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.as_ref().filter(|live| !live.is_broken()).cloned()
    }

    /// A connection, made now if there is none.
    pub(super) async fn connected(&self) -> RedisResult<Live> {
        match self.current() {
            Some(live) => Ok(live),
            None => self.connect().await,
        }
    }

    /// A connection that is subscribed to the bells of this server's slots.
    pub(super) async fn live(&self, is_there: impl Fn(Slot) -> bool) -> RedisResult<Live> {
        let live = self.connected().await?;
        if live.bells.load(Ordering::Acquire) != self.bells.version() {
            self.subscribe(&live, is_there).await?;
        }
        Ok(live)
    }

    async fn connect(&self) -> RedisResult<Live> {
        let mut retry = self.retry.lock().await;
        // Somebody else made it meanwhile.
        if let Some(live) = self.current() {
            return Ok(live);
        }
        if let Some(not_before) = retry.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        let made = tokio::time::timeout(self.limits.connect, self.open()).await;
        match made.unwrap_or_else(|_| Err(late())) {
            Ok(live) => {
                *retry = Retry::default();
                *self.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
                Ok(live)
            }
            Err(error) => {
                retry.failures = retry.failures.saturating_add(1);
                retry.not_before = Some(Instant::now() + delay(retry.failures));
                Err(error)
            }
        }
    }

    async fn open(&self) -> RedisResult<Live> {
        let is_broken = Arc::new(AtomicBool::new(false));
        let (breaks, bells) = (Arc::clone(&is_broken), Arc::clone(&self.bells));
        let hear = move |push: PushInfo| -> Result<(), ()> {
            match push.kind {
                PushKind::Disconnection => breaks.store(true, Ordering::Release),
                PushKind::Message => {
                    if let Some(Value::BulkString(channel)) = push.data.first()
                        && let Ok(channel) = std::str::from_utf8(channel)
                    {
                        bells.ring(channel);
                    }
                }
                _ => {}
            }
            Ok(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE)
            .set_push_sender(hear);
        let mut connection = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let digests = load(&mut connection).await?;
        Ok(Live {
            connection,
            digests,
            is_broken,
            subscribed: Arc::default(),
            // Bells begin at 0, and nothing is to be subscribed to then.
            bells: Arc::default(),
        })
    }

    async fn subscribe(&self, live: &Live, is_there: impl Fn(Slot) -> bool) -> RedisResult<()> {
        // Everybody waits for it: what is read over this connection must be read after it.
        let _one_at_a_time = self.subscribing.lock().await;
        let version = self.bells.version();
        if live.bells.load(Ordering::Acquire) == version {
            return Ok(());
        }
        let wanted = self.bells.channels(is_there);
        let had = live
            .subscribed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut connection = live.connection.clone();
        let change = async {
            let new: Vec<&String> = wanted.difference(&had).collect();
            if !new.is_empty() {
                connection.subscribe(&new).await?;
            }
            let old: Vec<&String> = had.difference(&wanted).collect();
            if !old.is_empty() {
                connection.unsubscribe(&old).await?;
            }
            Ok::<_, RedisError>(new)
        };
        let changed = tokio::time::timeout(self.limits.answer, change).await;
        match changed.unwrap_or_else(|_| Err(late())) {
            Ok(new) => self.ring_after_a_break(&new),
            // Nudges are hints: who may not have them goes by its period.
            Err(error) if error.code() == Some("NOPERM") => {
                tracing::warn!(
                    "Redis does not let this user subscribe, so changes are noticed late: {error}"
                );
            }
            Err(error) => {
                live.give_up();
                return Err(error);
            }
        }
        *live.subscribed.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        live.bells.store(version, Ordering::Release);
        Ok(())
    }

    /// Rings for channels that were listened to before the last break: something may have been said meanwhile.
    fn ring_after_a_break(&self, channels: &[&String]) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for channel in channels {
            if !heard.insert((*channel).clone()) {
                self.bells.ring(channel);
            }
        }
        // Of those that nobody waits for any more nothing is kept.
        let all = self.bells.channels(|_| true);
        heard.retain(|channel| all.contains(channel));
    }

    /// Sends one call and waits for its answer.
    pub(super) async fn send(&self, live: &Live, call: &Call<'_>) -> Result<Value, Failure> {
        if live.is_broken() {
            return Err(Failure::NotSent(broken()));
        }
        let mut connection = live.connection.clone();
        let answer = async {
            match call {
                Call::Plain(command) => command.query_async(&mut connection).await,
                Call::Asking(pipeline) => {
                    let answers: Vec<Value> = pipeline.query_async(&mut connection).await?;
                    Ok(answers.into_iter().next().unwrap_or_default())
                }
            }
        };
        match tokio::time::timeout(self.limits.answer, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if error.is_io_error() || error.kind() == redis::ErrorKind::Parse => {
                live.give_up();
                Err(Failure::Lost(error))
            }
            Ok(Err(error)) => Err(Failure::Answered(error)),
            // A server that does not answer may be gone without a word.
            Err(_) => {
                live.give_up();
                Err(Failure::Lost(late()))
            }
        }
    }

    /// Loads the scripts once more: the server lost them, and nothing else.
    pub(super) async fn reload(&self, live: &Live) -> Result<(), Failure> {
        let mut connection = live.connection.clone();
        let loaded = tokio::time::timeout(self.limits.answer, load(&mut connection)).await;
        let loaded = loaded.unwrap_or_else(|_| Err(late()));
        loaded.map(|_| ()).map_err(|error| {
            live.give_up();
            Failure::NotSent(error)
        })
    }
}

impl Live {
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Acquire)
    }

    /// From here on nobody is given this connection any more.
    pub(super) fn give_up(&self) {
        self.is_broken.store(true, Ordering::Release);
    }

    /// What the server knows `script` by.
    pub(super) fn digest(&self, script: Script) -> &str {
        self.digests.get(script as usize).map_or("", String::as_str)
    }

    /// Sends a message that nobody waits for, if that can be done at once.
    pub(super) fn send_at_once(&self, command: &mut Cmd) -> bool {
        let mut connection = self.connection.clone();
        let command = command.set_no_response(true);
        let sent = connection.send_packed_command(command).now_or_never();
        sent.is_some_and(|sent| sent.is_ok())
    }
}

/// A call as it is sent.
pub(super) enum Call<'a> {
    /// One command.
    Plain(&'a Cmd),
    /// One command to a node that is only just taking the slot over.
    Asking(&'a Pipeline),
}

async fn load(connection: &mut MultiplexedConnection) -> RedisResult<Arc<[String]>> {
    let mut pipeline = redis::pipe();
    for script in Script::ALL {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.source());
    }
    let digests: Vec<String> = pipeline.query_async(connection).await?;
    Ok(digests.into())
}

fn delay(failures: u32) -> Duration {
    let (first, longest) = DELAYS;
    let most = first
        .saturating_mul(1 << failures.saturating_sub(1).min(16))
        .min(longest);
    most.mul_f64(rand::rng().random_range(0.5..1.0))
}

fn late() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer in time").into()
}

fn broken() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::BrokenPipe, "the connection broke").into()
}
