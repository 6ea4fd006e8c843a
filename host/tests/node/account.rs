//! A game is a stranger to the cluster that it runs in: its pod has no token, and its account may do nothing.

use serde_json::Value;

use super::stage::{ROOM, Stage, kubectl};

#[test]
fn a_room_can_do_nothing_with_the_cluster() {
    let stage = Stage::shared("account");
    let document = format!(
        "
game: test
image: {ROOM}
imagePullPolicy: Never
ports: [{{name: web, containerPort: 8080, protocol: TCP}}]
requests: {{cpu: 10m, memory: 16Mi}}
autoscaling: {{min: 1}}
"
    );
    let scheduler = stage.create("room", &document);
    let room = stage.ready(&scheduler, 1).remove(0);
    // What a player could do who broke into the game: the API server is reached, and refuses.
    let ours = format!("/api/v1/namespaces/{scheduler}");
    for path in [
        &format!("{ours}/pods"),
        &format!("{ours}/pods/{room}"),
        &format!("{ours}/secrets"),
        "/api/v1/nodes",
    ] {
        let answer: Value = serde_json::from_str(&stage.ask(&room, &format!("/kubernetes{path}"))).unwrap();
        assert_eq!(answer["token"], false, "{answer}");
        assert!(
            [401, 403].map(Value::from).contains(&answer["status"]),
            "{path}: {answer}"
        );
    }
    // And if it had the token that pods are usually given:
    let account = "jsonpath={.spec.serviceAccountName}";
    let account = kubectl(&["get", "pod", &room, "-n", &scheduler, "-o", account]).unwrap();
    let account = format!("--as=system:serviceaccount:{scheduler}:{account}");
    for (verb, what) in [
        ("get", "pods"),
        ("create", "pods"),
        ("delete", "pods"),
        ("create", "pods/exec"),
        ("get", "secrets"),
        ("update", "services"),
        ("create", "serviceaccounts/token"),
        ("create", "rolebindings.rbac.authorization.k8s.io"),
        ("get", "nodes"),
        ("get", "namespaces"),
    ] {
        let answer = kubectl(&["auth", "can-i", verb, what, "-n", &scheduler, &account]);
        assert!(
            answer.is_err_and(|answer| answer.starts_with("no")),
            "{verb} {what}"
        );
    }
    let may = kubectl(&["auth", "can-i", "create", "pods", "-n", &scheduler]).unwrap();
    assert_eq!(
        may.trim(),
        "yes",
        "an administrator may, so the question was right"
    );
}
