//! Taking in policies, and telling of those there are.
//!
//! A policy is stored only after it was checked, compiled and started once, so that a bad one changes nothing. What it
//! says of itself is stored beside it, so that lists need no component. Callers: the API.

use maestro_core::names::{Digest, PolicyName};
use maestro_core::time::Timestamp;
use maestro_engine::package::{self, Manifest};
use maestro_engine::{Class, Refusal};
use maestro_wire::document::quoted;
use maestro_wire::http::PolicyBody;
use maestro_wire::view::rfc3339;

use super::{Catalog, Error, load, version};
use crate::store::policies::Deployed;
use crate::tasks::blocking;

impl Catalog {
    /// Stores a policy after it was checked, compiled and started once.
    pub async fn deploy(&self, bytes: &[u8], now: Timestamp) -> Result<PolicyBody, Error> {
        let bytes = bytes.to_vec();
        let component = blocking(move || package::wrap(&bytes))
            .await
            .map_err(Error::Package)?;
        let policy = load(&self.engine, component.clone(), Class::Native).await?;
        let name = PolicyName::parse(&policy.manifest().name).map_err(|reason| Error::Name {
            name: quoted(&policy.manifest().name),
            reason: reason.to_string(),
        })?;
        if self.built_in(&name).is_some() {
            return Err(Error::BuiltInName(name));
        }
        let tried = policy.clone();
        match blocking(move || tried.validate("{}")).await {
            // That it wants parameters is fine; that it crashes or never answers is not.
            Ok(()) | Err(Refusal::Rejected(_)) => {}
            Err(Refusal::Failed(failure)) => return Err(Error::Trial(failure)),
        }
        let deployed = Deployed {
            name,
            version: policy.manifest().version.clone(),
            digest: policy.digest(),
            class: Class::Native.as_str().to_owned(),
            manifest: written(policy.manifest()),
            deployed_at: now,
            size: u64::try_from(component.len()).unwrap_or(u64::MAX),
        };
        let stored = self.store.deploy_policy(&deployed, &component).await?;
        self.keep(policy);
        Ok(deployed_body(&stored))
    }

    /// All policies: what ships with Maestro, then what was deployed, by name and version.
    pub async fn list(&self) -> Result<Vec<PolicyBody>, Error> {
        let mut all: Vec<PolicyBody> = self
            .built_in
            .iter()
            .map(|shipped| body(shipped.policy.manifest(), shipped.policy.digest(), None))
            .collect();
        let mut deployed = self.store.policies().await?;
        deployed.sort_by(|a, b| {
            a.name
                .cmp(&b.name)
                .then_with(|| version::compare(&a.version, &b.version))
        });
        all.extend(deployed.iter().map(deployed_body));
        Ok(all)
    }

    /// One policy, as in `queue-depth` or `queue-depth@1.2`.
    pub async fn get(&self, text: &str) -> Result<PolicyBody, Error> {
        let (name, version) = split(text);
        let shipped = PolicyName::parse(name).ok();
        match shipped.as_ref().and_then(|name| self.built_in(name)) {
            Some(shipped) => {
                shipped.check_version(version)?;
                Ok(body(shipped.policy.manifest(), shipped.policy.digest(), None))
            }
            None => Ok(deployed_body(&self.find(name, version).await?)),
        }
    }

    /// Removes a policy: all its versions, as in `queue-depth`, or exactly one, as in `queue-depth@1.2.0`. What was
    /// removed comes back, oldest version first; nothing is removed while a scheduler asks any of it.
    pub async fn remove(&self, text: &str) -> Result<Vec<Deployed>, Error> {
        let (name, version) = split(text);
        if let Ok(name) = PolicyName::parse(name)
            && self.is_built_in(&name)
        {
            return Err(Error::BuiltInStays(name));
        }
        // Says what there is when there is no such policy.
        let newest = self.find(name, None).await?;
        let mut all = self.store.policies().await?;
        all.retain(|policy| policy.name == newest.name);
        all.sort_by(|a, b| version::compare(&a.version, &b.version));
        let (going, known): (Vec<Deployed>, Vec<Deployed>) = all
            .into_iter()
            .partition(|policy| version.is_none_or(|version| policy.version == version));
        if going.is_empty() {
            return Err(Error::UnknownVersion {
                name: newest.name,
                version: version.unwrap_or_default().to_owned(),
                known: known.into_iter().map(|policy| policy.version).collect(),
            });
        }
        self.store.remove_policies(&going).await?;
        self.forget(&going);
        Ok(going)
    }
}

/// A policy's name, and its version if one is named.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    }
}

/// What the store keeps of a manifest, so that lists need no component.
fn written(manifest: &Manifest) -> String {
    let kept = Kept {
        summary: manifest.summary.clone(),
        inputs: manifest.inputs.clone(),
        parameters: serde_json::from_str(&manifest.parameters_schema).unwrap_or_default(),
    };
    serde_json::to_string(&kept).unwrap_or_default()
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Kept {
    summary: String,
    inputs: Vec<String>,
    parameters: serde_json::Value,
}

fn deployed_body(deployed: &Deployed) -> PolicyBody {
    let kept: Kept = serde_json::from_str(&deployed.manifest).unwrap_or_default();
    PolicyBody {
        name: deployed.name.to_string(),
        version: deployed.version.clone(),
        digest: deployed.digest.to_string(),
        summary: kept.summary,
        builtin: false,
        deployed_at: Some(rfc3339(deployed.deployed_at)),
        inputs: kept.inputs,
        parameters: kept.parameters,
    }
}

fn body(manifest: &Manifest, digest: Digest, deployed_at: Option<Timestamp>) -> PolicyBody {
    PolicyBody {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        digest: digest.to_string(),
        summary: manifest.summary.clone(),
        builtin: deployed_at.is_none(),
        deployed_at: deployed_at.map(rfc3339),
        inputs: manifest.inputs.clone(),
        parameters: serde_json::from_str(&manifest.parameters_schema).unwrap_or_default(),
    }
}
