//! From a policy's name to something that can be asked: what ships with Maestro, and what was deployed.
//!
//! Built-ins and deployed policies go through exactly the same checks, compilation and sandbox. Loaded policies are kept
//! by digest, and one that is kept is given out without waiting for any that is being loaded. Callers: the API, the
//! supervisor.

mod deploy;
mod version;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use maestro_core::names::{Digest, PolicyName};
use maestro_core::scheduler::PolicyRef;
use maestro_engine::package::PackageError;
use maestro_engine::{Class, Engine, Failure, LoadError, Policy};
use maestro_policies::POLICIES;
use maestro_wire::document::{self, Document, nearest, quoted};
use tokio::sync::Semaphore;

use crate::store::policies::Deployed;
use crate::store::{self, Store};
use crate::tasks::blocking;

/// Most loaded policies that are kept. A loaded one takes some hundred kilobytes; beyond this many, those that nobody
/// uses are loaded anew when they are needed, which takes a millisecond from the compile cache.
const LOADED: usize = 1_000;

/// Policies that are loaded at once. The engine compiles one after the other; more places than one are for those that
/// are compiled already, and no more than these because each has its component in memory and a thread.
const LOADS: usize = 4;

/// All policies.
pub struct Catalog {
    engine: Arc<Engine>,
    store: Store,
    built_in: Vec<BuiltIn>,
    loaded: Mutex<HashMap<Digest, Policy>>,
    loads: Semaphore,
}

struct BuiltIn {
    name: PolicyName,
    component: &'static [u8],
    policy: Policy,
}

