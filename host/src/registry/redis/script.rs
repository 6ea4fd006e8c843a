//! The scripts by name, and the keys that they are about.
//!
//! A script's keys all carry `{scheduler}`, so that they lie on one node of a cluster. Scripts are loaded with each new
//! connection and then called by the digest that the server gave them.

use maestro_core::names::SchedulerName;

/// What a script answers first, and so which of them it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Ping,
    Read,
    Write,
    Provisional,
    Allocate,
    Acquire,
    Release,
    Save,
    Epoch,
    Remove,
    Changes,
    Witness,
    Members,
    Copy,
}

impl Script {
    /// All of them, each at the place of its number.
    pub(super) const ALL: [Script; 14] = [
        Self::Ping,
        Self::Read,
        Self::Write,
        Self::Provisional,
        Self::Allocate,
        Self::Acquire,
        Self::Release,
        Self::Save,
        Self::Epoch,
        Self::Remove,
        Self::Changes,
        Self::Witness,
        Self::Members,
        Self::Copy,
    ];

    pub(super) fn source(self) -> &'static str {
        macro_rules! script {
            ($($part:literal)*) => { concat!($(include_str!($part)),*) };
        }
        match self {
            Self::Ping => script!("time.lua" "ping.lua"),
            Self::Read => script!("time.lua" "ledger.lua" "read.lua"),
            Self::Write => script!("time.lua" "ledger.lua" "write.lua"),
            Self::Provisional => script!("time.lua" "provisional.lua"),
            Self::Allocate => script!("time.lua" "allocate.lua"),
            Self::Acquire => script!("time.lua" "ledger.lua" "acquire.lua"),
            Self::Release => script!("time.lua" "ledger.lua" "release.lua"),
            Self::Save => script!("time.lua" "ledger.lua" "save.lua"),
            Self::Epoch => script!("time.lua" "ledger.lua" "epoch.lua"),
            Self::Remove => script!("time.lua" "ledger.lua" "remove.lua"),
            Self::Changes => script!("time.lua" "changes.lua"),
            Self::Witness => script!("time.lua" "witness.lua"),
            Self::Members => script!("time.lua" "members.lua"),
            Self::Copy => script!("time.lua" "copy.lua"),
        }
    }

    /// Keys of a scheduler that it is given, from the first on: those of each call of a room are few.
    fn key_count(self) -> usize {
        match matches!(self, Self::Ping | Self::Allocate) {
            true => 5,
            false => KEYS.len(),
        }
    }

    /// Whether the same call may be made again when nobody knows whether it happened. A second allocation would be
    /// of another room.
    pub(super) fn may_repeat(self) -> bool {
        self != Self::Allocate
    }
}

/// The keys of a scheduler, in the order in which scripts know them.
const KEYS: [&str; 10] = [
    "meta",
    "rooms",
    "log",
    "allocatable",
    "held",
    "removed",
    "gone",
    "state",
    "provisional",
    "heard",
];

/// Where the names of an installation begin.
#[derive(Clone, Debug)]
pub(super) struct Prefix(pub(super) String);

impl Prefix {
    /// Names `script`'s keys.
    pub(super) fn keys(&self, scheduler: &SchedulerName, script: Script) -> Vec<String> {
        let keys = KEYS.iter().take(script.key_count());
        keys.map(|key| self.key(scheduler, key)).collect()
    }

    /// The key of the rooms, by name.
    pub(super) fn rooms(&self, scheduler: &SchedulerName) -> String {
        self.key(scheduler, "rooms")
    }

    /// The key of the holder's state.
    pub(super) fn state(&self, scheduler: &SchedulerName) -> String {
        self.key(scheduler, "state")
    }

    /// The channel on which a scheduler's holder is woken.
    pub(super) fn channel(&self, scheduler: &SchedulerName) -> String {
        self.key(scheduler, "nudge")
    }

    /// The key of the witness clock. This and the next two belong to no scheduler.
    pub(super) fn witness(&self) -> String {
        format!("{}:witness", self.0)
    }

    /// The key of the workers, by the time until which they are there.
    pub(super) fn members(&self) -> String {
        format!("{}:members", self.0)
    }

    /// The key of what is kept of the store, by scheduler.
    pub(super) fn copies(&self) -> String {
        format!("{}:copies", self.0)
    }

    fn key(&self, scheduler: &SchedulerName, key: &str) -> String {
        format!("{}:{{{scheduler}}}:{key}", self.0)
    }
}

/// The slot of a cluster that a key lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(pub(super) u16);

/// Slots of a cluster.
pub(super) const SLOTS: usize = 16_384;

impl Slot {
    /// The slot of all keys of a scheduler.
    pub(super) fn of(scheduler: &SchedulerName) -> Self {
        Self::of_text(scheduler.as_str())
    }

    /// The slot of a key without a tag, or of a tag.
    pub(super) fn of_text(text: &str) -> Self {
        // CRC16 of XMODEM: what Redis Cluster is defined by.
        let crc = text.bytes().fold(0_u16, |crc, byte| {
            let crc = crc ^ (u16::from(byte) << 8);
            (0..8).fold(crc, |crc, _| match crc & 0x8000 {
                0 => crc << 1,
                _ => (crc << 1) ^ 0x1021,
            })
        });
        Self(crc % SLOTS as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis_cluster() {
        // From the specification: CRC16("123456789") is 0x31C3.
        assert_eq!(Slot::of_text("123456789"), Slot(0x31C3));
        assert_eq!(Slot::of_text("foo"), Slot(12_182));
    }

    #[test]
    fn scripts_stand_at_their_numbers() {
        for (number, script) in Script::ALL.into_iter().enumerate() {
            assert_eq!(script as usize, number);
            assert!(script.source().contains("redis.call('TIME')"));
        }
    }
}
