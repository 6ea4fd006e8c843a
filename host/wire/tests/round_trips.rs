//! What is written reads back as the same scheduler, as YAML and as JSON, whatever the scheduler.

#![allow(clippy::unwrap_used, reason = "generators make valid names only")]

use std::collections::BTreeMap;

use maestro_core::names::{PolicyName, SchedulerName};
use maestro_core::scheduler::{
    Autoscaling, Container, Deadlines, Direction, EnvValue, EnvVar, Forwarder, ImagePull, Mode, Network,
    PolicyRef, Port, PortRange, Protocol, Resources, RoomTemplate, Scheduler, Security, Trigger,
};
use maestro_core::time::Span;
use maestro_wire::document::{self, Document};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every text, but what a process can't be given.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "[\\PC\n\t\r]{0,40}",
        prop::sample::select(vec![
            "", " ", "~", "null", "yes", "0123", "1e3", "- a", "a: b", "#", "\n", "|\n x", "'", "\""
        ])
        .prop_map(str::to_owned),
    ]
    .prop_map(|text| text.replace('\0', ""))
}

fn printable() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.chars().filter(|c| !c.is_control()).take(60).collect())
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((key(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z_]{1,12}",
        text().prop_filter("keys are not empty", |key| (1..100).contains(&key.len()))
    ]
}

fn json_object() -> impl Strategy<Value = String> {
    vec((key(), json_value()), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect()).to_string())
}

fn deadline() -> impl Strategy<Value = Span> {
    prop_oneof![
        (1_u64..=2_592_000).prop_map(Span::from_secs),
        (1_000_u64..=2_592_000_000).prop_map(Span::from_ms)
    ]
}

fn resources() -> impl Strategy<Value = Resources> {
    (
        option::of(1_u64..=1_000_000_000),
        option::of(1_u64..=u64::MAX >> 1),
    )
        .prop_map(|(cpu_milli, memory_bytes)| Resources {
            cpu_milli,
            memory_bytes,
        })
}

fn limits(requests: Resources) -> impl Strategy<Value = Resources> {
    let cpu = requests.cpu_milli.unwrap_or(1);
    let memory = requests.memory_bytes.unwrap_or(1);
    (
        option::of(cpu..=1_000_000_000),
        option::of(memory..=u64::MAX >> 1),
    )
        .prop_map(|(cpu_milli, memory_bytes)| Resources {
            cpu_milli,
            memory_bytes,
        })
}

fn env() -> impl Strategy<Value = Vec<EnvVar>> {
    let value = prop_oneof![
        text().prop_map(EnvValue::Literal),
        ("[a-z.]{1,20}", "[a-z._-]{1,20}").prop_map(|(name, key)| EnvValue::SecretKey { name, key }),
        prop::sample::select(vec!["status.podIP", "metadata.labels['a b']"]).prop_map(|path| {
            EnvValue::Field {
                path: path.to_owned(),
            }
        }),
    ];
    btree_map("[A-Z_][A-Z0-9_.-]{0,20}", value, 0..4).prop_map(|all| {
        all.into_iter()
            .map(|(name, value)| EnvVar { name, value })
            .collect()
    })
}

fn container(name: String) -> impl Strategy<Value = Container> {
    let pull = prop::sample::select(vec![ImagePull::Always, ImagePull::IfNotPresent, ImagePull::Never]);
    let sizes = resources().prop_flat_map(|requests| (Just(requests), limits(requests)));
    let image = prop_oneof!["[a-z0-9./:@-]{1,40}", "[!-~]{1,40}"];
    (image, pull, sizes, env(), vec(text(), 0..4)).prop_map(
        move |(image, pull, (requests, limits), env, cmd)| Container {
            name: name.clone(),
            image,
            pull,
            ports: Vec::new(),
            requests,
            limits,
            env,
            cmd,
        },
    )
}

/// Either one container with the scheduler's name, or several with names of their own; ports are unique in all.
fn containers(scheduler: String) -> impl Strategy<Value = Vec<Container>> {
    let names = prop_oneof![
        Just(vec![scheduler]),
        prop::collection::btree_set("[a-z][a-z0-9]{0,20}", 1..4)
            .prop_map(|names| names.into_iter().collect()),
    ];
    let ports = prop::collection::btree_set((1_u16.., any::<bool>()), 0..5);
    (names, ports)
        .prop_flat_map(|(names, ports)| (names.into_iter().map(container).collect::<Vec<_>>(), Just(ports)))
        .prop_map(|(mut containers, ports)| {
            let count = containers.len();
            for (i, (container_port, is_tcp)) in ports.into_iter().enumerate() {
                let protocol = if is_tcp { Protocol::Tcp } else { Protocol::Udp };
                containers[i % count].ports.push(Port {
                    name: format!("Port-{i}"),
                    container_port,
                    protocol,
                });
            }
            containers
        })
}

fn mode() -> impl Strategy<Value = Mode> {
    let share = (0.0..1.0).prop_filter("a share is more than nothing", |share| *share > 0.0);
    prop_oneof![
        Just(Mode::Active),
        Just(Mode::Shadow),
        share.prop_map(Mode::Canary)
    ]
}

