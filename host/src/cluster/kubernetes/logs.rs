//! The output of a room: of each of its containers, the newest lines.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams};
use maestro_core::names::{RoomId, SchedulerName};

use super::{Kubernetes, label};
use crate::cluster::Error;

/// Bound of what is read of a room's output, by container.
const LOG_BYTES: i64 = 1 << 20;

impl Kubernetes {
    pub(super) async fn read_logs(
        &self,
        scheduler: &SchedulerName,
        room: &RoomId,
        lines: usize,
        previous: bool,
    ) -> Result<String, Error> {
        let found = self.find(scheduler, room).await?;
        let pod = found.filter(|pod| label::room(&pod.metadata, scheduler).is_some());
        let spec = pod.and_then(|pod| pod.spec);
        let spec = spec.ok_or_else(|| Error::UnknownRoom(room.clone()))?;
        let pods = self.caller.pods(scheduler);
        let params = |name: &str| LogParams {
            container: Some(name.to_owned()),
            tail_lines: Some(i64::try_from(lines).unwrap_or(i64::MAX)),
            limit_bytes: Some(LOG_BYTES),
            previous,
            ..LogParams::default()
        };
        if let [only] = spec.containers.as_slice() {
            return self.read_container(&pods, room, params(&only.name)).await;
        }
        let mut text = String::new();
        for container in &spec.containers {
            let part = self.read_container(&pods, room, params(&container.name)).await?;
            text.push_str(&format!("==> {} <==\n{}\n", container.name, part.trim_end()));
        }
        Ok(text)
    }

    async fn read_container(
        &self,
        pods: &Api<Pod>,
        room: &RoomId,
        params: LogParams,
    ) -> Result<String, Error> {
        match self.caller.call(pods.logs(room.as_str(), &params)).await {
            // It has not begun, or had no run before this one: nothing was written.
            Err(failure) if failure.is_bad_request() => Ok(String::new()),
            Err(failure) if failure.is_not_found() => Err(Error::UnknownRoom(room.clone())),
            answer => Ok(answer?),
        }
    }
}
