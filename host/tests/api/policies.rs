//! Policies through the API.

use maestro_policies::POLICIES;
use serde_json::{Value, json};

use super::client::{Request, request};
use super::harness::Host;

/// A policy that does what the built-in `room` does, under a name and version of its own. Its description is text
/// in the component, so that another of the same length can stand there.
fn policy(name: &str, version: &str) -> Vec<u8> {
    let room = POLICIES.iter().find(|policy| policy.name == "room").unwrap();
    let renamed = replace(
        room.component,
        "\"name\":\"room\"",
        &format!("\"name\":\"{name}\""),
    );
    let here = env!("CARGO_PKG_VERSION");
    replace(
        &renamed,
        &format!("\"version\":\"{here}\""),
        &format!("\"version\":\"{version}\""),
    )
}

fn replace(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    let mut found = 0;
    for start in 0..out.len().saturating_sub(from.len()) {
        if out[start..].starts_with(from.as_bytes()) {
            out[start..start + to.len()].copy_from_slice(to.as_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "{from} is not in the component");
    out
}

fn deploy(component: Vec<u8>) -> Request {
    request("POST /policies")
        .header("content-type", "application/wasm")
        .body(component)
}

fn names(list: &Value) -> Vec<String> {
    let policies = list["policies"].as_array().unwrap().iter();
    policies
        .map(|policy| {
            let part = |field: &str| policy[field].as_str().unwrap();
            format!("{}@{}", part("name"), part("version"))
        })
        .collect()
}

const ASKING: &str = "name: asking\ngame: test\nimage: a\nautoscaling:\n  min: 1\n  max: 5\n  policies:\n    - type: roam\n      parameters: {usage: 50, threshold: 50, time: 60}\n";

#[tokio::test]
async fn a_policy_is_deployed_listed_and_used_by_name() {
    let host = Host::start().await;
    let asking = request("POST /scheduler").body(ASKING);
    let unknown = host.send(asking.clone()).await;
    assert_eq!(unknown.status, 422, "{unknown:?}");
    let problem = &unknown.json()["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["path"]),
        (&json!(8), &json!("autoscaling.policies[0].type"))
    );
    assert!(problem.to_string().contains("`room`"), "{problem}");

    let answer = host.send(deploy(policy("roam", "0.1.0"))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let body = answer.json();
    assert_eq!((&body["name"], &body["builtin"]), (&json!("roam"), &json!(false)));
    assert_eq!(host.get("/policies/roam").await, body);
    assert_eq!(host.get("/policies/roam@0.1").await, body);
    let list = names(&host.get("/policies").await);
    assert_eq!(list.len(), POLICIES.len() + 1);
    assert!(list.contains(&"roam@0.1.0".to_owned()), "{list:?}");
    host.send(asking).await.ok();
    host.stop().await;
}

#[tokio::test]
async fn a_scheduler_keeps_the_policy_it_was_stored_with_until_it_is_stored_again() {
    let host = Host::start().await;
    host.send(deploy(policy("roam", "0.1.0"))).await.ok();
    host.send(request("POST /scheduler").body(ASKING)).await.ok();
    let digest = async || {
        let name = maestro_core::names::SchedulerName::parse("asking").unwrap();
        let stored = host.api.store.scheduler(&name).await.unwrap().unwrap();
        stored.active.digests["policies[0]"].to_string()
    };
    let first = digest().await;
    let newer = host.send(deploy(policy("roam", "0.2.0"))).await.ok();
    assert_eq!(digest().await, first);
    let done = host
        .send(request("PUT /scheduler/asking").body(ASKING))
        .await
        .ok();
    assert_eq!(done["version"], "v1.1");
    assert_eq!(digest().await, newer["digest"].as_str().unwrap());
    host.stop().await;
}

#[tokio::test]
async fn the_same_bytes_again_change_nothing_and_others_under_their_name_are_refused() {
    let host = Host::start().await;
    let first = host.send(deploy(policy("roam", "0.1.0"))).await.ok();
    host.pass(maestro_core::time::Span::from_secs(60));
    assert_eq!(host.send(deploy(policy("roam", "0.1.0"))).await.ok(), first);
    let summary = first["summary"].as_str().unwrap().to_owned();
    let other = replace(&policy("roam", "0.1.0"), &summary, &summary.replace('a', "e"));
    let answer = host.send(deploy(other)).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(host.get("/policies/roam").await, first);
    host.stop().await;
}

#[tokio::test]
async fn what_is_no_policy_or_takes_a_built_in_name_changes_nothing() {
    let host = Host::start().await;
    let before = host.get("/policies").await;
    let room = POLICIES.iter().find(|policy| policy.name == "room").unwrap();
    let cut = &room.component[..room.component.len() / 2];
    for (component, status, part) in [
        (Vec::new(), 422, "WebAssembly"),
        (b"not a policy at all".to_vec(), 422, "WebAssembly"),
        (wat::parse_str("(module)").unwrap(), 422, "maestro"),
        (cut.to_vec(), 422, "malformed"),
        (room.component.to_vec(), 409, "room"),
        (vec![0; 24 * 1024 * 1024 + 1], 413, "25165824"),
    ] {
        let answer = host.send(deploy(component)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.text.contains(part), "{part}: {answer:?}");
        assert_eq!(host.get("/policies").await, before);
    }
    host.stop().await;
}

/// A core module, as a compiler leaves it, with this body of `validate`.
fn module(validate: &str) -> Vec<u8> {
    let description =
        r#"{\"name\":\"odd\",\"version\":\"1.0\",\"summary\":\"Odd.\",\"inputs\":[],\"parameters\":{}}"#;
    let text = format!(
        "(module (memory (export \"memory\") 2)
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 16384))
           (func (export \"maestro:policy/policy@0.1.0#validate\") (param i32 i32) (result i32) {validate})
           (func (export \"maestro:policy/policy@0.1.0#evaluate\") (param i32) (result i32) unreachable)
           (@custom \"maestro-policy\" \"{description}\"))"
    );
    wat::parse_str(text).unwrap()
}

#[tokio::test]
async fn a_core_module_is_wrapped_and_one_that_fails_its_first_question_is_refused() {
    let host = Host::start().await;
    for (validate, class) in [
        ("(loop $forever (br $forever)) unreachable", "out-of-fuel"),
        ("unreachable", "trap"),
    ] {
        let answer = host.send(deploy(module(validate))).await;
        assert_eq!(answer.status, 422, "{answer:?}");
        assert!(answer.text.contains(class), "{class}: {answer:?}");
        assert_eq!(host.send(request("GET /policies/odd")).await.status, 404);
    }
    let deployed = host.send(deploy(module("(i32.const 64)"))).await.ok();
    assert_eq!(
        (&deployed["name"], &deployed["version"]),
        (&json!("odd"), &json!("1.0"))
    );
    host.stop().await;
}

#[tokio::test]
async fn a_policy_refuses_parameters_at_their_place_in_the_document() {
    let host = Host::start().await;
    host.send(deploy(policy("roam", "0.1.0"))).await.ok();
    let bad = ASKING.replace("usage: 50", "usage: 0");
    let answer = host.send(request("POST /scheduler").body(bad)).await;
    assert_eq!(answer.status, 422, "{answer:?}");
    let problem = &answer.json()["problems"][0];
    assert_eq!(
        (&problem["line"], &problem["path"]),
        (&json!(9), &json!("autoscaling.policies[0].parameters")),
        "{problem}"
    );
    host.stop().await;
}

async fn delete(host: &Host, path: &str) -> super::client::Answer {
    host.send(request(&format!("DELETE {path}"))).await
}

#[tokio::test]
async fn a_policy_that_nobody_asks_is_removed_and_can_be_deployed_again() {
    let host = Host::start().await;
    for version in ["0.1.0", "0.2.0", "0.3.0"] {
        host.send(deploy(policy("roam", version))).await.ok();
    }
    let done = delete(&host, "/policies/roam@0.2.0").await.ok();
    assert_eq!(done, json!({ "success": true, "message": "removed roam@0.2.0" }));
    assert_eq!(host.send(request("GET /policies/roam@0.2.0")).await.status, 404);
    assert_eq!(host.get("/policies/roam").await["version"], "0.3.0");
    let done = delete(&host, "/policies/roam").await.ok();
    assert_eq!(done["message"], "removed roam@0.1.0, roam@0.3.0");
    assert_eq!(delete(&host, "/policies/roam").await.status, 404);
    assert_eq!(
        host.send(request("POST /scheduler").body(ASKING)).await.status,
        422
    );
    host.send(deploy(policy("roam", "0.2.0"))).await.ok();
    host.send(request("POST /scheduler").body(ASKING)).await.ok();
    host.stop().await;
}

#[tokio::test]
async fn a_policy_that_a_scheduler_asks_stays_until_the_scheduler_asks_another() {
    let host = Host::start().await;
    host.send(deploy(policy("roam", "0.1.0"))).await.ok();
    host.send(request("POST /scheduler").body(ASKING)).await.ok();
    let other = ASKING.replace("name: asking", "name: also");
    host.send(request("POST /scheduler").body(other.clone()))
        .await
        .ok();
    host.send(deploy(policy("roam", "0.2.0"))).await.ok();
    for path in ["/policies/roam", "/policies/roam@0.1.0"] {
        let answer = delete(&host, path).await;
        assert_eq!(answer.status, 409, "{answer:?}");
        let expected = "policy roam@0.1.0 is used by schedulers also, asking";
        assert_eq!(answer.json()["description"], expected);
    }
    delete(&host, "/policies/roam@0.2.0").await.ok();
    host.send(deploy(policy("roam", "0.2.0"))).await.ok();

    // Stored again, both ask the newest; that an older version of theirs asked another stands against nothing.
    host.send(request("PUT /scheduler/asking").body(ASKING))
        .await
        .ok();
    host.send(request("PUT /scheduler/also").body(other)).await.ok();
    delete(&host, "/policies/roam@0.1.0").await.ok();
    assert_eq!(delete(&host, "/policies/roam").await.status, 409);
    host.stop().await;
}

#[tokio::test]
async fn a_document_whose_policy_was_removed_after_it_was_checked_is_not_stored() {
    let host = Host::start().await;
    let body = host.send(deploy(policy("roam", "0.1.0"))).await.ok();
    let digest = maestro_core::names::Digest::parse(body["digest"].as_str().unwrap()).unwrap();
    let read = maestro_wire::document::read(ASKING).unwrap().remove(0);
    delete(&host, "/policies/roam").await.ok();
    let digests = std::collections::BTreeMap::from([("policies[0]".to_owned(), digest)]);
    let draft = maestro::store::schedulers::Draft {
        scheduler: &read.scheduler,
        document: ASKING,
        digests: &digests,
        deployed: &[digest],
        managed_by: maestro::store::schedulers::ManagedBy::Api,
    };
    let now = maestro_core::time::Timestamp::from_ms(super::harness::START);
    let stored = host.api.store.create_scheduler(&draft, now).await;
    assert!(
        matches!(stored, Err(maestro::store::Error::PolicyGone(gone)) if gone == digest),
        "{stored:?}"
    );
    assert_eq!(host.get("/scheduler").await, json!({ "schedulers": [] }));
    host.stop().await;
}
