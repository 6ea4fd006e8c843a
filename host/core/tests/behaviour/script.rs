//! The script language of the golden scenarios: a line is a command, `#` begins a comment.
//!
//! ```text
//! bounds 3 20 50              min, max (0 is none) and the installation's cap
//! deadline occupied 5min      initialization, ping, occupied, allocation, draining, lost
//! cooldowns 30s 60s           up, down
//! trigger up[0] up room       its id, its direction (up, down, both), its policy; it asks for no change
//! vote up[0] 5 WORDS          it asks for five rooms, in its own words; `vote! …` is urgent
//! hold up[0] WORDS            it asks for no change
//! lack up[0] WORDS            it has too little to go on
//! fail up[0] CLASS WORDS      it failed
//! skip up[0] 40s              its breaker is open for so long
//! stale up[0] cpu.used 45s    an input is too old
//! mode up[0] shadow           active, shadow, or a canary's share such as 0.25
//! step                        one step of the loop
//! hand 8                      a scale by hand
//! wait 10s                    time passes; rooms ping each 10 s
//! start                       created rooms run and report ready
//! sweep                       deleted objects are gone
//! say 1,2 occupied            rooms report; `all` is all of them
//! promise 3 60s               a room is allocated for so long
//! mute 1,2 / unmute 1,2       rooms stop and go on pinging
//! exit 1 137 OOMKilled        a process ends
//! creates fail / creates work
//! hold-creation 30s WORDS     nothing is created for so long
//! lasts                       a room created since has lasted
//! pause / resume              scaling down is paused by hand, and allowed again
//! version v2.0                the scheduler has a new version
//! lose-registry / recovered
//! delete / delete!            the scheduler is deleted, gracefully or by force
//! leave node-a is cordoned    a node is being left; of node-a and node-b
//! stay node-a                 it is not after all
//! explain                     the last decision, told in full
//! rooms                       each room, told
//! ```

use maestro_core::decision::Decision;
use maestro_core::explain;
use maestro_core::guard::{self, Bounds};
use maestro_core::names::{PolicyName, Version};
use maestro_core::plan::{Deletion, Footing};
use maestro_core::report::Reported;
use maestro_core::scheduler::{Direction, Mode};
use maestro_core::time::Span;
use maestro_core::votes::{Ballot, Outcome, Vote};

use crate::world::{BEGINNING, World};

