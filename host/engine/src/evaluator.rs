//! Where policies run: in place for who drives many loops one after the other, or on threads of their own for who
//! serves many at once.

use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use crate::class::Class;
use crate::engine::Error;
use crate::failure::{Failure, FailureClass};
use crate::observation::{Evaluation, Observation};
use crate::policy::Policy;

/// Threads for class native. Two keep up with 80,000 evaluations a second; more would only take cores from others.
const NATIVE_THREADS: usize = 2;

/// Threads for class heavy.
const HEAVY_THREADS: usize = 1;

/// Evaluations that may wait. A scheduler has one in flight, so this is a thousand schedulers with eight triggers
/// each in the same moment; a run takes some 30 µs, so the last of them waits for a quarter of a second.
const NATIVE_QUEUE: usize = 8_192;

/// The same for class heavy, whose runs take some 5 ms: those of all schedulers of a worker are asked on the same beat, and
/// the last of them waits for some seconds.
const HEAVY_QUEUE: usize = 1_024;

/// Is told of each evaluation: the policy, how long its answer took, and what it was.
pub type Observer = Arc<dyn Fn(&Policy, Duration, &Result<Evaluation, Failure>) + Send + Sync>;

/// Runs policies.
#[derive(Clone)]
pub struct Evaluator {
    place: Place,
    observer: Option<Observer>,
}

#[derive(Clone, Debug)]
enum Place {
    Inline,
    Pool(Arc<Pool>),
}

#[derive(Debug)]
struct Pool {
    native: SyncSender<Job>,
    heavy: SyncSender<Job>,
}

struct Job {
    policy: Policy,
    observation: Observation,
    answer: oneshot::Sender<Result<Evaluation, Failure>>,
}

impl Evaluator {
    /// Runs each policy where it is asked for. Nothing else happens meanwhile, in whatever order of threads, which
    /// is what a simulator needs.
    pub fn inline() -> Self {
        Place::Inline.into()
    }

    /// Runs policies on threads of its own, which end with the last clone. Class heavy has a thread to itself, so
    /// that it never delays class native.
    pub fn pool() -> Result<Self, Error> {
        let pool = Pool {
            native: start("maestro-judge", NATIVE_THREADS, NATIVE_QUEUE)?,
            heavy: start("maestro-judge-heavy", HEAVY_THREADS, HEAVY_QUEUE)?,
        };
        Ok(Place::Pool(Arc::new(pool)).into())
    }

    /// The same, telling `observer` of each evaluation.
    pub fn observed(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Asks `policy` for its verdict. When too many wait already, that is said at once.
    pub async fn evaluate(&self, policy: &Policy, observation: Observation) -> Result<Evaluation, Failure> {
        let Some(observer) = &self.observer else {
            return self.run(policy, observation).await;
        };
        let begun = Instant::now();
        let result = self.run(policy, observation).await;
        observer(policy, begun.elapsed(), &result);
        result
    }

    async fn run(&self, policy: &Policy, observation: Observation) -> Result<Evaluation, Failure> {
        let pool = match &self.place {
            Place::Inline => return policy.evaluate(&observation),
            Place::Pool(pool) => pool,
        };
        let (tx, rx) = oneshot::channel();
        let queue = match policy.class() {
            Class::Native => &pool.native,
            Class::Heavy => &pool.heavy,
        };
        let job = Job {
            policy: policy.clone(),
            observation,
            answer: tx,
        };
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => failure(
                FailureClass::QueueFull,
                "too many evaluations are waiting already",
            ),
            TrySendError::Disconnected(_) => failure(FailureClass::Engine, "no thread evaluates any more"),
        })?;
        rx.await
            .unwrap_or_else(|_| Err(failure(FailureClass::Engine, "the evaluation panicked")))
    }
}

impl From<Place> for Evaluator {
    fn from(place: Place) -> Self {
        Self {
            place,
            observer: None,
        }
    }
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Evaluator").field(&self.place).finish()
    }
}

fn start(name: &str, threads: usize, queue: usize) -> Result<SyncSender<Job>, Error> {
    let (tx, rx) = mpsc::sync_channel(queue);
    let rx = Arc::new(Mutex::new(rx));
    for number in 0..threads {
        let jobs = Arc::clone(&rx);
        std::thread::Builder::new()
            .name(format!("{name}-{number}"))
            .spawn(move || work(&jobs))
            .map_err(Error::Thread)?;
    }
    Ok(tx)
}

/// Takes jobs until nobody can send any more.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // Whoever asked has gone.
        if job.answer.is_canceled() {
            continue;
        }
        // A bug of ours in one evaluation must not take the thread from all others. The policy holds nothing that
        // a panic could have left half done: store and instance are gone.
        let result = panic::catch_unwind(AssertUnwindSafe(|| job.policy.evaluate(&job.observation)));
        if let Ok(result) = result {
            // Gone meanwhile, which is fine.
            drop(job.answer.send(result));
        }
    }
}

fn failure(class: FailureClass, message: &str) -> Failure {
    Failure {
        class,
        message: message.to_owned(),
        fuel: 0,
    }
}
