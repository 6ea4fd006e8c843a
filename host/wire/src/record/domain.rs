//! The domain's types, part by part, in the order in which they are stored. A change here is a new format,
//! but for a further variant of an enum: what was written before never has it.

use maestro_core::decision::{Actor, Clamp, Counts, Decision, Rule};
use maestro_core::names::{Digest, PolicyName, Version};
use maestro_core::scheduler::{Direction, Mode};
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::{Ballot, Outcome, Vote};

use super::code::{Bytes, Coded, coded_enum, coded_struct};
use super::{Evidence, Record, RecordError};

coded_struct! {
    Record { decision, engine, evidence }
    Evidence { trigger, period, scaled_at, samples, state, digest }
    Decision {
        at, actor, cluster, version, counts, ballots, winner, clamps, before, wanted, scaled, mass_silence, recovering,
        plan, waits,
    }
    Counts { starting, ready, allocated, occupied, draining, stopping, silent }
    Clamp { rule, from, to }
    Ballot { trigger, direction, mode, policy, digest, fuel, outcome }
    Version { major, minor }
}

coded_enum! {
    Actor { 0 => Loop, 1 => Manual, 2 => File }
    Rule {
        0 => NoTrust { triggers },
        1 => Recovering,
        2 => StepLimit { limit },
        3 => Cooldown { left },
        4 => Busy,
        5 => Min,
        6 => Max,
        7 => Cap,
        8 => Deleted,
        9 => Paused { since },
    }
    Direction { 0 => Up, 1 => Down, 2 => Both }
    Mode { 0 => Active, 1 => Shadow, 2 => Canary(share) }
    Vote { 0 => Hold, 1 => Total(rooms) }
    Outcome {
        0 => Voted { vote, urgent, reason },
        1 => Waiting { reason },
        2 => Failed { class, message },
        3 => Skipped { until },
        4 => Stale { input, age },
    }
}

impl Coded for Timestamp {
    fn write(&self, out: &mut Vec<u8>) {
        self.ms().write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        i64::read(from).map(Timestamp::from_ms)
    }
}

impl Coded for Span {
    fn write(&self, out: &mut Vec<u8>) {
        self.ms().write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        u64::read(from).map(Span::from_ms)
    }
}

impl Coded for Digest {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        Coded::read(from).map(Digest)
    }
}

impl Coded for PolicyName {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().to_owned().write(out);
    }

    fn read(from: &mut Bytes<'_>) -> Result<Self, RecordError> {
        let text = String::read(from)?;
        PolicyName::parse(&text).map_err(|_| RecordError::Damaged("not a policy's name"))
    }
}
