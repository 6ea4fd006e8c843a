//! How nodes stand and whether they are heard of, by their objects and by what is seen of them over time.

use k8s_openapi::api::core::v1::{NodeCondition, NodeSpec, NodeStatus, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;

use super::*;

fn node(name: &str, unschedulable: bool, taints: &[&str]) -> Node {
    let taint = |key: &&str| Taint {
        key: (*key).to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    Node {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(NodeSpec {
            unschedulable: unschedulable.then_some(true),
            taints: Some(taints.iter().map(taint).collect()),
            ..NodeSpec::default()
        }),
        ..Node::default()
    }
}

/// One whose condition Ready has this status.
fn ready(name: &str, status: &str) -> Node {
    let condition = |of: &str, status: &str| NodeCondition {
        type_: of.to_owned(),
        status: status.to_owned(),
        ..NodeCondition::default()
    };
    Node {
        status: Some(NodeStatus {
            conditions: Some(vec![
                condition("MemoryPressure", "False"),
                condition("Ready", status),
            ]),
            ..NodeStatus::default()
        }),
        ..node(name, false, &[])
    }
}

fn check(node: &Node, expected: Option<&str>) {
    let expected = match expected {
        Some(why) => Standing::Leaving { why: why.to_owned() },
        None => Standing::Open,
    };
    assert_eq!(standing(node), expected);
}

#[test]
fn a_node_that_is_going_away_is_told_from_one_that_is_unwell() {
    check(&node("a", false, &[]), None);
    let unwell = [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "dedicated",
    ];
    check(&node("a", false, &unwell), None);
    check(&node("a", true, &[]), Some("is cordoned"));
    for key in ENDING {
        let key = match key.strip_suffix('/') {
            Some(prefix) => format!("{prefix}/spot-itn"),
            None => key.to_owned(),
        };
        let why = format!("is to end soon ({key})");
        check(&node("a", true, &["dedicated", &key]), Some(&why));
    }
    let mut removed = node("a", true, &["karpenter.sh/disrupted"]);
    removed.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    check(&removed, Some("is being removed"));
}

#[test]
fn a_node_is_unheard_of_when_the_server_does_not_know_whether_it_is_ready() {
    for (node, expected) in [
        (node("a", false, &[]), Contact::Heard),
        (ready("a", "True"), Contact::Heard),
        (ready("a", "False"), Contact::Heard),
        (ready("a", "Unknown"), Contact::Missed),
    ] {
        assert_eq!(contact(&node), expected, "{:?}", node.status);
    }
}

/// Applies a change and answers the nodes of which it was news.
fn news(seen: &mut Seen, change: impl FnOnce(&mut Seen)) -> Vec<String> {
    let before = Arc::clone(&seen.nodes);
    change(seen);
    let news = seen.nodes.news(&before);
    news.into_iter().map(str::to_owned).collect()
}

fn all(nodes: &[Node]) -> Vec<Shown> {
    nodes.iter().filter_map(Shown::of).collect()
}

#[test]
fn only_a_node_that_stands_otherwise_is_news() {
    let (mut seen, now) = (Seen::default(), Instant::now());
    let both = [node("a", false, &[]), node("b", false, &[])];
    assert_eq!(news(&mut seen, |seen| seen.replace(all(&both), now)), ["a", "b"]);
    let before = Arc::clone(&seen.nodes);
    seen.note(&node("a", false, &["node.kubernetes.io/not-ready"]), now);
    assert!(Arc::ptr_eq(&before, &seen.nodes), "nothing is copied");
    let cordoned = [node("a", true, &[])];
    assert_eq!(news(&mut seen, |seen| seen.note(&cordoned[0], now)), ["a"]);
    assert_eq!(news(&mut seen, |seen| seen.lose("b")), ["b"]);
    assert_eq!(news(&mut seen, |seen| seen.lose("b")), [] as [&str; 0]);
    let listed = news(&mut seen, |seen| seen.replace(all(&cordoned), now));
    assert_eq!(listed, [] as [&str; 0], "what is gone stays gone");
    let gone = Standing::Leaving {
        why: "is gone".to_owned(),
    };
    assert_eq!(seen.nodes.standing("b"), Some(&gone));
    assert!(seen.nodes.is_lost("b"));
    let back = [node("b", false, &[])];
    let listed = news(&mut seen, |seen| seen.replace(all(&back), now));
    assert_eq!(listed, ["a", "b"], "it is back, and the other one is not");
    assert_eq!(seen.nodes.standing("b"), Some(&Standing::Open));
    assert!(!seen.nodes.is_lost("b"));
    assert_eq!(seen.nodes.standing("a"), Some(&gone));
    for number in 0..2 * REMEMBERED {
        seen.lose(&format!("spot-{number}"));
    }
    assert_eq!(seen.nodes.iter().count(), 1 + REMEMBERED);
    assert_eq!(seen.nodes.standing("a"), None, "that was long ago");
}

#[test]
fn a_node_is_lost_once_it_was_silent_for_a_while_and_heard_of_at_once() {
    let (mut seen, now) = (Seen::default(), Instant::now());
    let nothing = [] as [&str; 0];
    let start = ["a", "b", "c", "d"].map(|name| ready(name, "True"));
    seen.replace(all(&start), now);
    assert_eq!(
        news(&mut seen, |seen| seen.note(&ready("a", "Unknown"), now)),
        nothing
    );
    assert!(!seen.is_due(now + SETTLED / 2));
    let later = now + SETTLED;
    assert!(seen.is_due(later), "a list is asked for");
    let list = ["Unknown", "True", "True", "True"];
    let list: Vec<Node> = ["a", "b", "c", "d"]
        .into_iter()
        .zip(list)
        .map(|(name, status)| ready(name, status))
        .collect();
    assert_eq!(news(&mut seen, |seen| seen.replace(all(&list), later)), ["a"]);
    assert!(seen.nodes.is_lost("a") && !seen.is_due(later));
    // A new list, and whatever else happens to its object, is no sign of life.
    assert_eq!(news(&mut seen, |seen| seen.replace(all(&list), later)), nothing);
    assert_eq!(
        news(&mut seen, |seen| seen.note(&ready("a", "Unknown"), later)),
        nothing
    );
    let heard = news(&mut seen, |seen| seen.note(&ready("a", "True"), later));
    assert_eq!(heard, ["a"]);
    assert!(!seen.nodes.is_lost("a"));
    assert!(!seen.is_due(later + SETTLED));
}

#[test]
fn of_nodes_that_fall_silent_one_by_one_none_is_lost_when_they_are_most() {
    let (mut seen, now) = (Seen::default(), Instant::now());
    let names = ["a", "b", "c", "d"];
    seen.replace(all(&names.map(|name| ready(name, "True"))), now);
    for (name, after) in [("a", 0), ("b", 5), ("c", 10)] {
        seen.note(&ready(name, "Unknown"), now + Duration::from_secs(after));
    }
    let silent = ["Unknown", "Unknown", "Unknown", "True"];
    let silent: Vec<Node> = names
        .into_iter()
        .zip(silent)
        .map(|(name, status)| ready(name, status))
        .collect();
    seen.replace(all(&silent), now + 2 * SETTLED);
    assert!(names.iter().all(|name| !seen.nodes.is_lost(name)));
    // One of them is back: now it is about those two.
    let later = now + 2 * SETTLED;
    let heard = news(&mut seen, |seen| seen.note(&ready("c", "True"), later));
    assert_eq!(heard, ["a", "b"]);
    assert!(seen.nodes.is_lost("a") && seen.nodes.is_lost("b"));
    let silent = news(&mut seen, |seen| seen.note(&ready("d", "Unknown"), later));
    assert_eq!(silent, ["a", "b"], "not any more");
    assert!(names.iter().all(|name| !seen.nodes.is_lost(name)));
}
