//! Who may change things: whoever sends a token whose hash the service is configured with.
//!
//! Rooms' routes and probes ask for none. Hashes are compared in constant time, and tokens are kept nowhere. Refusals are
//! limited for the whole process, so that guessing costs no more than this; a valid token is taken all the while, so that
//! nobody can be locked out by another's guesses. Tokens of `maestro token` have 256 bits, and can't be guessed anyway.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::Api;
use super::problem::Problem;

/// How a hash begins, so that another way of hashing can be told from this one.
const SHA256: &str = "sha256:";

/// What is known of operators' tokens; without any, everybody is an operator.
#[derive(Clone, Default)]
pub struct Operators {
    hashes: Arc<[[u8; 32]]>,
}

/// Why a token's hash can't be used.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// It is none.
    #[error("expected sha256: and 64 hexadecimal digits; `maestro token` makes a token and prints its hash")]
    Form,
}

/// Why the API may not listen there.
#[derive(Debug, thiserror::Error)]
#[error(
    "{address} can be reached from other machines, and no operator's token is configured: whoever calls the API could \
     change schedulers and end rooms; configure --operator-tokens (`maestro token` makes one), listen on 127.0.0.1, or \
     add --insecure if everybody may"
)]
pub struct Exposed {
    address: SocketAddr,
}

impl Operators {
    /// Operators by the hashes of their tokens, `sha256:` and 64 hexadecimal digits each.
    pub fn parse(hashes: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, HashError> {
        let hashes = hashes.into_iter().map(|hash| {
            let digits = hash.as_ref().trim().strip_prefix(SHA256).ok_or(HashError::Form)?;
            let bytes = hex::decode(digits).map_err(|_| HashError::Form)?;
            bytes.try_into().map_err(|_| HashError::Form)
        });
        Ok(Self {
            hashes: hashes.collect::<Result<Vec<_>, _>>()?.into(),
        })
    }

    /// The hash of a token.
    pub fn hash(token: &str) -> String {
        format!("{SHA256}{}", hex::encode(Sha256::digest(token)))
    }

    /// Whether nobody is asked for a token.
    pub fn is_open(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether this is the token of one of them. All are compared, whichever it is.
    pub fn knows(&self, token: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let one_of = self.hashes.iter().fold(Choice::from(0), |found, known| {
            found | known.as_slice().ct_eq(&hash)
        });
        one_of.into()
    }

    /// Refuses to listen where other machines reach the API, while nobody is asked for a token. To be called before
    /// anything is served there; not for an address of rooms' routes alone.
    pub fn check(&self, address: SocketAddr, insecure: bool) -> Result<(), Exposed> {
        match insecure || !self.is_open() || address.ip().is_loopback() {
            true => Ok(()),
            false => Err(Exposed { address }),
        }
    }
}

/// Never shows a hash.
impl fmt::Debug for Operators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} operators' tokens", self.hashes.len())
    }
}

/// Lets operators' requests through, and no others.
pub(super) async fn only(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    match check(&api, request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

fn check(api: &Api, headers: &HeaderMap) -> Result<(), Problem> {
    if api.operators.is_open() {
        return Ok(());
    }
    let sent = bearer(headers);
    if sent.is_some_and(|token| api.operators.knows(token)) {
        return Ok(());
    }
    if let Err(wait) = api.limits.take_refusal(Instant::now()) {
        api.metrics.refusal("too-often");
        return Err(Problem::too_many_refusals(wait));
    }
    api.metrics
        .refusal(if sent.is_some() { "invalid" } else { "missing" });
    Err(Problem::not_an_operator(sent.is_some()))
}

/// The token of the scheme `Bearer`, whose name has no case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let sent = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = sent.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_read_and_what_is_none_is_refused() {
        let hash = Operators::hash("secret");
        assert_eq!(
            hash,
            "sha256:2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
        );
        let operators = Operators::parse([hash.clone(), Operators::hash("other")]).unwrap();
        assert!(operators.knows("secret") && operators.knows("other"));
        for wrong in ["", "Secret", "secret ", hash.as_str()] {
            assert!(!operators.knows(wrong), "{wrong}");
        }
        assert_eq!(format!("{operators:?}"), "2 operators' tokens");
        for wrong in [
            "secret",
            "sha256:",
            "sha256:00",
            "md5:00",
            &hash[7..],
            &hash[..70],
        ] {
            assert!(Operators::parse([wrong]).is_err(), "{wrong}");
        }
        assert!(!Operators::default().knows(""));
    }

    #[test]
    fn nobody_listens_to_everybody_by_mistake() {
        let (open, closed) = (
            Operators::default(),
            Operators::parse([Operators::hash("secret")]).unwrap(),
        );
        let check = |operators: &Operators, address: &str, insecure: bool, is_fine: bool| {
            let checked = operators.check(address.parse().unwrap(), insecure);
            assert_eq!(checked.is_ok(), is_fine, "{address} {insecure}");
        };
        check(&open, "127.0.0.1:8080", false, true);
        check(&open, "[::1]:8080", false, true);
        check(&open, "0.0.0.0:8080", false, false);
        check(&open, "[::]:8080", false, false);
        check(&open, "10.0.0.1:8080", false, false);
        check(&open, "0.0.0.0:8080", true, true);
        check(&closed, "0.0.0.0:8080", false, true);
        let told = open
            .check("0.0.0.0:8080".parse().unwrap(), false)
            .unwrap_err()
            .to_string();
        assert!(
            told.contains("maestro token") && told.contains("--insecure"),
            "{told}"
        );
    }
}
