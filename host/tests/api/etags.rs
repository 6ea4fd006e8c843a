//! Answers that need not be sent again.

use super::client::{Answer, request};
use super::decisions::{decision, write};
use super::harness::{Host, PONG};

async fn ask(host: &Host, path: &str, known: &str) -> Answer {
    let asking = request(&format!("GET {path}")).header("if-none-match", known);
    host.send(asking).await
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again_until_it_changes() {
    let host = Host::with_pong().await;
    write(&host, &[decision(0)]).await;
    let paths = [
        "/scheduler/pong/config",
        "/scheduler/pong/config?version=v1.0",
        "/scheduler/pong/releases",
        "/scheduler/pong/decisions",
        "/policies",
        "/policies/room",
    ];
    let mut tags = Vec::new();
    for path in paths {
        let answer = host.send(request(&format!("GET {path}"))).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let tag = answer.header("etag").unwrap().to_owned();
        for known in [
            tag.clone(),
            format!("W/{tag}"),
            format!("\"other\", {tag}"),
            "*".to_owned(),
        ] {
            let answer = ask(&host, path, &known).await;
            assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{known}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
        }
        assert_eq!(ask(&host, path, "\"other\"").await.text, answer.text);
        tags.push(tag);
    }
    let changed = PONG.replace("max: 10", "max: 20");
    host.send(request("PUT /scheduler/pong").body(changed)).await.ok();
    write(&host, &[decision(1)]).await;
    for (path, (tag, status)) in paths.iter().zip(tags.iter().zip([200, 304, 200, 200, 304, 304])) {
        assert_eq!(ask(&host, path, tag).await.status, status, "{path}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_document_as_yaml_and_as_an_object_have_tags_of_their_own_and_errors_have_none() {
    let host = Host::with_pong().await;
    let config = request("GET /scheduler/pong/config");
    let yaml = host.send(config.clone()).await;
    let object = host.send(config.header("accept", "application/json")).await;
    assert_ne!(yaml.header("etag"), object.header("etag"));
    assert_eq!(yaml.header("vary"), Some("accept"));
    let unknown = ask(&host, "/scheduler/zzz/config", "*").await;
    assert_eq!((unknown.status, unknown.header("etag")), (404, None));
    host.stop().await;
}
