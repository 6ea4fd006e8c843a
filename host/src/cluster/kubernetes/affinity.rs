//! Keeps new pods away from nodes that are being left.

use k8s_openapi::api::core::v1::{
    Affinity, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod,
};

/// Keeps a pod away from these nodes. Conditions on a node's name hold one name each, and those of one term hold
/// together; terms are alternatives, so that each of those that the pod has gets them.
pub(super) fn avoid(pod: &mut Pod, nodes: &[String]) {
    let Some(spec) = pod.spec.as_mut().filter(|_| !nodes.is_empty()) else {
        return;
    };
    let unlike = |name: &String| NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "NotIn".to_owned(),
        values: Some(vec![name.clone()]),
    };
    let affinity = spec.affinity.get_or_insert_with(Affinity::default);
    let of_node = affinity.node_affinity.get_or_insert_with(NodeAffinity::default);
    let required = of_node
        .required_during_scheduling_ignored_during_execution
        .get_or_insert_with(NodeSelector::default);
    if required.node_selector_terms.is_empty() {
        required.node_selector_terms.push(NodeSelectorTerm::default());
    }
    for term in &mut required.node_selector_terms {
        let fields = term.match_fields.get_or_insert_with(Vec::new);
        fields.extend(nodes.iter().map(unlike));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::PodSpec;

    use super::*;

    #[test]
    fn a_pod_stays_away_from_nodes_whatever_else_it_wants() {
        let mut pod = Pod {
            spec: Some(PodSpec::default()),
            ..Pod::default()
        };
        avoid(&mut pod, &[]);
        assert_eq!(pod.spec, Some(PodSpec::default()));
        let of_zone = NodeSelectorTerm {
            match_expressions: Some(vec![NodeSelectorRequirement {
                key: "zone".to_owned(),
                operator: "Exists".to_owned(),
                values: None,
            }]),
            match_fields: None,
        };
        let terms = |pod: &Pod| {
            let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
            let of_node = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
            let required =
                of_node.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
            required.unwrap().node_selector_terms.clone()
        };
        avoid(&mut pod, &["a".to_owned()]);
        let required = terms(&pod);
        assert_eq!(required.len(), 1);
        let affinity = pod.spec.as_mut().and_then(|spec| spec.affinity.as_mut()).unwrap();
        let of_node = affinity.node_affinity.as_mut().unwrap();
        let required = of_node
            .required_during_scheduling_ignored_during_execution
            .as_mut()
            .unwrap();
        required.node_selector_terms = vec![of_zone.clone(), of_zone];
        avoid(&mut pod, &["a".to_owned(), "b".to_owned()]);
        for term in terms(&pod) {
            let fields = term.match_fields.unwrap();
            let values: Vec<_> = fields
                .iter()
                .flat_map(|field| field.values.clone().unwrap())
                .collect();
            assert_eq!(values, ["a", "b"]);
            assert!(fields.iter().all(|field| field.operator == "NotIn"));
            assert!(term.match_expressions.is_some());
        }
    }
}
