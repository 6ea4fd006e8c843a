//! Why a call of the API server came to nothing, and what that means for whoever wanted it.

use std::time::Duration;

use kube::core::Status;
use kube::core::response::reason;
use maestro_core::names::RoomId;

use crate::cluster::Error;

/// The longest that one answer stops all calls, whatever it asks for.
const LONGEST_RESPITE: Duration = Duration::from_secs(30);

/// How long nothing is asked of a server that has too much to do and does not say for how long.
const RESPITE: Duration = Duration::from_secs(1);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The server said so.
    #[error(transparent)]
    Answer(Box<Status>),
    /// The server said nothing, or nothing to be understood.
    #[error(transparent)]
    Silence(Box<dyn std::error::Error + Send + Sync>),
    /// It was not made: no turn of the budget came in time.
    #[error("more is asked of Kubernetes than its budget of calls allows")]
    Crowded,
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Answer(status),
            other => Self::Silence(other.into()),
        }
    }
}

impl Failure {
    /// No answer in time.
    pub(super) fn late(patience: Duration) -> Self {
        Self::Silence(format!("Kubernetes did not answer within {} s", patience.as_secs_f64()).into())
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Answer(status) if status.is_not_found())
    }

    pub(super) fn is_already_there(&self) -> bool {
        matches!(self, Self::Answer(status) if status.is_already_exists())
    }

    /// Whether a precondition did not hold.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Answer(status) if status.is_conflict())
    }

    /// Whether we have no right to it, as things are.
    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Answer(status) if status.is_forbidden())
    }

    /// Whether the server could make no sense of the call, as things are.
    pub(super) fn is_bad_request(&self) -> bool {
        matches!(self, Self::Answer(status) if status.code == 400)
    }

    /// Whether what was asked for is no longer remembered.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Answer(status) if status.code == 410)
    }

    /// For how long the server wants to be left alone.
    pub(super) fn respite(&self) -> Option<Duration> {
        let Self::Answer(status) = self else {
            return None;
        };
        let told = status
            .details
            .as_ref()
            .map_or(0, |details| details.retry_after_seconds);
        match (status.code, told) {
            (429, 0) => Some(RESPITE),
            (429 | 503, told) if told > 0 => Some(Duration::from_secs(u64::from(told)).min(LONGEST_RESPITE)),
            _ => None,
        }
    }

    /// What a failed creation means for this room.
    pub(super) fn of_creation(self, room: &RoomId) -> Error {
        let status = match self {
            Self::Answer(status) => status,
            Self::Silence(cause) => return Error::Unavailable { cause },
            Self::Crowded => return Error::Crowded,
        };
        match status.code {
            400 | 413 | 422 => Error::Refused {
                room: room.clone(),
                reason: status.message,
            },
            403 if denied(&status).is_some() => Self::Answer(status).into(),
            403 if is_about_the_pod(&status) => Error::Refused {
                room: room.clone(),
                reason: status.message,
            },
            // Quotas hold for the scheduler's next room too.
            403 if !is_for_a_moment(&status) => Error::Exhausted {
                what: format!("Kubernetes allows no more here: {}", status.message),
                remedy: "raise the quota".to_owned(),
            },
            500 if is_about_ports(&status) => Error::Exhausted {
                what: "all node ports of the cluster are taken".to_owned(),
                remedy: "remove services, or widen the API server's --service-node-port-range".to_owned(),
            },
            _ => Self::Answer(status).into(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Answer(status) => match denied(&status) {
                Some(denied) => denied,
                None => Self::Unavailable { cause: status },
            },
            Failure::Silence(cause) => Self::Unavailable { cause },
            Failure::Crowded => Self::Crowded,
        }
    }
}

/// The right that we lack, if that is why. Quotas, standards and rights are refused alike, and only the text tells them
/// apart; here it is `… cannot create resource "pods" in API group "" in the namespace "pong"`.
fn denied(status: &Status) -> Option<Error> {
    let (_, lacked) = status
        .message
        .split_once(" cannot ")
        .filter(|_| status.code == 403)?;
    let (verb, lacked) = lacked.split_once(" resource \"")?;
    let (resource, lacked) = lacked.split_once('"')?;
    let namespace = lacked.split_once("in the namespace \"");
    let namespace = namespace.and_then(|(_, rest)| Some(rest.split_once('"')?.0));
    Some(Error::Forbidden {
        verb: verb.to_owned(),
        resource: resource.to_owned(),
        place: match namespace {
            Some(namespace) => format!("in the namespace {namespace}"),
            None => "in the cluster".to_owned(),
        },
    })
}

