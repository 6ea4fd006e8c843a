//! What a pod template may not say, because Maestro says it, or because rooms would not be kept as they are promised to be.

use super::super::fields::At;
use super::super::problem::{Problem, quoted};

/// Fields that Maestro sets or that no room can have: their place in any template, why, and what to write instead.
const CLASHES: [(&str, &str, &str); 33] = [
    (
        "spec.restartPolicy",
        SETS,
        "a program that ends is a room that ends, and is replaced",
    ),
    (
        "spec.terminationGracePeriodSeconds",
        SETS,
        "write `shutdownTimeout`",
    ),
    (
        "spec.activeDeadlineSeconds",
        "it would end rooms in the middle of a match",
        "write `occupiedTimeout`",
    ),
    (
        "spec.automountServiceAccountToken",
        SETS,
        "rooms get no access to Kubernetes",
    ),
    (
        "spec.enableServiceLinks",
        SETS,
        "variables of all rooms' services would break the start of the thousandth",
    ),
    ("spec.hostNetwork", NEVER, "write `network: hostPort`"),
    ("spec.hostPID", NEVER, "rooms see no processes of their node"),
    ("spec.hostIPC", NEVER, "rooms share no memory with their node"),
    ("spec.hostUsers", NEVER, "leave it out"),
    (
        "spec.priority",
        "Kubernetes sets this itself",
        "write `priorityClassName`",
    ),
    (
        "spec.serviceAccount",
        "an older name",
        "write `serviceAccountName`",
    ),
    (
        "spec.nodeName",
        "the node would take no heed of how full it is",
        "write `nodeSelector` or `affinity`",
    ),
    (
        "spec.ephemeralContainers",
        "no pod can begin with any",
        "`kubectl debug` adds them",
    ),
    ("spec.schedulingGates", "nobody would lift them", "leave it out"),
    (
        "spec.securityContext.seccompProfile",
        SETS,
        "a container can have a profile of its own",
    ),
    ("spec.securityContext.windowsOptions", NEVER, "leave it out"),
    (
        "spec.containers[].image",
        OF_DOCUMENT,
        "write it in the document's `image`",
    ),
    (
        "spec.containers[].imagePullPolicy",
        OF_DOCUMENT,
        "write it in the document's `imagePullPolicy`",
    ),
    (
        "spec.containers[].command",
        OF_DOCUMENT,
        "write it in the document's `cmd`",
    ),
    (
        "spec.containers[].ports",
        OF_DOCUMENT,
        "write them in the document's `ports`",
    ),
    (
        "spec.containers[].restartPolicy",
        SETS,
        "a program that ends is a room that ends, and is replaced",
    ),
    (
        "spec.containers[].terminationMessagePolicy",
        SETS,
        "a room's last words are what people are shown",
    ),
    (
        "spec.containers[].securityContext.allowPrivilegeEscalation",
        SETS,
        GAIN_NONE,
    ),
    ("spec.containers[].securityContext.privileged", NEVER, GAIN_NONE),
    (
        "spec.containers[].securityContext.windowsOptions",
        NEVER,
        "leave it out",
    ),
    (
        "spec.containers[].resizePolicy",
        NEVER,
        "rooms keep the size that they began with",
    ),
    (
        "spec.initContainers[].ports[].hostPort",
        NEVER,
        "write `network: hostPort`",
    ),
    ("spec.initContainers[].ports[].hostIP", NEVER, "leave it out"),
    (
        "spec.initContainers[].resizePolicy",
        NEVER,
        "rooms keep the size that they began with",
    ),
    (
        "spec.initContainers[].securityContext.allowPrivilegeEscalation",
        SETS,
        GAIN_NONE,
    ),
    (
        "spec.initContainers[].securityContext.privileged",
        NEVER,
        GAIN_NONE,
    ),
    (
        "spec.initContainers[].securityContext.windowsOptions",
        NEVER,
        "leave it out",
    ),
    (
        "spec.initContainers[].securityContext.procMount",
        NEVER,
        "leave it out",
    ),
];

const SETS: &str = "Maestro sets this itself";
const NEVER: &str = "rooms never have this";
const OF_DOCUMENT: &str = "the document itself says this";
const GAIN_NONE: &str = "rooms gain no privileges";

/// Labels and annotations that Maestro sets, or reads.
const KEYS: [&str; 4] = [
    "version",
    "app.kubernetes.io/managed-by",
    "cluster-autoscaler.kubernetes.io/safe-to-evict",
    "karpenter.sh/do-not-disrupt",
];

/// The problem of a field that must not be here.
pub(super) fn at(at: &At<'_>, place: &str) -> Option<Problem> {
    let (_, why, instead) = CLASHES.iter().find(|(clash, _, _)| *clash == place)?;
    let problem = Problem::new(at.key_at, &at.path, *why);
    Some(problem.hint(*instead))
}

/// The problem of a label or annotation that is Maestro's.
pub(super) fn of_key(at: &At<'_>, key: &str) -> Option<Problem> {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    let is_ours = KEYS.contains(&key) || prefix == "maestro.dev" || prefix.ends_with(".maestro.dev");
    is_ours.then(|| Problem::new(at.key_at, &at.path, format!("{} is Maestro's", quoted(key))))
}

#[cfg(test)]
mod tests {
    use super::super::types::{TYPES, Type};
    use super::*;

    /// Whether a pod template has this field at all.
    fn is_place(place: &str) -> bool {
        let mut name = "PodTemplate";
        for step in place.split('.') {
            let field = TYPES[name]
                .iter()
                .find(|field| field.name == step.trim_end_matches("[]"));
            let Some(field) = field else { return false };
            match (&field.kind, step.ends_with("[]")) {
                (Type::Object(inner), false) => name = inner,
                (Type::List(inner), true) => match inner.as_ref() {
                    Type::Object(inner) => name = inner,
                    _ => return false,
                },
                (_, true) => return false,
                (_, false) => return place.ends_with(step),
            }
        }
        true
    }

    #[test]
    fn each_clash_is_with_a_field_that_there_is() {
        for (place, _, _) in CLASHES {
            assert!(is_place(place), "{place}");
        }
    }

    #[test]
    fn each_type_that_a_field_has_is_there() {
        fn check(kind: &Type) {
            match kind {
                Type::List(inner) | Type::Map(inner) => check(inner),
                Type::Object(name) => assert!(TYPES.contains_key(name), "{name}"),
                _ => {}
            }
        }
        assert!(TYPES.len() > 100);
        TYPES.values().flatten().for_each(|field| check(&field.kind));
    }
}
