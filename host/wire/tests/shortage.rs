//! Whether node ports will do, for documents as people write them.

use maestro_core::ports::{NODE_PORTS, shortage};
use maestro_core::scheduler::{PortRange, Scheduler};
use maestro_wire::document;

fn scheduler(name: &str, network: &str, ports: usize, limits: &str) -> Scheduler {
    let port = |i: usize| format!("{{containerPort: {}, protocol: UDP, name: p{i}}}", 5_000 + i);
    let ports: Vec<String> = (0..ports).map(port).collect();
    let text = format!(
        "name: {name}\ngame: any\nimage: any\nnetwork: {network}\nports: [{}]\nautoscaling: {{{limits}}}\n",
        ports.join(", ")
    );
    let mut read = document::read(&text).unwrap_or_default();
    read.remove(0).scheduler
}

#[test]
fn too_few_node_ports_are_told_before_rooms_are_missing() {
    let pong = scheduler("pong", "nodePort", 2, "min: 1, max: 1000");
    let check = |scheduler: &Scheduler, others: &[Scheduler], range, expected: Option<(u64, u64)>| {
        let found = shortage(scheduler, others, range).map(|found| (found.own, found.needed));
        assert_eq!(found, expected);
    };
    check(&pong, &[], NODE_PORTS, None);
    let ping = scheduler("ping", "nodePort", 1, "min: 1, max: 769");
    check(
        &pong,
        std::slice::from_ref(&ping),
        NODE_PORTS,
        Some((2_000, 2_769)),
    );
    let fits = scheduler("ping", "nodePort", 1, "min: 1, max: 768");
    check(&pong, &[fits], NODE_PORTS, None);
    // One that may have any number of rooms is sure of its least.
    let endless = scheduler("endless", "nodePort", 1, "min: 769");
    check(&pong, &[endless], NODE_PORTS, Some((2_000, 2_769)));
    // Its own older version is replaced, and others take no node ports.
    let older = scheduler("pong", "nodePort", 2, "min: 1, max: 2000");
    let held = scheduler("held", "hostPort", 9, "min: 1, max: 9000");
    check(&pong, &[older, held.clone()], NODE_PORTS, None);
    check(&held, std::slice::from_ref(&pong), NODE_PORTS, None);
    let narrow = PortRange { start: 1, end: 1_999 };
    check(&pong, &[], narrow, Some((2_000, 2_000)));
    let told = shortage(&pong, &[ping], NODE_PORTS).map(|found| found.to_string());
    assert_eq!(
        told.as_deref(),
        Some(
            "rooms of this scheduler may take 2000 node ports, those of all schedulers 2769, and 30000-32767 are 2768: rooms \
             will be missing; lower `max`, or write `network: hostPort`"
        )
    );
}
