//! What a loop does with policies: when it asks them, what it shows them, and what it makes of bad ones.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use futures::FutureExt;
use maestro::control::{Command, Desired, Scale};
use maestro::registry::{Registry, Standing};
use maestro_core::decision::{Decision, Rule};
use maestro_core::names::PolicyName;
use maestro_core::report::Reported;
use maestro_core::scheduler::{Direction, Mode, PolicyRef, Trigger};
use maestro_core::time::{Span, Timestamp};
use maestro_core::votes::{Outcome, Vote};
use maestro_engine::{Class, Compiler, Config, Engine, Policy, package};

use crate::world::{START_MS, World, desired, is_ready, name, run, standing};

static ENGINE: LazyLock<Arc<Engine>> = LazyLock::new(|| {
    let compiler = Compiler {
        program: env!("CARGO_BIN_EXE_maestro").into(),
        args: vec!["compile-policy".to_owned()],
    };
    let cache_dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("control-policies");
    Engine::new(Config { cache_dir, compiler }).unwrap()
});

/// Everything of a policy but what it does when it is asked.
const BODY: &str = r#"
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 16384))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "maestro:policy/policy@0.1.0#validate") (param i32 i32) (result i32) (i32.const 64))
  (@custom "maestro-policy" "{\"name\":\"sample\",\"version\":\"1.0.0\",\"summary\":\"A sample\",\"inputs\":[\"rooms\"],\"parameters\":{}}")
"#;

/// Never answers.
const LOOPS: &str = r#"(func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32)
  (loop $forever (br $forever)) unreachable)"#;

/// Wants no room at all, and counts in its state how often it was asked.
const WANTS_NONE: &str = r#"(func (export "maestro:policy/policy@0.1.0#evaluate") (param $seen i32) (result i32)
  (i32.store8 (i32.const 768)
    (i32.add (i32.const 1)
      (if (result i32) (i32.eqz (i32.load offset=156 (local.get $seen)))
        (then (i32.const 0))
        (else (i32.load8_u (i32.load offset=152 (local.get $seen)))))))
  (i32.store8 (i32.const 1028) (i32.const 1))
  (i32.store (i32.const 1048) (i32.const 768))
  (i32.store (i32.const 1052) (i32.const 1))
  (i32.const 1024))"#;

fn sample(evaluate: &str) -> Policy {
    let module = wat::parse_str(format!("(module {BODY} {evaluate})")).unwrap();
    let component = package::wrap(&module).unwrap();
    ENGINE.load(&component, Class::Native).unwrap()
}

fn builtin(name: &str) -> Policy {
    let builtin = maestro_policies::POLICIES
        .iter()
        .find(|policy| policy.name == name)
        .unwrap();
    ENGINE.load(builtin.component, Class::Native).unwrap()
}

fn add(desired: &mut Desired, direction: Direction, policy: Policy, parameters: &str) {
    let triggers = &mut desired.scheduler.autoscaling.triggers;
    let id = format!("policies[{}]", triggers.len());
    triggers.push(Trigger {
        id: id.clone(),
        direction,
        policy: PolicyRef {
            name: PolicyName::parse("sample").unwrap(),
            version: None,
        },
        parameters: parameters.to_owned(),
        window: Span::from_secs(60),
        mode: Mode::Active,
    });
    desired.policies.insert(id, Ok(policy));
}

/// A settled world that wants this many rooms.
fn settled(desired: Desired, wanted: u32) -> World {
    let mut world = World::new(Desired {
        last: Some(standing(wanted)),
        ..desired
    });
    world.live(5);
    assert_eq!(world.count(is_ready), wanted as usize);
    world
}

fn last(world: &World) -> &Decision {
    &world.records.last().unwrap().decision
}

