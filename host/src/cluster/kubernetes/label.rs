//! The labels and annotations of everything that Maestro makes in Kubernetes, and how it is found again by them.
//!
//! They are a contract with running rooms: an older Maestro's pods must be recognised by a newer one.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use maestro_core::names::{RoomId, SchedulerName, Version};

/// Marks a namespace that Maestro may use.
pub(super) const MANAGED: &str = "maestro.dev/managed";

/// The installation that a namespace belongs to; any may use one without this.
pub(super) const INSTALLATION: &str = "maestro.dev/installation";

/// Annotation of a namespace that Maestro made, and therefore may delete.
pub(super) const CREATED: &str = "maestro.dev/created";

/// The scheduler that an object belongs to.
pub(super) const SCHEDULER: &str = "maestro.dev/scheduler";

/// The room that a pod or a service belongs to.
pub(super) const ROOM: &str = "maestro.dev/room";

/// The scheduler's version that a pod was made of.
pub(super) const VERSION: &str = "maestro.dev/version";

/// Annotation of a pod: its port names in the letters of the document, where Kubernetes takes small ones only.
pub(super) const PORTS: &str = "maestro.dev/ports";

/// Annotation of a pod that is reached otherwise than by a service: [`HOST_PORT`] or [`POD`].
pub(super) const NETWORK: &str = "maestro.dev/network";

/// By ports of its node that it holds itself.
pub(super) const HOST_PORT: &str = "hostPort";

/// By its own address.
pub(super) const POD: &str = "pod";

/// Annotation with the game, which may hold what no label can.
pub(super) const GAME: &str = "maestro.dev/game";

/// Labels of everything that belongs to this scheduler.
pub(super) fn of_scheduler(scheduler: &SchedulerName) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/managed-by", "maestro".to_owned()),
        (SCHEDULER, scheduler.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Labels of everything that belongs to this room.
pub(super) fn of_room(
    scheduler: &SchedulerName,
    room: &RoomId,
    version: Version,
) -> BTreeMap<String, String> {
    let mut labels = of_scheduler(scheduler);
    labels.insert(ROOM.to_owned(), room.to_string());
    labels.insert(VERSION.to_owned(), version.to_string());
    // Documents refer to it, as in `fieldPath: metadata.labels['version']`.
    labels.insert("version".to_owned(), version.to_string());
    labels
}

/// The selector of all that belongs to this scheduler.
pub(super) fn selector(scheduler: &SchedulerName) -> String {
    format!("{SCHEDULER}={scheduler}")
}

/// The value of a label.
pub(super) fn get<'m>(metadata: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// The value of an annotation.
pub(super) fn annotation<'m>(metadata: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

/// The room whose object this is, if it is one of this scheduler's.
pub(super) fn room(metadata: &ObjectMeta, scheduler: &SchedulerName) -> Option<RoomId> {
    let is_ours = get(metadata, SCHEDULER) == Some(scheduler.as_str());
    let room = get(metadata, ROOM).filter(|_| is_ours)?;
    RoomId::parse(room).ok().filter(|room| room.belongs_to(scheduler))
}
