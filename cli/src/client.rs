//! One HTTP call to Maestro, and what its failure means to a person.

use std::io::{self, Cursor};
use std::time::Duration;

use maestro_wire::http::ErrorBody;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Agent, Proxy, RequestBuilder};

use crate::args::Token;
use crate::context::Place;
use crate::stream::Stream;
use crate::terminal::Busy;
use crate::trust;

/// The greatest answer that is read. A room's log or a page of decisions stays far below it.
const ANSWER_LIMIT: u64 = 64 * 1024 * 1024;

/// The longest a call may take. Compiling a large policy is the slowest thing that a call waits for.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The header with its version that Maestro puts on every answer. What comes without it comes from something else.
const VERSION_HEADER: &str = "x-maestro-version";

/// The longest that a stream may be quiet: it sends a comment every ten seconds.
const STREAM_TIMEOUT: Duration = Duration::from_secs(40);

/// Calls one Maestro.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    url: String,
    token: Option<Token>,
}

/// Why a call did not give what it was made for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The URL can't be used.
    #[error("`{url}` is not a URL of Maestro; expected something like http://127.0.0.1:8080")]
    Url {
        /// As it was given.
        url: String,
    },
    /// Nobody answered.
    #[error(
        "Maestro can't be reached at {url}\n  is it running? start one with `maestro dev`, or name another with --url, MAESTRO_URL or `maestro-cli context`"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        #[source]
        cause: Box<ureq::Error>,
    },
    /// HTTPS is asked for and trusts nobody.
    #[error(
        "there is no authority to trust for {url}: {why}\n  install the system's (ca-certificates), or name a file of your own: SSL_CERT_FILE=authority.pem maestro-cli …"
    )]
    Roots {
        /// Where.
        url: String,
        /// Why.
        why: String,
    },
    /// There is no TLS with what answers.
    #[error("Maestro can't be reached safely at {url}: {what}\n  {way}")]
    Tls {
        /// Where.
        url: String,
        /// Why.
        what: String,
        /// The way out.
        way: &'static str,
    },
    /// Something answered that is not Maestro.
    #[error(
        "what answers at {url} is not Maestro: {what}\n  name the place where Maestro listens with --url or MAESTRO_URL, as in http://127.0.0.1:8080"
    )]
    Stranger {
        /// Where.
        url: String,
        /// What it answered.
        what: String,
    },
    /// Maestro answers, and its API is not below this URL.
    #[error(
        "Maestro answers at {url}, but its API is not there: nothing is at {url}/healthcheck\n  --url or MAESTRO_URL take the place where it listens without a path, as in http://127.0.0.1:8080"
    )]
    Path {
        /// Where.
        url: String,
    },
    /// Maestro answered with an error.
    #[error("{}", refusal(.body))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What it said.
        body: Box<ErrorBody>,
    },
    /// The answer could not be understood.
    #[error(
        "Maestro's answer can't be understood: {url} gave {what}\n  is this maestro-cli of the same version?"
    )]
    Answer {
        /// Where.
        url: String,
        /// What it answered.
        what: String,
    },
}

fn refusal(body: &ErrorBody) -> String {
    match (body.error.as_str(), body.description.as_str()) {
        ("", description) => description.to_owned(),
        (error, "") => error.to_owned(),
        (error, description) => format!("{error}: {description}"),
    }
}

impl Error {
    /// Whether Maestro answered that there is no such thing.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether Maestro answered that something stands against it.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// Whether the same call may be answered in a while.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Refused {
                    status: 429 | 502..=504,
                    ..
                }
        )
    }
}

impl Client {
    /// A client of the Maestro at `place`.
    pub(crate) fn new(place: &Place) -> Result<Self, Error> {
        Self::with_timeout(place, CALL_TIMEOUT)
    }

    /// The same with little patience.
    pub(crate) fn with_timeout(place: &Place, timeout: Duration) -> Result<Self, Error> {
        let Place { url, token } = place;
        let place = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        if place.is_none_or(|place| place.trim_end_matches('/').is_empty()) {
            return Err(Error::Url { url: url.clone() });
        }
        let url = url.trim_end_matches('/');
        // A proxy may be spoken to over HTTPS too. Reading all authorities takes a while, which plain HTTP does without.
        let is_safe = url.starts_with("https://");
        let tls = match is_safe || Proxy::try_from_env().is_some() {
            true => trust::config(),
            false => Ok(trust::nobody()),
        };
        let tls = match tls {
            Err(why) if is_safe => {
                let url = url.to_owned();
                return Err(Error::Roots { url, why });
            }
            tls => tls.unwrap_or_else(|_| trust::nobody()),
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(Duration::from_secs(5)))
            .tls_config(tls)
            // Maestro redirects nobody, and what is changed by a call would be lost on the way.
            .max_redirects(0)
            .user_agent(concat!("maestro-cli/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.to_owned(),
            token: token.clone(),
        })
    }