fn built_in(direction: Direction) -> impl Strategy<Value = Trigger> {
    let policy = prop::sample::select(document::BUILT_IN.to_vec());
    (
        policy,
        1_u64..=100,
        1_u64..=100,
        1_u64..=86_400,
        option::of(1_u64..=1_000),
        mode(),
    )
        .prop_map(move |(policy, usage, threshold, time, limit, mode)| {
            let limit = limit.filter(|limit| *limit > usage && direction != Direction::Down);
            let mut parameters = json!({ "usage": usage, "threshold": threshold, "time": time });
            if let Some(limit) = limit {
                parameters["limit"] = limit.into();
            }
            Trigger {
                id: String::new(),
                direction,
                policy: PolicyRef {
                    name: PolicyName::parse(policy).unwrap(),
                    version: None,
                },
                parameters: parameters.to_string(),
                window: Span::from_secs(time),
                mode,
            }
        })
}

fn deployed(direction: Direction) -> impl Strategy<Value = Trigger> {
    (
        "x[a-z0-9]{0,20}",
        option::of("[0-9a-z.+-]{1,10}"),
        json_object(),
        1_u64..=86_400,
        mode(),
    )
        .prop_map(move |(name, version, parameters, window, mode)| Trigger {
            id: String::new(),
            direction,
            policy: PolicyRef {
                name: PolicyName::parse(&name).unwrap(),
                version,
            },
            parameters,
            window: Span::from_secs(window),
            mode,
        })
}

fn triggers() -> impl Strategy<Value = Vec<Trigger>> {
    let side = |direction, prefix: &'static str| {
        vec(prop_oneof![built_in(direction), deployed(direction)], 0..3).prop_map(move |mut side| {
            for (i, trigger) in side.iter_mut().enumerate() {
                trigger.id = format!("{prefix}[{i}]");
            }
            side
        })
    };
    (
        side(Direction::Up, "up"),
        side(Direction::Down, "down"),
        side(Direction::Both, "policies"),
    )
        .prop_map(|(up, down, both)| [up, down, both].concat())
}

fn autoscaling() -> impl Strategy<Value = Autoscaling> {
    let cooldown = || (0_u64..=604_800_000).prop_map(Span::from_ms);
    (
        0_u32..=1_000_000,
        option::of(1_u32..=1_000_000),
        cooldown(),
        cooldown(),
        triggers(),
    )
        .prop_map(|(min, max, up_cooldown, down_cooldown, triggers)| Autoscaling {
            min: max.map_or(min, |max| min.min(max)),
            max,
            up_cooldown,
            down_cooldown,
            triggers,
        })
}

fn forwarders() -> impl Strategy<Value = Vec<Forwarder>> {
    let one = (any::<bool>(), any::<bool>(), json_object());
    let name = || "[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,10}[a-z])?";
    btree_map(name(), btree_map(name(), one, 1..3), 0..3).prop_map(
        |plugins: BTreeMap<String, BTreeMap<String, (bool, bool, String)>>| {
            let all = plugins.into_iter().flat_map(|(plugin, all)| {
                all.into_iter()
                    .map(move |(name, (enabled, forward_response, metadata))| Forwarder {
                        plugin: plugin.clone(),
                        name,
                        enabled,
                        forward_response,
                        metadata,
                    })
            });
            all.collect()
        },
    )
}

fn template(name: String) -> impl Strategy<Value = RoomTemplate> {
    let label = || option::of("[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,10}[0-9])?");
    let range = option::of((1_u16..=60_000, 10_u16..=5_000));
    let network = prop::sample::select(vec![Network::NodePort, Network::HostPort, Network::Pod]);
    let ways = (network, any::<bool>(), option::of("[a-z]{1,9}"));
    (containers(name), label(), label(), range, deadline(), ways).prop_map(
        |(containers, affinity, toleration, range, shutdown, (network, is_restricted, pool))| RoomTemplate {
            containers,
            affinity: affinity.map(|key| format!("example.com/{key}")),
            toleration,
            port_range: range.map(|(start, length)| PortRange {
                start,
                end: start + length,
            }),
            shutdown,
            network,
            security: match is_restricted {
                true => Security::Restricted,
                false => Security::Legacy,
            },
            pod_template: pool.map(|pool| json!({"spec": {"nodeSelector": {"pool": pool}}}).to_string()),
        },
    )
}

fn deadlines() -> impl Strategy<Value = Deadlines> {
    let changed = [(); 5].map(|()| option::of(deadline()));
    (changed, option::of(deadline())).prop_map(
        |([initialization, ping, allocation, draining, lost], occupied)| {
            let default = Deadlines::default();
            Deadlines {
                initialization: initialization.unwrap_or(default.initialization),
                ping: ping.unwrap_or(default.ping),
                occupied,
                allocation: allocation.unwrap_or(default.allocation),
                draining: draining.unwrap_or(default.draining),
                lost: lost.unwrap_or(default.lost),
            }
        },
    )
}

