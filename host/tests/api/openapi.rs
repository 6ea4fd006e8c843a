//! What the API says of itself.

use std::path::Path;

use serde_json::Value;

use super::client::request;
use super::harness::Host;

/// Compares with the golden file; a new one is left in the target folder.
fn check(document: &Value) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/openapi.json");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(document).unwrap());
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    if text != expected {
        std::fs::write(&fresh, &text).unwrap();
        panic!(
            "the API's document has changed; if that is meant: cp {} {}",
            fresh.display(),
            golden.display()
        );
    }
}

#[tokio::test]
async fn the_document_is_as_reviewed() {
    let host = Host::start().await;
    check(&host.get("/openapi.json").await);
    host.stop().await;
}

#[tokio::test]
async fn every_route_of_the_document_is_there_and_every_reference_leads_somewhere() {
    let host = Host::start().await;
    let document = host.get("/openapi.json").await;
    let mut count = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete = path
            .replace("{scheduler}", "zzz")
            .replace("{room}", "zzz-0000000a")
            .replace("{node}", "zzz");
        let concrete = concrete.replace("{status}", "ready").replace("{policy}", "zzz");
        for (verb, operation) in item.as_object().unwrap() {
            let line = format!("{} {concrete}", verb.to_uppercase());
            let answer = host.send(request(&line)).await;
            assert_ne!(answer.status, 405, "{line}: {answer:?}");
            assert!(!answer.text.contains("no such route"), "{line}: {answer:?}");
            assert!(
                operation["summary"].as_str().is_some_and(|text| !text.is_empty()),
                "{line}"
            );
            assert!(operation["responses"]["default"].is_object(), "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 34);
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} is not there"
        );
    }
    host.stop().await;
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let host = Host::start().await;
    let answer = host.send(request("GET /docs")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(answer.text.contains("openapi.json"));
    for word in ["http:", "https:", "src="] {
        assert!(!answer.text.contains(word), "{word}");
    }
    let root = host.send(request("GET /")).await;
    assert_eq!((root.status, root.header("location")), (307, Some("/docs")));
    host.stop().await;
}
