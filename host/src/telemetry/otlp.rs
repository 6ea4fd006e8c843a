//! Sends traces to a collector: OTLP in protobuf over HTTP, in batches, behind a bounded queue that nobody waits for.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::supervisor::chain;

/// Spans that may wait: some seconds of a busy process, in a few megabytes.
pub(super) const QUEUE: usize = 4_096;

/// Spans of one call, as OpenTelemetry's own exporters have it.
const BATCH: usize = 512;

/// Time between two calls.
const EVERY: Duration = Duration::from_secs(1);

/// The longest that a call may take.
const CALL: Duration = Duration::from_secs(5);

/// The longest that the last calls may take together.
const FLUSH: Duration = Duration::from_secs(2);

/// What is read of an answer at most.
const ANSWER: usize = 64 * 1024;

/// Why nothing can be sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no address.
    #[error("`{url}` is no collector of traces; expected something like http://collector:4318")]
    Url {
        /// As it was given.
        url: String,
    },
    /// There is no authority to trust.
    #[error("there is no authority to trust for {url}")]
    Roots {
        /// The collector.
        url: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The exporter can't be made.
    #[error("traces can't be sent to {url}: {why}")]
    Exporter {
        /// The collector.
        url: String,
        /// Why.
        why: String,
    },
}

/// Sends what is queued. To be run beside everything else.
pub struct Exporter {
    spans: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    metrics: Arc<Metrics>,
    is_failing: bool,
    /// Spans of the call that is under way.
    under_way: u64,
}

impl Exporter {
    /// An exporter to the collector at `url`, to which the path of traces is added.
    pub(super) fn new(
        url: &str,
        spans: mpsc::Receiver<SpanData>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Error> {
        let is_plain = url.starts_with("http://");
        if !(is_plain || url.starts_with("https://")) || url.parse::<http::Uri>().is_err() {
            return Err(Error::Url { url: url.to_owned() });
        }
        let endpoint = format!("{}/v1/traces", url.trim_end_matches('/'));
        let failed = |error: &dyn fmt::Display| Error::Exporter {
            url: url.to_owned(),
            why: error.to_string(),
        };
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error))?;
        // Reading the system's authorities takes a while, which plain HTTP does without.
        let tls = match is_plain {
            true => tls.with_root_certificates(RootCertStore::empty()),
            false => tls.with_native_roots().map_err(|cause| Error::Roots {
                url: url.to_owned(),
                cause,
            })?,
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .build();
        let http = Http(Client::builder(TokioExecutor::new()).build(connector));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(http)
            // It would wait between tries, while the queue fills.
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(CALL)
            .build();
        let mut exporter = exporter.map_err(|error| failed(&error))?;
        let named = [
            KeyValue::new("service.name", "maestro"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", format!("{:016x}", rand::random::<u64>())),
        ];
        exporter.set_resource(&Resource::builder_empty().with_attributes(named).build());
        Ok(Self {
            spans,
            exporter,
            metrics,
            is_failing: false,
            under_way: 0,
        })
    }

    /// Sends until `stop`, and then what still waits, if that takes no longer than a moment.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => self.send().await,
            }
        }
        self.spans.close();
        if timeout(FLUSH, self.send()).await.is_err() {
            tracing::warn!("the collector of traces takes too long, the last spans are dropped");
        }
        let left = u64::try_from(self.spans.len()).unwrap_or(u64::MAX);
        self.metrics.spans("dropped", left + self.under_way);
        Ok(())
    }

    /// Sends what is queued. A batch that can't be sent is dropped: what comes after it is worth more than a memory
    /// that fills.
    async fn send(&mut self) {
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            let number = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            if number == 0 {
                return;
            }
            self.under_way = number;
            let sent = timeout(CALL, self.exporter.export(batch)).await;
            self.under_way = 0;
            let problem = match sent {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(chain(&error)),
                Err(_) => Some(format!("it did not answer within {} s", CALL.as_secs())),
            };
            let is_sent = problem.is_none();
            self.metrics
                .spans(if is_sent { "exported" } else { "failed" }, number);
            // The same outage is told once.
            let was_failing = std::mem::replace(&mut self.is_failing, !is_sent);
            if let Some(problem) = problem.filter(|_| !was_failing) {
                tracing::warn!("traces can't be sent, they are dropped: {problem}");
            }
        }
    }
}

/// The client that is here anyway.
#[derive(Debug)]
struct Http(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

#[async_trait]
impl HttpClient for Http {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let call = async {
            let answer = self.0.request(request.map(Full::new)).await?;
            let (head, body) = answer.into_parts();
            let bytes = Limited::new(body, ANSWER).collect().await?.to_bytes();
            Ok(http::Response::from_parts(head, bytes))
        };
        timeout(CALL, call).await?
    }
}
