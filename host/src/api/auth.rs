//! Rooms' tokens: HMAC-SHA256 of scheduler and room under the installation's key, checked without any state.

use std::sync::Arc;

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use maestro_core::names::{RoomId, SchedulerName};
use sha2::Sha256;

use super::problem::{Kind, Problem};

/// The installation's key.
#[derive(Clone)]
pub struct Key {
    bytes: Arc<[u8; 32]>,
}

/// The header that carries a token where `authorization` is taken.
const TOKEN: &str = "x-maestro-room-token";

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self {
            bytes: Arc::new(bytes),
        }
    }

    /// The token of a room, hexadecimal.
    pub fn token(&self, scheduler: &SchedulerName, room: &RoomId) -> String {
        hex::encode(self.mac(scheduler, room).finalize().into_bytes())
    }

    /// Whether a call came with the room's own token. One that is sent and not valid is refused, so that a room with
    /// the wrong environment learns of it.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        scheduler: &SchedulerName,
        room: &RoomId,
    ) -> Result<bool, Problem> {
        let Some(sent) = sent(headers) else {
            return Ok(false);
        };
        let is_valid =
            hex::decode(sent).is_ok_and(|bytes| self.mac(scheduler, room).verify_slice(&bytes).is_ok());
        match is_valid {
            true => Ok(true),
            false => {
                let description = format!("the token that was sent is not the one of room {room}");
                Err(Problem::new(Kind::Access, "invalid room token", description))
            }
        }
    }

    fn mac(&self, scheduler: &SchedulerName, room: &RoomId) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.bytes.as_slice()).expect("HMAC takes any key");
        // A slash is in no name, so that no two pairs give the same text.
        mac.update(scheduler.as_str().as_bytes());
        mac.update(b"/");
        mac.update(room.as_str().as_bytes());
        mac
    }
}

fn sent(headers: &HeaderMap) -> Option<&str> {
    if let Some(token) = headers.get(TOKEN) {
        return Some(token.to_str().unwrap_or(""));
    }
    let bearer = headers.get("authorization")?.to_str().ok()?;
    // The name of a scheme has no case. Another scheme is for a gateway in front of us, not for rooms.
    let (scheme, token) = bearer.split_once(' ').unwrap_or((bearer, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