#[test]
fn a_match_that_crosses_the_limit_is_answered_within_half_a_second() {
    let mut wanted = desired(2, 20);
    wanted.scheduler.autoscaling.up_cooldown = Span::from_secs(600);
    add(
        &mut wanted,
        Direction::Up,
        builtin("room"),
        r#"{"usage":50,"threshold":80,"limit":70}"#,
    );
    let mut world = settled(wanted, 4);
    let rooms = world.yard.rooms();
    for room in &rooms[..3] {
        world.report(room, Reported::Occupied);
    }
    let began = world.now();
    while world.yard.rooms().len() == 4 {
        world.step();
        world.pass(Span::from_ms(10));
    }
    let took = world.now().since(began);
    assert!(took < Span::from_ms(500), "{took}");
    let decision = last(&world);
    assert_eq!(decision.wanted, 6, "3 ÷ 50 %");
    assert_eq!(decision.winner.as_deref(), Some("policies[0]"));
    assert!(matches!(
        &decision.ballots[0].outcome,
        Outcome::Voted { urgent: true, .. }
    ));
}

#[test]
fn a_policy_that_never_answers_is_left_alone_and_nothing_is_scaled_down() {
    let mut wanted = desired(1, 20);
    add(&mut wanted, Direction::Down, sample(WANTS_NONE), "{}");
    add(&mut wanted, Direction::Up, sample(LOOPS), "{}");
    let mut world = settled(wanted, 4);
    world.live(150);
    let outcomes: Vec<&Outcome> = world
        .records
        .iter()
        .map(|r| &r.decision.ballots[1].outcome)
        .collect();
    let failed = outcomes
        .iter()
        .filter(|o| matches!(o, Outcome::Failed { .. }))
        .count();
    assert!(
        outcomes.iter().any(|o| matches!(o, Outcome::Skipped { .. })),
        "{outcomes:?}"
    );
    assert!(
        (4..=7).contains(&failed),
        "it is asked less and less often: {outcomes:?}"
    );
    assert_eq!(world.count(is_ready), 4);
    let clamps = &last(&world).clamps;
    let triggers = vec!["policies[1]".to_owned()];
    assert!(
        clamps.iter().any(|clamp| clamp.rule
            == Rule::NoTrust {
                triggers: triggers.clone()
            }),
        "{clamps:?}"
    );
}

#[test]
fn usage_is_measured_once_a_period_and_moves_the_number() {
    let mut wanted = desired(1, 20);
    add(
        &mut wanted,
        Direction::Up,
        builtin("cpu"),
        r#"{"usage":50,"threshold":80,"time":30}"#,
    );
    let mut world = settled(wanted, 2);
    world.yard.set_cpu(20.0);
    world.yard.calls();
    world.live(60);
    assert_eq!(
        world.count(is_ready),
        2,
        "20 of 100 thousandths is less than half"
    );
    let calls = world.yard.calls();
    assert!((5..=7).contains(&calls["usage"]), "{calls:?}");
    world.yard.set_cpu(75.0);
    world.live(60);
    let scaled = world
        .records
        .iter()
        .map(|r| &r.decision)
        .find(|d| d.scaled)
        .unwrap();
    assert_eq!(scaled.wanted, 3, "75 ÷ 50 of 2");
    let shown = &world.records.last().unwrap().evidence[0].observation;
    let names: Vec<&str> = shown.metrics.iter().map(|series| series.name.as_str()).collect();
    assert_eq!(names, ["cpu.requested", "cpu.used"]);
}

#[test]
fn figures_that_stopped_coming_forbid_scaling_down() {
    let mut wanted = desired(1, 20);
    add(
        &mut wanted,
        Direction::Up,
        builtin("cpu"),
        r#"{"usage":50,"threshold":80}"#,
    );
    add(&mut wanted, Direction::Down, sample(WANTS_NONE), "{}");
    let mut world = World::new(wanted);
    world.live(30);
    assert_eq!(last(&world).wanted, 1, "fresh figures forbid nothing");
    world.yard.set_away(true);
    let pass = |world: &mut World, secs| {
        for _ in 0..secs {
            world.step();
            world.pass(Span::from_secs(1));
        }
    };
    pass(&mut world, 45);
    world.control.order(Command {
        operation: "1".to_owned(),
        scale: Scale::To(12),
    });
    pass(&mut world, 45);
    assert_eq!(last(&world).wanted, 12, "old figures do");
    let Outcome::Stale { input, age } = &last(&world).ballots[0].outcome else {
        panic!("{:?}", last(&world).ballots);
    };
    assert_eq!(input, "cpu.used");
    assert!(age.unwrap() > Span::from_secs(30));
}