fn scheduler() -> impl Strategy<Value = Scheduler> {
    let name = "[a-z]([a-z0-9-]{0,40}[a-z0-9])?";
    let game = printable().prop_filter("a game has a name", |game| !game.is_empty());
    let users = vec("[a-z]{1,8}@[a-z]{1,8}", 0..3);
    (name, game, users, any::<bool>())
        .prop_flat_map(|(name, game, users, hold)| {
            let parts = (template(name.clone()), deadlines(), autoscaling(), forwarders());
            (Just((name, game, users, hold)), parts)
        })
        .prop_map(
            |((name, game, authorized_users, hold_creation_on_error), parts)| {
                let (mut template, deadlines, autoscaling, forwarders) = parts;
                for container in &mut template.containers {
                    request_what_triggers_need(container, &autoscaling.triggers);
                }
                Scheduler {
                    name: SchedulerName::parse(&name).unwrap(),
                    game,
                    template,
                    deadlines,
                    autoscaling,
                    forwarders,
                    authorized_users,
                    hold_creation_on_error,
                }
            },
        )
}

fn request_what_triggers_need(container: &mut Container, triggers: &[Trigger]) {
    for trigger in triggers {
        match trigger.policy.name.as_str() {
            "cpu" => {
                container.requests.cpu_milli.get_or_insert(1);
            }
            "memory" => {
                container.requests.memory_bytes.get_or_insert(1);
            }
            _ => {}
        }
    }
}

fn read_one(text: &str) -> Result<Document, TestCaseError> {
    let documents = document::read(text);
    let mut documents = documents
        .map_err(|problems| TestCaseError::fail(format!("{}\nin\n{text}", problems.show("text", text))))?;
    prop_assert_eq!(documents.len(), 1);
    Ok(documents.remove(0))
}

#[test]
fn json_of_other_writers_reads_as_well() {
    let text = concat!(
        "\r\n{\r\n\t\"name\": \"pong\",\r\n\t\"game\": \"\\ud83d\\uDE00 \\u00e9 \\\\ud83d\\\\ude00 \\/\"\r\n\t,\"image\":\"a:1\",",
        "\"cmd\":[\"\\\\\\ud83d\\ude00\",\"\\u0041\\u0042\"],\t\"autoscaling\" :\t{\"min\":1,\"max\": null}\n}\n",
    );
    let scheduler = document::read(text).unwrap().remove(0).scheduler;
    assert_eq!(scheduler.game, r"😀 é \ud83d\ude00 /");
    assert_eq!(scheduler.template.containers[0].cmd, [r"\😀", "AB"]);
    for half in [
        r#"{"game": "\ud83d"}"#,
        r#"{"game": "\ud83d\u0041"}"#,
        r#"{"game": "\ud83"#,
    ] {
        assert!(document::read(half).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_is_written_as_yaml_reads_back(scheduler in scheduler()) {
        let text = document::to_yaml(&scheduler).unwrap();
        let document = read_one(&text)?;
        prop_assert_eq!(&document.scheduler, &scheduler, "in\n{}", text);
        prop_assert_eq!(document.text, text);
    }

    #[test]
    fn what_is_written_as_json_reads_back(scheduler in scheduler()) {
        let json = document::to_json(&scheduler).unwrap();
        for text in [json.to_string(), serde_json::to_string_pretty(&json).unwrap()] {
            prop_assert_eq!(&read_one(&text)?.scheduler, &scheduler, "in\n{}", text);
        }
    }

    #[test]
    fn several_documents_read_as_each_alone(schedulers in vec(scheduler(), 1..4)) {
        let mut all = String::new();
        let mut names = std::collections::BTreeSet::new();
        let schedulers: Vec<_> = schedulers.into_iter().filter(|one| names.insert(one.name.clone())).collect();
        for scheduler in &schedulers {
            all.push_str("---\n");
            all.push_str(&document::to_yaml(scheduler).unwrap());
        }
        let documents = document::read(&all).map_err(|problems| TestCaseError::fail(problems.show("all", &all)))?;
        prop_assert_eq!(documents.len(), schedulers.len());
        for (document, scheduler) in documents.iter().zip(&schedulers) {
            prop_assert_eq!(&document.scheduler, scheduler);
            prop_assert_eq!(&read_one(&document.text)?.scheduler, scheduler);
        }
        prop_assert_eq!(documents.iter().map(|document| document.text.as_str()).collect::<String>(), all);
    }

    #[test]
    fn every_trigger_is_found_in_its_text(scheduler in scheduler()) {
        let text = document::to_yaml(&scheduler).unwrap();
        let document = read_one(&text)?;
        for trigger in &document.scheduler.autoscaling.triggers {
            let path = format!("{}.type", document.reference(&trigger.id).unwrap().path);
            let place = document.position(&path);
            let line = text.lines().nth(place.line - 1).unwrap();
            let found: String = line.chars().skip(place.column - 1).collect();
            prop_assert!(found.contains(trigger.policy.name.as_str()), "{} in {}", trigger.policy.name, line);
        }
    }
}
