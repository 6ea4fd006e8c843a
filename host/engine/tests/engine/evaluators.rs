//! Evaluation in place and on threads.

use std::thread;

use futures::executor::block_on;
use futures::future::join_all;
use maestro_engine::{Class, Evaluator, FailureClass, Limits};

use crate::support::{ENGINE, is_healthy, load, observation, sample};

#[test]
fn both_give_the_same_answer() {
    let policy = load("healthy");
    let direct = policy.evaluate(&observation());
    for evaluator in [Evaluator::inline(), Evaluator::pool().expect("threads")] {
        let answer = block_on(evaluator.evaluate(&policy, observation()));
        assert_eq!(answer, direct);
        assert!(is_healthy(&answer));
    }
}

#[test]
fn many_are_answered_while_some_loop() {
    let evaluator = Evaluator::pool().expect("threads");
    let (healthy, looping) = (load("healthy"), load("infinite-loop"));
    let answers = block_on(join_all((0..400).map(|number| {
        let policy = if number % 10 == 0 { &looping } else { &healthy };
        evaluator.evaluate(policy, observation())
    })));
    for (number, answer) in answers.iter().enumerate() {
        match number % 10 {
            0 => assert_eq!(
                answer.as_ref().expect_err("it loops").class,
                FailureClass::OutOfFuel
            ),
            _ => assert!(is_healthy(answer), "{answer:?}"),
        }
    }
}

#[test]
fn class_heavy_does_not_delay_class_native() {
    let evaluator = Evaluator::pool().expect("threads");
    let heavy = ENGINE
        .load(&sample("infinite-loop"), Class::Heavy)
        .expect("it loads");
    let healthy = load("healthy");
    thread::scope(|scope| {
        // Each of them uses up 20 M of fuel, one after the other.
        let heavies = scope.spawn(|| {
            block_on(join_all(
                (0..20).map(|_| evaluator.evaluate(&heavy, observation())),
            ))
        });
        let mut natives = 0;
        while !heavies.is_finished() {
            assert!(is_healthy(&block_on(evaluator.evaluate(&healthy, observation()))));
            natives += 1;
        }
        for answer in heavies.join().expect("they are answered") {
            let class = answer.expect_err("it loops").class;
            assert!(
                matches!(class, FailureClass::OutOfFuel | FailureClass::Deadline),
                "{class}"
            );
        }
        assert!(natives > 20, "{natives} native evaluations beside 20 heavy ones");
    });
}

#[test]
fn a_full_queue_is_told_at_once_and_is_nobodys_fault() {
    let evaluator = Evaluator::pool().expect("threads");
    // A millisecond each, so that the test is short and the queue still full when the last one comes.
    let limits = Limits {
        fuel: 500_000,
        ..Class::Heavy.limits()
    };
    let heavy = ENGINE
        .load_within(&sample("infinite-loop"), Class::Heavy, limits)
        .expect("it loads");
    // Far more than wait at most: while they are asked, some are answered already, more of them on a busy machine.
    let shown = observation();
    let answers = block_on(join_all(
        (0..2_000).map(|_| evaluator.evaluate(&heavy, shown.clone())),
    ));
    let full = |class: FailureClass| class == FailureClass::QueueFull;
    let classes: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().expect_err("it loops").class)
        .collect();
    let refused = classes.iter().filter(|class| full(**class)).count();
    assert!(refused > 0, "nobody was refused");
    assert!(
        classes.len() - refused >= 256,
        "{refused} were refused, the others are answered"
    );
    assert!(!FailureClass::QueueFull.is_policys_fault());
}

#[test]
fn whoever_stops_waiting_is_no_obstacle() {
    let evaluator = Evaluator::pool().expect("threads");
    let (healthy, looping) = (load("healthy"), load("infinite-loop"));
    for _ in 0..50 {
        let mut asked = Box::pin(evaluator.evaluate(&looping, observation()));
        // Asked once, so that the job is on its way, and then given up.
        let waker = futures::task::noop_waker();
        drop(asked.as_mut().poll(&mut std::task::Context::from_waker(&waker)));
    }
    assert!(is_healthy(&block_on(evaluator.evaluate(&healthy, observation()))));
}