    /// Gets a JSON body.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let url = self.at(path);
        let _busy = self.busy();
        let request = self.known(self.agent.get(&url));
        let answer = request.header("accept", "application/json").call();
        self.json(url, answer)
    }

    /// Gets a text body.
    pub(crate) fn get_text(&self, path: &str) -> Result<String, Error> {
        let url = self.at(path);
        let _busy = self.busy();
        let answer = self.known(self.agent.get(&url)).call();
        self.text(url, answer)
    }

    /// Opens a stream of events, which goes on after the event `last` if one is given.
    pub(crate) fn stream(&self, path: &str, last: Option<&str>) -> Result<Stream, Error> {
        let url = self.at(path);
        let request = self.known(self.agent.get(&url));
        let mut request = request.header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        // It has no end of its own, so that only silence is held against it.
        let request = request
            .config()
            .timeout_global(None)
            .timeout_per_read(Some(STREAM_TIMEOUT))
            .build();
        match request.call() {
            Ok(response) if response.status().is_success() => {
                Ok(Stream::new(response.into_body().into_reader()))
            }
            // What is wrong with it is told as of any call.
            answer => self.text(url, answer).map(|text| Stream::new(Cursor::new(text))),
        }
    }

    /// Posts a body.
    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, kind: &str, body: &[u8]) -> Result<T, Error> {
        let url = self.at(path);
        let _busy = self.busy();
        let request = self.known(self.agent.post(&url));
        let answer = request.content_type(kind).send(body);
        self.json(url, answer)
    }

    /// Puts a body.
    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str, kind: &str, body: &[u8]) -> Result<T, Error> {
        let url = self.at(path);
        let _busy = self.busy();
        let request = self.known(self.agent.put(&url));
        let answer = request.content_type(kind).send(body);
        self.json(url, answer)
    }

    /// Deletes.
    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let url = self.at(path);
        let _busy = self.busy();
        let answer = self.known(self.agent.delete(&url)).call();
        self.json(url, answer)
    }

    /// A request that says who sends it.
    fn known<Body>(&self, request: RequestBuilder<Body>) -> RequestBuilder<Body> {
        match &self.token {
            Some(token) => request.header("authorization", token.header()),
            None => request,
        }
    }

    fn busy(&self) -> Busy {
        Busy::start(format!("waiting for {}", self.url))
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn json<T: DeserializeOwned>(
        &self,
        url: String,
        answer: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Error> {
        let text = self.text(url.clone(), answer)?;
        serde_json::from_str(&text).map_err(|error| Error::Answer {
            url,
            what: format!("{error} in {}", excerpt(&text)),
        })
    }

    fn text(&self, url: String, answer: Result<Response<ureq::Body>, ureq::Error>) -> Result<String, Error> {
        let unreachable = |cause| match cause {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Error::Url {
                url: self.url.clone(),
            },
            cause => match trust::fault(&cause) {
                Some((what, way)) => Error::Tls {
                    url: self.url.clone(),
                    what,
                    way,
                },
                None => Error::Unreachable {
                    url: self.url.clone(),
                    cause: Box::new(cause),
                },
            },
        };
        let mut response = answer.map_err(unreachable)?;
        let status = response.status().as_u16();
        let is_maestro = response.headers().contains_key(VERSION_HEADER);
        let text = response
            .body_mut()
            .with_config()
            .limit(ANSWER_LIMIT)
            .read_to_string();
        if !is_maestro {
            let said = match response.headers().get("location").map(|to| to.to_str()) {
                Some(Ok(to)) => format!("which leads to {}", excerpt(to)),
                Some(Err(_)) | None => text.as_deref().map_or_else(|_| "no text".to_owned(), excerpt),
            };
            return Err(Error::Stranger {
                url: self.url.clone(),
                what: format!("it gave status {status}, {said}"),
            });
        }
        let text = text.map_err(|cause| match cause {
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Error::Answer {
                url: url.clone(),
                what: "a body that is not text".to_owned(),
            },
            other => unreachable(other),
        })?;
        if (200..300).contains(&status) {
            return Ok(text);
        }
        if status == 404 && !self.has_api() {
            return Err(Error::Path {
                url: self.url.clone(),
            });
        }
        match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => Err(Error::Refused {
                status,
                body: Box::new(body),
            }),
            Err(_) => Err(Error::Answer {
                url,
                what: format!("status {status}, {}", excerpt(&text)),
            }),
        }
    }

    /// Whether Maestro's routes lie below the URL: of a Maestro that is asked at a wrong path, all are unknown. In
    /// doubt they do, and the error at hand stands.
    fn has_api(&self) -> bool {
        let answer = self.agent.get(self.at("/healthcheck")).call();
        !answer.is_ok_and(|response| response.status().as_u16() == 404)
    }
}

/// What an answer says, short enough for a line.
fn excerpt(text: &str) -> String {
    let line: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
    match line.is_empty() {
        true => "an empty body".to_owned(),
        false => format!("`{line}`"),
    }
}

/// Writes `segment` so that it is one segment of a path whatever it holds.
pub(crate) fn segment(segment: &str) -> String {
    let mut out = String::new();
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'@' => {
                out.push(byte.into())
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