#[test]
fn a_cooldown_goes_on_after_a_restart_and_one_of_the_future_is_no_longer_than_any_other() {
    for after_start_ms in [-60_000, 86_400_000] {
        let mut wanted = desired(1, 20);
        wanted.scheduler.autoscaling.down_cooldown = Span::from_secs(300);
        add(&mut wanted, Direction::Down, sample(WANTS_NONE), "{}");
        wanted.last = Some(Standing {
            wanted: 4,
            scaled_at: Some(Timestamp::from_ms(START_MS + after_start_ms)),
        });
        let mut world = World::new(wanted);
        world.live(60);
        let decision = last(&world);
        assert_eq!(decision.wanted, 4, "{decision:?}");
        let is_cooldown = |rule: &Rule| matches!(rule, Rule::Cooldown { .. });
        assert!(
            decision.clamps.iter().any(|clamp| is_cooldown(&clamp.rule)),
            "{decision:?}"
        );
        world.live(300);
        assert_eq!(last(&world).wanted, 1, "the cooldown is over: {:?}", last(&world));
    }
}

#[test]
fn what_a_policy_remembers_is_kept_for_its_next_time_and_for_a_successor() {
    let mut wanted = desired(1, 20);
    wanted.scheduler.autoscaling.down_cooldown = Span::from_secs(3_600);
    add(&mut wanted, Direction::Down, sample(WANTS_NONE), "{}");
    let mut world = settled(wanted, 1);
    let remembered = |world: &World| {
        let state = run(world.registry.state(&name())).unwrap();
        state.unwrap().policies["policies[0]"][0]
    };
    let first = remembered(&world);
    world.live(30);
    let second = remembered(&world);
    assert!(second > first, "{first}, {second}");
    run(world.control.release()).unwrap();
    world.control = world.rival("successor");
    world.pass(Span::from_secs(1));
    assert!(world.control.step(world.now()).now_or_never().unwrap().holding);
    assert_eq!(remembered(&world), second + 1);
}

#[test]
fn every_shown_observation_gives_the_recorded_vote_again() {
    let mut wanted = desired(2, 20);
    let policy = builtin("room");
    add(
        &mut wanted,
        Direction::Both,
        policy.clone(),
        r#"{"usage":50,"threshold":80}"#,
    );
    let mut world = settled(wanted, 4);
    for room in &world.yard.rooms()[..3] {
        world.report(room, Reported::Occupied);
    }
    world.live(90);
    let mut votes = 0;
    for record in &world.records {
        for shown in &record.evidence {
            let ballot = record
                .decision
                .ballots
                .iter()
                .find(|b| b.trigger == shown.trigger)
                .unwrap();
            let again = policy.evaluate(&shown.observation);
            match (&ballot.outcome, again) {
                (Outcome::Voted { vote, reason, .. }, Ok(again)) => {
                    assert_eq!(
                        (vote, reason, ballot.fuel),
                        (&again.verdict.vote, &again.verdict.reason, again.fuel)
                    );
                    votes += usize::from(*vote != Vote::Hold);
                }
                (Outcome::Waiting { reason }, Err(failure)) => assert_eq!(reason, &failure.message),
                (outcome, again) => panic!("{outcome:?} was {again:?}"),
            }
        }
    }
    assert!(votes > 0);
}

#[test]
fn a_pause_keeps_rooms_from_votes_and_not_from_hands() {
    let mut wanted = desired(1, 20);
    add(&mut wanted, Direction::Down, sample(WANTS_NONE), "{}");
    wanted.scale_in_paused = Some(Timestamp::from_ms(START_MS));
    let mut world = settled(wanted, 4);
    world.live(30);
    let decision = last(&world);
    assert_eq!(decision.wanted, 4);
    let paused = Rule::Paused {
        since: Timestamp::from_ms(START_MS),
    };
    assert_eq!(decision.clamps[0].rule, paused);
    assert!(
        decision
            .waits
            .iter()
            .any(|wait| wait.contains("is paused by hand since 2027-")),
        "{:?}",
        decision.waits
    );
    world.control.order(Command {
        operation: "1".to_owned(),
        scale: Scale::To(3),
    });
    world.live(10);
    assert_eq!(world.count(is_ready), 3);
    world.set(|desired| desired.scale_in_paused = None);
    world.live(30);
    assert_eq!((last(&world).wanted, world.count(is_ready)), (1, 1));
}
