//! Deployed policies: their bytes, kept until they are removed, which no scheduler's active version may stand against.

use maestro_core::names::{Digest, PolicyName};
use maestro_core::time::Timestamp;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Select, SelectModel, Selector,
};

use super::entity::policy;
use super::{Error, Store, Subject, column, failed, number, unreadable, versions};

/// A deployed policy, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its name.
    pub name: PolicyName,
    /// Its version.
    pub version: String,
    /// The sha256 of its component.
    pub digest: Digest,
    /// The word for its class, as the engine spells it.
    pub class: String,
    /// JSON text of what it says of itself.
    pub manifest: String,
    /// When it was deployed.
    pub deployed_at: Timestamp,
    /// Size of its component in bytes.
    pub size: u64,
}

/// What is run of a deployed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// The word for its class, as the engine spells it.
    pub class: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Store {
    /// Stores a policy, and gives it back as it is stored. The same bytes again change nothing, so that the first
    /// deployment's time comes back; other bytes under the same name and version are [`Error::PolicyExists`].
    pub async fn deploy_policy(&self, policy: &Deployed, component: &[u8]) -> Result<Deployed, Error> {
        const WHAT: &str = "store a policy";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let key = (policy.name.to_string(), policy.version.clone());
        let present = without_bytes(policy::Entity::find_by_id(key))
            .one(&transaction)
            .await;
        if let Some(row) = present.map_err(failed(WHAT))? {
            let present = parse(row)?;
            return match present.digest == policy.digest {
                true => Ok(present),
                false => Err(Error::PolicyExists {
                    name: present.name,
                    version: present.version,
                    digest: present.digest,
                }),
            };
        }
        let row = policy::ActiveModel {
            name: Set(policy.name.to_string()),
            version: Set(policy.version.clone()),
            digest: Set(policy.digest.to_string()),
            class: Set(policy.class.clone()),
            manifest: Set(policy.manifest.clone()),
            deployed_at: Set(policy.deployed_at.ms()),
            size: Set(column(component.len())),
            component: Set(component.to_vec()),
        };
        let inserted = policy::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await;
        inserted.map_err(failed(WHAT))?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(policy.clone())
    }

    /// Removes policies: all of them, or none while a scheduler that is stored asks one of them.
    pub async fn remove_policies(&self, policies: &[Deployed]) -> Result<(), Error> {
        const WHAT: &str = "remove a policy";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        for policy in policies {
            let schedulers = versions::asking(&transaction, policy.digest).await?;
            if !schedulers.is_empty() {
                return Err(Error::PolicyInUse {
                    name: policy.name.clone(),
                    version: policy.version.clone(),
                    schedulers,
                });
            }
            let key = (policy.name.to_string(), policy.version.clone());
            let deleted = policy::Entity::delete_by_id(key).exec(&transaction).await;
            deleted.map_err(failed(WHAT))?;
        }
        transaction.commit().await.map_err(failed(WHAT))
    }

    /// All deployed policies, by name, oldest deployment first.
    pub async fn policies(&self) -> Result<Vec<Deployed>, Error> {
        let rows = policy::Entity::find()
            .order_by_asc(policy::Column::Name)
            .order_by_asc(policy::Column::DeployedAt)
            .order_by_asc(policy::Column::Version);
        let rows = without_bytes(rows).all(&self.reader).await;
        let rows = rows.map_err(failed("list the policies"))?;
        rows.into_iter().map(parse).collect()
    }

    /// What is run of the policy with this digest.
    pub async fn policy_component(&self, digest: Digest) -> Result<Option<Component>, Error> {
        let row = policy::Entity::find()
            .select_only()
            .column(policy::Column::Class)
            .column(policy::Column::Component)
            .filter(policy::Column::Digest.eq(digest.to_string()))
            .into_tuple::<(String, Vec<u8>)>()
            .one(&self.reader)
            .await
            .map_err(failed("read a policy"))?;
        Ok(row.map(|(class, bytes)| Component { class, bytes }))
    }
}

/// Refuses a digest that is not deployed, in the transaction that stores a version with it.
pub(super) async fn check_deployed(database: &impl ConnectionTrait, digests: &[Digest]) -> Result<(), Error> {
    for digest in digests {
        let found = policy::Entity::find()
            .filter(policy::Column::Digest.eq(digest.to_string()))
            .count(database)
            .await
            .map_err(failed("look for a policy"))?;
        if found == 0 {
            return Err(Error::PolicyGone(*digest));
        }
    }
    Ok(())
}

/// A row without the bytes, so that a list never reads them.
#[derive(FromQueryResult)]
struct Row {
    name: String,
    version: String,
    digest: String,
    class: String,
    manifest: String,
    deployed_at: i64,
    size: i64,
}

fn without_bytes(rows: Select<policy::Entity>) -> Selector<SelectModel<Row>> {
    rows.select_only()
        .columns([
            policy::Column::Name,
            policy::Column::Version,
            policy::Column::Digest,
            policy::Column::Class,
            policy::Column::Manifest,
            policy::Column::DeployedAt,
            policy::Column::Size,
        ])
        .into_model::<Row>()
}

fn parse(row: Row) -> Result<Deployed, Error> {
    Ok(Deployed {
        name: PolicyName::parse(&row.name).map_err(|reason| unreadable("a policy's name", reason))?,
        version: row.version,
        digest: Digest::parse(&row.digest).map_err(|reason| unreadable("a policy's digest", reason))?,
        class: row.class,
        manifest: row.manifest,
        deployed_at: Timestamp::from_ms(row.deployed_at),
        size: number("a policy's size", row.size)?,
    })
}
