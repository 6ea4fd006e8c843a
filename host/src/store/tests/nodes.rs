//! Nodes that people drain.

use super::*;

on_both! {
    a_node_is_drained_since_it_was_first_asked_for;
}

async fn a_node_is_drained_since_it_was_first_asked_for(store: Store) {
    assert!(store.drained_nodes().await.unwrap().is_empty());
    assert_eq!(store.drain_node("node-2", at(1_000)).await.unwrap(), at(1_000));
    assert_eq!(store.drain_node("node-2", at(2_000)).await.unwrap(), at(1_000));
    assert_eq!(store.drain_node("node-1", at(3_000)).await.unwrap(), at(3_000));
    let drained: Vec<_> = store.drained_nodes().await.unwrap().into_iter().collect();
    let expected = [("node-1".to_owned(), at(3_000)), ("node-2".to_owned(), at(1_000))];
    assert_eq!(drained, expected);
    assert!(store.undrain_node("node-2").await.unwrap());
    assert!(!store.undrain_node("node-2").await.unwrap());
    assert_eq!(store.drain_node("node-2", at(4_000)).await.unwrap(), at(4_000));
    assert_eq!(store.drained_nodes().await.unwrap().len(), 2);
}
