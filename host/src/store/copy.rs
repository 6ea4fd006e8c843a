//! A scheduler as it is stored, in bytes: the copy that workers keep in the registry for when the store is away.

use std::collections::BTreeMap;

use maestro_core::names::{Digest, SchedulerName, Version};
use maestro_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::schedulers::{ManagedBy, State, Stored};
use super::versions::Release;

/// The first byte of each copy: what follows is JSON of this shape.
const FORMAT: u8 = b'1';

#[derive(Serialize, Deserialize)]
struct Copy {
    name: String,
    game: String,
    managed_by: String,
    /// Whether rooms in a match go too; `None` while the scheduler is not being deleted.
    deleting: Option<bool>,
    version: (u32, u32),
    document: String,
    digests: BTreeMap<String, String>,
    made_at: i64,
    created_at: i64,
    updated_at: i64,
    paused_at: Option<i64>,
}

/// Why a copy can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It begins with another byte: a newer Maestro wrote it.
    #[error("it is of another release")]
    Format,
    /// It is not of the shape that its first byte says.
    #[error("it is damaged")]
    Shape(#[source] serde_json::Error),
    /// A part is not what its name says.
    #[error("its {0} is damaged")]
    Part(&'static str),
}

/// In bytes.
pub fn encode(stored: &Stored) -> Vec<u8> {
    let digests = stored.active.digests.iter();
    let copy = Copy {
        name: stored.name.to_string(),
        game: stored.game.clone(),
        managed_by: stored.managed_by.to_string(),
        deleting: match stored.state {
            State::Live => None,
            State::Deleting { force } => Some(force),
        },
        version: (stored.active.version.major, stored.active.version.minor),
        document: stored.active.document.clone(),
        digests: digests
            .map(|(id, digest)| (id.clone(), digest.to_string()))
            .collect(),
        made_at: stored.active.created_at.ms(),
        created_at: stored.created_at.ms(),
        updated_at: stored.updated_at.ms(),
        paused_at: stored.scale_in_paused_at.map(Timestamp::ms),
    };
    let mut bytes = vec![FORMAT];
    // Texts and numbers always have a JSON.
    bytes.extend(serde_json::to_vec(&copy).unwrap_or_default());
    bytes
}

/// Back from bytes.
pub fn decode(bytes: &[u8]) -> Result<Stored, Unreadable> {
    let Some((&FORMAT, json)) = bytes.split_first() else {
        return Err(Unreadable::Format);
    };
    let copy: Copy = serde_json::from_slice(json).map_err(Unreadable::Shape)?;
    let digest = |(id, text): (String, String)| {
        let digest = Digest::parse(&text).map_err(|_| Unreadable::Part("digest"))?;
        Ok((id, digest))
    };
    let digests = copy.digests.into_iter().map(digest);
    Ok(Stored {
        name: SchedulerName::parse(&copy.name).map_err(|_| Unreadable::Part("name"))?,
        game: copy.game,
        managed_by: ManagedBy::parse(&copy.managed_by),
        state: match copy.deleting {
            None => State::Live,
            Some(force) => State::Deleting { force },
        },
        active: Release {
            version: Version {
                major: copy.version.0,
                minor: copy.version.1,
            },
            document: copy.document,
            digests: digests.collect::<Result<_, _>>()?,
            created_at: Timestamp::from_ms(copy.made_at),
        },
        created_at: Timestamp::from_ms(copy.created_at),
        updated_at: Timestamp::from_ms(copy.updated_at),
        scale_in_paused_at: copy.paused_at.map(Timestamp::from_ms),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_comes_back_whole() {
        let stored = Stored {
            name: SchedulerName::parse("pong").unwrap(),
            game: "arcade".to_owned(),
            managed_by: ManagedBy::File("/etc/maestro/pong.yaml".to_owned()),
            state: State::Deleting { force: true },
            active: Release {
                version: Version { major: 3, minor: 7 },
                document: "name: pong\n".to_owned(),
                digests: BTreeMap::from([("up-0".to_owned(), Digest([7; 32]))]),
                created_at: Timestamp::from_ms(1),
            },
            created_at: Timestamp::from_ms(2),
            updated_at: Timestamp::from_ms(3),
            scale_in_paused_at: Some(Timestamp::from_ms(4)),
        };
        assert_eq!(decode(&encode(&stored)).unwrap(), stored);
        for (bytes, reason) in [
            (b"".as_slice(), "it is of another release"),
            (b"2{}", "it is of another release"),
            (b"1{}", "it is damaged"),
        ] {
            assert_eq!(decode(bytes).unwrap_err().to_string(), reason);
        }
    }
}
