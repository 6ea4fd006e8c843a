//! Players reach the rooms of a node, each by a port of its own, over UDP and TCP; and what they do there counts.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use super::stage::{PATIENCE, ROOM, Stage, eventually, example_image, testbed};

/// What the example's document says of Maestro's own image.
const EXAMPLE: &str = include_str!("../../../deploy/examples/example-room.yaml");

/// How a node opens rooms' ports, as lines of the document; the default is a service with ports of the node per room.
const NODE_PORT: &str = "";

/// And this a port of the node that the pod itself holds.
const HOST_PORT: &str = "network: hostPort\n";

/// What comes back of a datagram, if anything does.
fn echo(room: SocketAddr, word: &str) -> Option<String> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.send_to(word.as_bytes(), room).ok()?;
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(
        from, room,
        "the answer comes from where the player knows the room"
    );
    Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
}

/// Two rooms answer under addresses of their node, which no other room has.
fn reaches_by_udp(stage: &Stage, rooms: &[String]) {
    let mut seen = BTreeSet::new();
    for room in rooms {
        let addresses = [stage.address(room, "UDP"), stage.address(room, "TCP")];
        for (address, protocol) in addresses.into_iter().zip(["UDP", "TCP"]) {
            assert_eq!(address.ip().to_string(), testbed("NODE_ADDRESS"));
            assert!(seen.insert((address, protocol)), "{address} is two rooms'");
        }
        let word = eventually("a datagram comes back", PATIENCE, || echo(addresses[0], room));
        assert_eq!(word, *room);
    }
}

/// Begins a match in the example room.
fn begin_match(room: SocketAddr, length: Duration) {
    let mut stream = eventually("the room takes players", PATIENCE, || {
        TcpStream::connect_timeout(&room, Duration::from_secs(1)).ok()
    });
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    writeln!(stream, "match {}", length.as_millis()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert_eq!(answer, "ok\n");
}

/// The example as it is delivered, but for the image and where the program lies in it.
fn example(network: &str) -> String {
    let document = EXAMPLE
        .replace("name: example\n", "imagePullPolicy: Never\n")
        .replace("image: maestro:0.1.0", &format!("image: {}", example_image()))
        .replace("/usr/local/bin/maestro", "/room");
    assert_eq!(document.matches("/room").count(), 1, "{document}");
    format!("{network}{document}")
}

fn a_match_is_played_in_the_example_room(network: &str) {
    let stage = Stage::shared("example");
    let example = stage.create("room", &example(network));
    let rooms = stage.ready(&example, 2);
    reaches_by_udp(&stage, &rooms);

    let room = &rooms[0];
    begin_match(stage.address(room, "TCP"), Duration::from_secs(4));
    eventually("it reports the match", PATIENCE, || {
        stage.in_state(&example, "occupied").contains(room).then_some(())
    });
    eventually("and its end", PATIENCE, || {
        stage.in_state(&example, "ready").contains(room).then_some(())
    });
    let written = stage.cli_ok(&["logs", room, "-n", "20"]);
    assert!(
        written.contains("a match of 4.0 s begins") && written.contains("the match is over"),
        "{written}"
    );

    stage.cli_ok(&["delete", &example, "--yes"]);
    stage.cli_ok(&["wait", &example, "--for", "gone", "--timeout", "60s"]);
}

#[test]
fn players_reach_the_example_room_by_ports_of_its_node() {
    a_match_is_played_in_the_example_room(NODE_PORT);
}

#[test]
fn players_reach_the_example_room_by_ports_that_it_holds_of_its_node() {
    a_match_is_played_in_the_example_room(HOST_PORT);
}

fn the_testbeds_rooms_answer(network: &str) {
    let stage = Stage::shared("reached");
    let document = format!(
        "{network}
game: test
image: {ROOM}
imagePullPolicy: Never
ports: [{{name: game, containerPort: 8080, protocol: UDP}}, {{name: web, containerPort: 8080, protocol: TCP}}]
requests: {{cpu: 10m, memory: 16Mi}}
autoscaling: {{min: 2}}
"
    );
    let scheduler = stage.create("rooms", &document);
    let rooms = stage.ready(&scheduler, 2);
    reaches_by_udp(&stage, &rooms);
    for room in &rooms {
        assert_eq!(stage.ask(room, "/"), format!("hello from {room}\n"));
        let environment = stage.ask(room, "/environment");
        let told = [
            format!("MAESTRO_ROOM_ID={room}"),
            format!("MAESTRO_SCHEDULER_NAME={scheduler}"),
            format!("MAESTRO_API_URL={}", stage.url),
            "MAESTRO_PORT_GAME=8080".to_owned(),
        ];
        for one in told {
            assert!(
                environment.contains(&format!("\"{one}\"")),
                "{one}: {environment}"
            );
        }
    }
}

#[test]
fn players_reach_the_testbeds_rooms_by_ports_of_their_node() {
    the_testbeds_rooms_answer(NODE_PORT);
}

#[test]
fn players_reach_the_testbeds_rooms_by_ports_that_they_hold_of_their_node() {
    the_testbeds_rooms_answer(HOST_PORT);
}