/// What can go wrong with a policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no policy of this name.
    #[error("{0}")]
    UnknownName(String),
    /// The policy has no such version.
    #[error("policy {name} has no version {version}; there {are}", are = versions(known))]
    UnknownVersion {
        /// The policy.
        name: PolicyName,
        /// The version asked for.
        version: String,
        /// The versions there are, oldest first.
        known: Vec<String>,
    },
    /// The bytes are no policy.
    #[error("this is no policy")]
    Package(#[source] PackageError),
    /// The policy can't be loaded.
    #[error("the policy can't be loaded ({})", .0.code())]
    Load(#[source] LoadError),
    /// It fails at the first question that every policy is asked.
    #[error("the policy fails when it is asked to check its parameters")]
    Trial(#[source] Failure),
    /// The name is taken by what ships with Maestro.
    #[error("`{0}` ships with Maestro; give the policy another name")]
    BuiltInName(PolicyName),
    /// What ships with Maestro can't be removed.
    #[error("`{0}` ships with Maestro and can't be removed")]
    BuiltInStays(PolicyName),
    /// Its name can't be a policy's name.
    #[error("{name} can't be a policy's name: {reason}")]
    Name {
        /// The name it gives itself.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store.
    #[error("the store failed")]
    Store(#[source] store::Error),
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

impl Error {
    /// Whether nothing has this name.
    pub fn is_unknown(&self) -> bool {
        match self {
            Self::UnknownName(_) | Self::UnknownVersion { .. } => true,
            Self::Package(_)
            | Self::Load(_)
            | Self::Trial(_)
            | Self::BuiltInName(_)
            | Self::BuiltInStays(_)
            | Self::Name { .. }
            | Self::Store(_) => false,
        }
    }

    /// Whether what is there already stands against it.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::BuiltInName(_) | Self::BuiltInStays(_))
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Load(error) => error.is_retryable(),
            Self::Trial(failure) => !failure.class.is_policys_fault(),
            Self::Store(error) => error.is_retryable(),
            Self::UnknownName(_)
            | Self::UnknownVersion { .. }
            | Self::Package(_)
            | Self::BuiltInName(_)
            | Self::BuiltInStays(_)
            | Self::Name { .. } => false,
        }
    }
}

fn versions(known: &[String]) -> String {
    match known {
        [one] => format!("is only {one}"),
        several => format!("are {}", several.join(", ")),
    }
}

impl Catalog {
    /// Loads what ships with Maestro.
    pub async fn new(engine: Arc<Engine>, store: Store) -> Result<Self, Error> {
        let mut built_in = Vec::new();
        for shipped in POLICIES {
            let name = PolicyName::parse(shipped.name).map_err(|reason| Error::Name {
                name: shipped.name.to_owned(),
                reason: reason.to_string(),
            })?;
            let policy = load(&engine, shipped.component.to_vec(), Class::Native).await?;
            built_in.push(BuiltIn {
                name,
                component: shipped.component,
                policy,
            });
        }
        Ok(Self {
            engine,
            store,
            built_in,
            loaded: Mutex::default(),
            loads: Semaphore::new(LOADS),
        })
    }

    /// What a trigger asks: the policy of this digest, or the newest one that the reference names when there is none.
    /// A built-in is always the one of this release, whichever release stored the scheduler.
    pub async fn load(&self, reference: &PolicyRef, digest: Option<Digest>) -> Result<Policy, Error> {
        if let Some(built_in) = self.built_in(&reference.name) {
            return Ok(built_in.policy.clone());
        }
        let digest = match digest {
            Some(digest) => digest,
            None => self.resolve(reference).await?,
        };
        if let Some(policy) = self.kept(digest) {
            return Ok(policy);
        }
        // It is never closed, so that there is always a place in the end.
        let _place = self.loads.acquire().await.ok();
        if let Some(policy) = self.kept(digest) {
            return Ok(policy);
        }
        let Some(component) = self.store.policy_component(digest).await? else {
            return Err(Error::UnknownName(format!(
                "policy {} ({}) is no longer deployed",
                reference.name,
                digest.short()
            )));
        };
        let class = Class::parse(&component.class).unwrap_or_default();
        let policy = load(&self.engine, component.bytes, class).await?;
        self.keep(policy.clone());
        Ok(policy)
    }

    /// The digest that a reference means now.
    pub async fn resolve(&self, reference: &PolicyRef) -> Result<Digest, Error> {
        if let Some(built_in) = self.built_in(&reference.name) {
            built_in.check_version(reference.version.as_deref())?;
            return Ok(built_in.policy.digest());
        }
        Ok(self
            .find(reference.name.as_str(), reference.version.as_deref())
            .await?
            .digest)
    }

    /// Looks up every policy of a document and lets it check its parameters; all problems at their places.
    pub async fn check(
        &self,
        document: &Document,
    ) -> Result<BTreeMap<String, Digest>, Vec<document::Problem>> {
        let mut digests = BTreeMap::new();
        let mut problems = Vec::new();
        for trigger in &document.scheduler.autoscaling.triggers {
            let path = document
                .reference(&trigger.id)
                .map_or("", |reference| reference.path.as_str());
            let resolved = match self.resolve(&trigger.policy).await {
                Ok(digest) => self.load(&trigger.policy, Some(digest)).await,
                Err(error) => Err(error),
            };
            let policy = match resolved {
                Ok(policy) => policy,
                Err(error) => {
                    let words = crate::supervisor::chain(&error);
                    problems.push(document.problem(&format!("{path}.type"), words));
                    continue;
                }
            };
            digests.insert(trigger.id.clone(), policy.digest());
            let parameters = trigger.parameters.clone();
            let checked = blocking(move || policy.validate(&parameters)).await;
            if let Err(refusal) = checked {
                // A built-in's settings stand in the entry itself, as the older system had them.
                let place = match self.built_in(&trigger.policy.name) {
                    Some(_) => path.to_owned(),
                    None => format!("{path}.parameters"),
                };
                problems.push(document.problem(&place, crate::supervisor::chain(&refusal)));
            }
        }
        match problems.is_empty() {
            true => Ok(digests),
            false => Err(problems),
        }
    }

    /// Whether this policy ships with Maestro.
    pub fn is_built_in(&self, name: &PolicyName) -> bool {
        self.built_in(name).is_some()
    }

    fn built_in(&self, name: &PolicyName) -> Option<&BuiltIn> {
        self.built_in.iter().find(|built_in| built_in.name == *name)
    }

    /// The newest deployed policy of this name, and of this version or the newest beginning with it.
    async fn find(&self, name: &str, version: Option<&str>) -> Result<Deployed, Error> {
        let mut all = self.store.policies().await?;
        let shipped = self.built_in.iter().map(|built_in| built_in.name.as_str());
        if !all.iter().any(|policy| policy.name.as_str() == name) {
            let near = nearest(name, all.iter().map(|policy| policy.name.as_str()).chain(shipped));
            let hint = near.map(|near| format!("; did you mean `{near}`?"));
            let hint =
                hint.unwrap_or_else(|| "; deploy it first: maestro-cli deploy-policy FILE.wasm".to_owned());
            return Err(Error::UnknownName(format!(
                "there is no policy {}{hint}",
                quoted(name)
            )));
        }
        all.retain(|policy| policy.name.as_str() == name);
        all.sort_by(|a, b| version::compare(&a.version, &b.version));
        let known: Vec<String> = all.iter().map(|policy| policy.version.clone()).collect();
        let matching =
            |policy: &Deployed| version.is_none_or(|wanted| version::is_of(&policy.version, wanted));
        match all.into_iter().rev().find(|policy| matching(policy)) {
            Some(policy) => Ok(policy),
            None => Err(match PolicyName::parse(name) {
                Ok(name) => Error::UnknownVersion {
                    name,
                    version: version.unwrap_or_default().to_owned(),
                    known,
                },
                Err(reason) => Error::Name {
                    name: quoted(name),
                    reason: reason.to_string(),
                },
            }),
        }
    }

    fn kept(&self, digest: Digest) -> Option<Policy> {
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&digest)
            .cloned()
    }

    fn keep(&self, policy: Policy) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.len() >= LOADED {
            loaded.clear();
        }
        loaded.insert(policy.digest(), policy);
    }

    /// Lets go of policies that were removed.
    fn forget(&self, removed: &[Deployed]) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|digest, _| !removed.iter().any(|policy| policy.digest == *digest));
    }
}

impl BuiltIn {
    /// There is only the version of this release.
    fn check_version(&self, wanted: Option<&str>) -> Result<(), Error> {
        let version = &self.policy.manifest().version;
        match wanted.filter(|wanted| !version::is_of(version, wanted)) {
            None => Ok(()),
            Some(wanted) => Err(Error::UnknownVersion {
                name: self.name.clone(),
                version: wanted.to_owned(),
                known: vec![version.clone()],
            }),
        }
    }
}

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes: Vec<_> = self
            .built_in
            .iter()
            .map(|shipped| (&shipped.name, shipped.component.len()))
            .collect();
        f.debug_struct("Catalog")
            .field("built_in", &sizes)
            .finish_non_exhaustive()
    }
}

async fn load(engine: &Arc<Engine>, component: Vec<u8>, class: Class) -> Result<Policy, Error> {
    let engine = Arc::clone(engine);
    blocking(move || engine.load(&component, class))
        .await
        .map_err(Error::Load)
}
