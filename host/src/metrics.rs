//! What Prometheus is told: counted as it happens, and read without asking anybody.
//!
//! A value and no global state, so that a test can have many installations. Nothing in here knows a room by name, and a
//! scrape costs what there are schedulers, not rooms: the loops bring their counts, which they keep up anyway. What is
//! told of a scheduler is told by the holder of its lease alone, and goes with its loop. Callers: whoever does what is
//! counted; `api/metrics` for the text. The names are an interface: `tests/api/metrics.txt` is the reviewed list.

mod label;
mod schedulers;
mod calls;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, Instant, SystemTime};

use maestro_engine::{Evaluation, Failure, FailureClass, Policy};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use label::{Label, label, owned};
use schedulers::Loops;

pub use calls::{Call, Dependency, Outcome};
pub use schedulers::{Loop, Turn};

/// From half a millisecond, which a ping takes, to the longest that a request may take.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// From ten microseconds, in which a small policy answers, to the deadline of class heavy.
const POLICY_BUCKETS: [f64; 10] = [
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.02, 0.1,
];

type Counters<const N: usize> = Family<[Label; N], Counter>;
type Histograms<const N: usize> = Family<[Label; N], Histogram, fn() -> Histogram>;

/// Everything that is counted in this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    loops: Arc<Loops>,
    requests: Histograms<3>,
    reports: Counters<1>,
    refusals: Counters<1>,
    allocations: Counters<2>,
    evaluations: Counters<3>,
    failures: Counters<3>,
    fuel: Counters<2>,
    evaluation_times: Histograms<1>,
    calls: Histograms<3>,
    answers: Family<[Label; 1], Gauge>,
    journal_waiting: Gauge,
    journal_dropped: Counters<1>,
    spans: Counters<1>,
    step_times: Histogram,
    lags: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("maestro");
        let loops = Arc::new(Loops::default());
        registry.register_collector(Box::new(Arc::clone(&loops)));
        let mut metrics = Self {
            loops,
            requests: Family::new_with_constructor(histogram),
            reports: Family::default(),
            refusals: Family::default(),
            allocations: Family::default(),
            evaluations: Family::default(),
            failures: Family::default(),
            fuel: Family::default(),
            evaluation_times: Family::new_with_constructor(|| Histogram::new(POLICY_BUCKETS)),
            calls: Family::new_with_constructor(histogram),
            answers: Family::default(),
            journal_waiting: Gauge::default(),
            journal_dropped: Family::default(),
            spans: Family::default(),
            step_times: histogram(),
            lags: histogram(),
            registry,
        };
        metrics.register_loops();
        metrics.register_edges();
        metrics
    }
}

impl Metrics {
    fn register_loops(&mut self) {
        let Self { registry, .. } = self;
        registry.register(
            "policy_evaluations",
            "Evaluations of policies that ran, by what came of them",
            self.evaluations.clone(),
        );
        registry.register(
            "policy_failures",
            "Evaluations of policies that failed, by class",
            self.failures.clone(),
        );
        registry.register("policy_fuel", "Fuel that policies used", self.fuel.clone());
        registry.register(
            "policy_evaluation_duration_seconds",
            "Time from asking a policy to its answer, the wait for a thread included",
            self.evaluation_times.clone(),
        );
        registry.register(
            "step_duration_seconds",
            "Time that a step of a scheduler's loop took",
            self.step_times.clone(),
        );
        registry.register(
            "event_to_decision_seconds",
            "Time from a room's report of another status to the end of the step that took it in",
            self.lags.clone(),
        );
        registry.register(
            "journal_waiting",
            "Decisions that wait to be written",
            self.journal_waiting.clone(),
        );
        registry.register(
            "journal_dropped",
            "Records that were dropped because the store was away or behind for too long",
            self.journal_dropped.clone(),
        );
    }