/// Runs a script; what comes back is what a reviewer reads.
pub(crate) fn run(script: &str) -> String {
    let mut player = Player {
        world: World::new(Bounds {
            min: 0,
            max: None,
            cap: 50,
        }),
        last: None,
        out: String::new(),
    };
    for line in script.lines() {
        let line = line.trim_end();
        if line.starts_with('#') {
            player.out.push_str(&format!("{line}\n"));
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some((command, rest)) = words.split_first() {
            player.out.push_str(&format!("> {line}\n"));
            player.play(command, rest);
        }
    }
    player.out
}

struct Player {
    world: World,
    last: Option<Decision>,
    out: String,
}

impl Player {
    fn play(&mut self, command: &str, rest: &[&str]) {
        match command {
            "step" => {
                let decision = self.world.step();
                self.show(decision);
            }
            "hand" => {
                let decision = self.world.scale_by_hand(number(rest[0]));
                self.show(decision);
            }
            "explain" => {
                let decision = self.last.as_ref().expect("a step comes before");
                let told = explain::explain(decision).to_string();
                self.out.extend(
                    told.lines()
                        .map(|line| format!("    {line}").trim_end().to_owned() + "\n"),
                );
            }
            "rooms" => {
                let watch = self.world.watch();
                let told = self.world.rooms.values().map(|room| explain::room(room, &watch));
                self.out.extend(told.map(|line| format!("    {line}\n")));
            }
            "vote" | "vote!" | "hold" | "lack" | "fail" | "skip" | "stale" | "mode" | "trigger" => {
                self.vote(command, rest)
            }
            "bounds" | "deadline" | "cooldowns" => self.configure(command, rest),
            "say" | "promise" | "mute" | "unmute" | "exit" => self.rooms(command, rest),
            _ => self.happen(command, rest),
        }
    }

    fn show(&mut self, decision: Decision) {
        let at = decision.at.since(BEGINNING);
        self.out
            .push_str(&format!("  [{at}] {}\n", explain::summary(&decision)));
        self.out
            .extend(decision.plan.iter().map(|line| format!("    - {line}\n")));
        self.last = Some(decision);
    }

    fn configure(&mut self, command: &str, rest: &[&str]) {
        match command {
            "bounds" => {
                self.world.bounds = Bounds {
                    min: number(rest[0]),
                    max: Some(number(rest[1])),
                    cap: number(rest[2]),
                };
                if self.last.is_none() {
                    self.world.wanted = guard::first_wanted(self.world.bounds);
                }
            }
            "cooldowns" => {
                (self.world.up_cooldown, self.world.down_cooldown) = (span(rest[0]), span(rest[1]))
            }
            _ => {
                let deadlines = &mut self.world.deadlines;
                let value = span(rest[1]);
                match rest[0] {
                    "initialization" => deadlines.initialization = value,
                    "ping" => deadlines.ping = value,
                    "occupied" => deadlines.occupied = Some(value),
                    "allocation" => deadlines.allocation = value,
                    "draining" => deadlines.draining = value,
                    "lost" => deadlines.lost = value,
                    other => panic!("no deadline {other}"),
                }
            }
        }
    }

    fn vote(&mut self, command: &str, rest: &[&str]) {
        let (id, rest) = rest.split_first().expect("a trigger's id");
        if command == "trigger" {
            self.world.ballots.push(new_ballot(id, rest));
            return;
        }
        let now = self.world.now;
        let ballots = &mut self.world.ballots;
        let ballot = ballots
            .iter_mut()
            .find(|ballot| ballot.trigger == *id)
            .expect("a trigger");
        let after = |skip: usize| rest[skip..].join(" ");
        ballot.outcome = match command {
            "vote" | "vote!" => Outcome::Voted {
                vote: Vote::Total(number(rest[0])),
                urgent: command == "vote!",
                reason: after(1),
            },
            "hold" => hold(&after(0)),
            "lack" => Outcome::Waiting { reason: after(0) },
            "fail" => Outcome::Failed {
                class: rest[0].to_owned(),
                message: after(1),
            },
            "skip" => Outcome::Skipped {
                until: now + span(rest[0]),
            },
            "stale" => Outcome::Stale {
                input: rest[0].to_owned(),
                age: rest.get(1).map(|age| span(age)),
            },
            _ => {
                ballot.mode = match rest[0] {
                    "active" => Mode::Active,
                    "shadow" => Mode::Shadow,
                    share => Mode::Canary(share.parse().expect("a share")),
                };
                return;
            }
        };
    }

    fn rooms(&mut self, command: &str, rest: &[&str]) {
        let world = &mut self.world;
        let numbers: Vec<u32> = match rest[0] {
            "all" => (1..=200)
                .filter(|number| world.rooms.contains_key(&world.id(*number)))
                .collect(),
            list => list.split(',').map(number).collect(),
        };
        for number in numbers {
            let id = world.id(number);
            match command {
                "say" => world.report(number, status(rest[1])),
                "promise" => {
                    let until = world.now + span(rest[1]);
                    world.room(number).allocate(until).expect("an allocatable room");
                }
                "mute" => _ = world.muted.insert(id),
                "unmute" => _ = world.muted.remove(&id),
                _ => world.exit(
                    number,
                    rest[1].parse().expect("an exit code"),
                    &rest[2..].join(" "),
                ),
            }
        }
    }

    fn happen(&mut self, command: &str, rest: &[&str]) {
        let world = &mut self.world;
        match command {
            "wait" => world.wait(span(rest[0])),
            "start" => world.start(),
            "sweep" => world.sweep(),
            "creates" => world.creates_fail = rest[0] == "fail",
            "hold-creation" => {
                world.creation_held = Some((world.now + span(rest[0]), rest[1..].join(" ")));
            }
            "lasts" => world.creation_held = None,
            "pause" => world.paused = Some(world.now),
            "resume" => world.paused = None,
            "version" => world.version = Version::parse(rest[0]).expect("a version"),
            "lose-registry" => world.lose_registry(),
            "recovered" => world.footing = Footing::Sound,
            "leave" => world.leave(rest[0], Some(&rest[1..].join(" "))),
            "stay" => world.leave(rest[0], None),
            "delete" => world.deletion = Some(Deletion::Graceful),
            "delete!" => world.deletion = Some(Deletion::Forced),
            other => panic!("no command {other}"),
        }
    }
}

fn new_ballot(id: &str, rest: &[&str]) -> Ballot {
    Ballot {
        trigger: id.to_owned(),
        direction: match rest[0] {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "both" => Direction::Both,
            other => panic!("no direction {other}"),
        },
        mode: Mode::Active,
        policy: PolicyName::parse(rest[1]).expect("a policy's name"),
        digest: None,
        fuel: 0,
        outcome: hold(""),
    }
}

fn hold(reason: &str) -> Outcome {
    Outcome::Voted {
        vote: Vote::Hold,
        urgent: false,
        reason: reason.to_owned(),
    }
}

fn status(text: &str) -> Reported {
    Reported::ALL
        .into_iter()
        .find(|status| status.as_str() == text)
        .expect("a status")
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

fn span(text: &str) -> Span {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    let count: u64 = digits.parse().unwrap_or_else(|_| panic!("{text} is no span"));
    match &text[digits.len()..] {
        "s" => Span::from_secs(count),
        "min" => Span::from_secs(count * 60),
        "h" => Span::from_secs(count * 3_600),
        unit => panic!("no unit {unit}"),
    }
}
