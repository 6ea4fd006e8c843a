//! What probes are told while everything is there, and while this process is about to end. What is missing is in
//! `outages`.

use serde_json::json;

use super::client::request;
use super::harness::Host;

#[tokio::test]
async fn a_process_that_misses_nothing_is_ready_until_it_ends() {
    let host = Host::start().await;
    assert_eq!(host.get("/healthcheck").await, json!({ "healthy": true }));
    assert_eq!(host.get("/livez").await, json!({ "live": true, "stuck": [] }));
    let dependencies = json!([
        { "name": "registry", "state": "up", "required": true },
        { "name": "store", "state": "up", "required": false },
        { "name": "cluster", "state": "unasked", "required": false },
    ]);
    assert_eq!(
        host.get("/readyz").await,
        json!({ "ready": true, "ending": false, "dependencies": dependencies })
    );
    host.api.probe.end();
    let ending = host.send(request("GET /readyz")).await;
    assert_eq!(ending.status, 503);
    assert_eq!(
        ending.json(),
        json!({ "ready": false, "ending": true, "dependencies": dependencies })
    );
    assert_eq!(
        host.send(request("GET /livez")).await.status,
        200,
        "it works all the same"
    );
    host.stop().await;
}