/// Whether it is this pod that is not taken, by a standard of pod security.
fn is_about_the_pod(status: &Status) -> bool {
    status.message.contains("violates PodSecurity")
}

/// Whether a refusal ends by itself: the namespace is being removed.
fn is_for_a_moment(status: &Status) -> bool {
    let mut causes = status.details.iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.reason == "NamespaceTerminating")
}

/// The server has no reason of its own for a range of ports that is used up: it calls that an internal error, and only
/// the text tells it from others.
fn is_about_ports(status: &Status) -> bool {
    status.reason == reason::INTERNAL_ERROR && status.message.contains("failed to allocate a nodePort")
}

#[cfg(test)]
mod tests {
    use kube::core::response::{StatusCause, StatusDetails};

    use super::*;

    #[test]
    fn a_server_says_for_how_long_it_is_to_be_left_alone() {
        let busy = |code, seconds| {
            let details = StatusDetails {
                retry_after_seconds: seconds,
                ..details()
            };
            Failure::Answer(status(code, "", "").with_details(details).boxed()).respite()
        };
        assert_eq!(busy(429, 7), Some(Duration::from_secs(7)));
        assert_eq!(busy(429, 0), Some(RESPITE));
        assert_eq!(busy(503, 2), Some(Duration::from_secs(2)));
        assert_eq!(busy(409, 0), None);
    }

    #[test]
    fn a_failed_creation_says_whose_fault_it_is_and_whether_to_try_again() {
        let room = RoomId::parse("pong-00000001").unwrap();
        let check = |status: Status, expected: &str, is_retryable| {
            let error = Failure::Answer(status.boxed()).of_creation(&room);
            let text = match &error {
                Error::Unavailable { cause } => format!("{error}: {cause}"),
                other => other.to_string(),
            };
            assert_eq!((text.as_str(), error.is_retryable()), (expected, is_retryable));
        };
        check(
            status(422, reason::INVALID, "spec.containers[0].image: Required value"),
            "pong-00000001 can't be created: spec.containers[0].image: Required value",
            false,
        );
        check(
            status(403, reason::FORBIDDEN, "exceeded quota: rooms"),
            "Kubernetes allows no more here: exceeded quota: rooms; raise the quota",
            true,
        );
        check(
            status(
                403,
                reason::FORBIDDEN,
                "services is forbidden: User \"maestro\" cannot create resource \"services\" in API group \"\" in the \
                 namespace \"pong\"",
            ),
            "not allowed to create services in the namespace pong; grant Maestro that right",
            false,
        );
        check(
            status(
                403,
                reason::FORBIDDEN,
                "nodes is forbidden: User \"maestro\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
            ),
            "not allowed to list nodes in the cluster; grant Maestro that right",
            false,
        );
        check(
            status(
                403,
                reason::FORBIDDEN,
                "pods \"a\" is forbidden: violates PodSecurity \"baseline:latest\": hostPath volumes",
            ),
            "pong-00000001 can't be created: pods \"a\" is forbidden: violates PodSecurity \"baseline:latest\": hostPath \
             volumes",
            false,
        );
        let terminating = StatusDetails {
            causes: vec![StatusCause {
                reason: "NamespaceTerminating".to_owned(),
                message: String::new(),
                field: String::new(),
            }],
            ..details()
        };
        check(
            status(403, reason::FORBIDDEN, "it is being terminated").with_details(terminating),
            "the cluster did not answer: it is being terminated: Forbidden",
            true,
        );
        check(
            status(
                500,
                reason::INTERNAL_ERROR,
                "failed to allocate a nodePort: range is full",
            ),
            "all node ports of the cluster are taken; remove services, or widen the API server's --service-node-port-range",
            true,
        );
        check(
            status(500, reason::INTERNAL_ERROR, "etcd"),
            "the cluster did not answer: etcd: InternalError",
            true,
        );
    }

    fn status(code: u16, reason: &str, message: &str) -> Status {
        Status::failure(message, reason).with_code(code)
    }

    fn details() -> StatusDetails {
        StatusDetails {
            name: String::new(),
            group: String::new(),
            kind: String::new(),
            uid: String::new(),
            causes: Vec::new(),
            retry_after_seconds: 0,
        }
    }
}