    fn register_edges(&mut self) {
        let Self { registry, .. } = self;
        registry.register(
            "http_request_duration_seconds",
            "Time to the head of an answer, by method, template of the route, and status",
            self.requests.clone(),
        );
        registry.register(
            "room_reports",
            "Calls by which rooms told their status, by how they were taken",
            self.reports.clone(),
        );
        registry.register(
            "operator_refusals",
            "Calls of operators' routes without a valid token",
            self.refusals.clone(),
        );
        registry.register(
            "allocations",
            "Rooms asked for, for a match, by what came of it",
            self.allocations.clone(),
        );
        registry.register(
            "dependency_up",
            "Whether the last call to a dependency was answered",
            self.answers.clone(),
        );
        registry.register(
            "dependency_call_duration_seconds",
            "Time that calls to store, registry and cluster took, by whether they were answered",
            self.calls.clone(),
        );
        registry.register(
            "trace_spans",
            "Spans for the collector of traces, by what became of them",
            self.spans.clone(),
        );
        let version = Info::new([label("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The release that runs", version);
        let start: Gauge<f64, AtomicU64> = Gauge::default();
        start.set(schedulers::unix(SystemTime::now()));
        registry.register("start_timestamp_seconds", "When this process began", start);
        registry.register(
            "loops",
            "Loops of schedulers that this process runs, with or without their lease",
            self.loops.number.clone(),
        );
    }

    /// Everything in OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if text::encode(&mut text, &self.registry).is_err() {
            // Writing to a text fails only where one of ours refuses to, and none does.
            tracing::error!("the metrics can't be written");
        }
        text
    }

    /// Counts a request. `route` is a template, and so is none of its names.
    pub fn request(&self, method: &'static str, route: String, status: u16, took: Duration) {
        let labels = [
            label("method", method),
            owned("route", route),
            schedulers::status(status),
        ];
        self.requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a call by which a room told its status.
    pub fn report(&self, result: &'static str) {
        self.reports.get_or_create(&[label("result", result)]).inc();
    }

    /// Counts a call of an operators' route without a valid token.
    pub fn refusal(&self, reason: &'static str) {
        self.refusals.get_or_create(&[label("reason", reason)]).inc();
    }

    /// Counts records that were dropped.
    pub fn journal_dropped(&self, what: &'static str, number: u64) {
        self.journal_dropped
            .get_or_create(&[label("what", what)])
            .inc_by(number);
    }

    /// Takes down how many decisions wait to be written.
    pub fn journal_waiting(&self, number: usize) {
        self.journal_waiting
            .set(i64::try_from(number).unwrap_or(i64::MAX));
    }

    /// Counts spans.
    pub fn spans(&self, result: &'static str, number: u64) {
        self.spans
            .get_or_create(&[label("result", result)])
            .inc_by(number);
    }

    /// Counts evaluations of policies; to be handed to whatever runs them.
    pub fn of_policies(self: &Arc<Self>) -> maestro_engine::Observer {
        let metrics = Arc::clone(self);
        Arc::new(move |policy, took, result| metrics.evaluation(policy, took, result))
    }

    fn evaluation(&self, policy: &Policy, took: Duration, result: &Result<Evaluation, Failure>) {
        let name = || owned("policy", policy.manifest().name.clone());
        let digest = || owned("digest", policy.digest().short());
        let (outcome, fuel) = match result {
            Ok(evaluation) => ("voted", evaluation.fuel),
            Err(failure) if failure.class == FailureClass::InsufficientData => ("waiting", failure.fuel),
            Err(failure) => {
                let class = label("class", failure.class.as_str());
                self.failures.get_or_create(&[name(), digest(), class]).inc();
                ("failed", failure.fuel)
            }
        };
        let labels = [name(), digest(), label("outcome", outcome)];
        self.evaluations.get_or_create(&labels).inc();
        self.fuel.get_or_create(&[name(), digest()]).inc_by(fuel);
        self.evaluation_times
            .get_or_create(&[name()])
            .observe(took.as_secs_f64());
    }

    /// A loop of a scheduler begins: what it tells is told until the answer is dropped.
    pub fn enter(self: &Arc<Self>, scheduler: &maestro_core::names::SchedulerName) -> Loop {
        Loop::new(Arc::clone(self), scheduler)
    }

    /// What has been at the same thing for longer than `limit`, by name.
    pub fn stuck(&self, limit: Duration, now: Instant) -> Vec<String> {
        self.loops.stuck(limit, now)
    }
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

/// How many there are of something that comes and goes.
type Number = Gauge<i64, AtomicI64>;
