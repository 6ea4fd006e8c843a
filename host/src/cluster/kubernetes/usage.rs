//! What rooms use, from the Metrics API: one list per scheduler, whatever serves it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::ListParams;
use kube::core::Request;
use maestro_core::names::SchedulerName;
use maestro_core::time::Timestamp;
use serde::Deserialize;

use super::call::Caller;
use super::failure::Failure;
use super::label;
use crate::cluster::Usage;

/// A list of `metrics.k8s.io/v1beta1`, as much of it as is read. The types have no crate of their own.
#[derive(Debug, Deserialize)]
pub(super) struct PodMetricsList {
    items: Vec<PodMetrics>,
}

#[derive(Debug, Deserialize)]
struct PodMetrics {
    metadata: ObjectMeta,
    timestamp: Time,
    #[serde(default)]
    containers: Vec<ContainerMetrics>,
}

#[derive(Debug, Deserialize)]
struct ContainerMetrics {
    usage: Amounts,
}

#[derive(Debug, Deserialize)]
struct Amounts {
    cpu: Option<Quantity>,
    memory: Option<Quantity>,
}

/// What each of a scheduler's rooms uses. A room that was not measured yet is not among them.
pub(super) async fn usage(caller: &Caller, scheduler: &SchedulerName) -> Result<Vec<Usage>, Failure> {
    let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{scheduler}/pods");
    let params = ListParams::default().labels(&label::selector(scheduler));
    let request = Request::new(path).list(&params);
    let request = request.map_err(|error| Failure::Silence(error.into()))?;
    let list = caller.call(caller.client().request(request)).await?;
    Ok(read(scheduler, list))
}

fn read(scheduler: &SchedulerName, list: PodMetricsList) -> Vec<Usage> {
    let of_room = |pod: PodMetrics| {
        let of_all = |amount: fn(&Amounts) -> Option<&Quantity>| -> Option<f64> {
            pod.containers
                .iter()
                .map(|container| number(&amount(&container.usage)?.0))
                .sum()
        };
        Some(Usage {
            room: label::room(&pod.metadata, scheduler)?,
            at: Timestamp::from_ms(pod.timestamp.0.as_millisecond()),
            cpu_milli: of_all(|usage| usage.cpu.as_ref())? * 1_000.0,
            memory_bytes: of_all(|usage| usage.memory.as_ref())?,
        })
    };
    let measured = list.items.into_iter().filter(|pod| !pod.containers.is_empty());
    measured.filter_map(of_room).collect()
}

/// A quantity as Kubernetes writes it: `249985448n`, `100Mi`, `1500m`, `2`, `1e3`.
fn number(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let with_unit = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (digits, factor) = with_unit.unwrap_or((text, 1.0));
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = digits.parse().ok().filter(|_| is_number)?;
    Some(number * factor).filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn usages(items: &[Value]) -> Vec<(String, f64, f64)> {
        let list = serde_json::from_value(json!({"kind": "PodMetricsList", "items": items})).unwrap();
        read(&SchedulerName::parse("pong").unwrap(), list)
            .into_iter()
            .map(|usage| {
                assert_eq!(usage.at, Timestamp::from_ms(1_767_225_600_000));
                (usage.room.to_string(), usage.cpu_milli, usage.memory_bytes)
            })
            .collect()
    }

    fn item(scheduler: &str, room: &str, containers: &[Value]) -> Value {
        json!({
            "metadata": {"name": room, "labels": {"maestro.dev/scheduler": scheduler, "maestro.dev/room": room}},
            "timestamp": "2026-01-01T00:00:00Z",
            "window": "10s",
            "containers": containers,
        })
    }

    fn container(cpu: &str, memory: &str) -> Value {
        json!({"name": "any", "usage": {"cpu": cpu, "memory": memory}})
    }

    #[test]
    fn a_room_uses_what_its_containers_use() {
        let both = [container("250000000n", "100Mi"), container("1500m", "24160Ki")];
        assert_eq!(
            usages(&[item("pong", "pong-00000001", &both)]),
            [("pong-00000001".to_owned(), 1_750.0, 129_597_440.0)]
        );
    }

    #[test]
    fn what_was_not_measured_or_is_not_ours_is_left_out() {
        let one = [container("1", "1Gi")];
        let half = json!({"name": "any", "usage": {"cpu": "1"}});
        let odd = [container("much", "1Gi")];
        let items = [
            item("pong", "pong-00000001", &[]),
            item("pong", "pong-00000002", &[one[0].clone(), half]),
            item("pong", "pong-00000003", &odd),
            item("ping", "ping-00000004", &one),
            item("pong", "another", &one),
        ];
        assert_eq!(usages(&items), []);
    }

    #[test]
    fn quantities_are_read_in_all_their_forms() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("2", Some(2.0)),
            ("1.5", Some(1.5)),
            ("1e3", Some(1_000.0)),
            ("3E", Some(3e18)),
            ("7k", Some(7_000.0)),
            ("64Mi", Some(67_108_864.0)),
            ("12u", Some(0.000_012)),
            ("", None),
            ("m", None),
            ("inf", None),
            ("-1", None),
            ("1Xi", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
