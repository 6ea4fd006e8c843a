//! What can go wrong with the store.

use maestro_core::names::{Digest, PolicyName, SchedulerName, Version};
use sea_orm::{DbErr, RuntimeErr, SqlxError};
use sqlx::postgres::PgDatabaseError;

use super::schedulers::ManagedBy;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database can't be opened or created.
    #[error("failed to open the store {place}")]
    Open {
        /// Its file, or its server and database.
        place: String,
        /// Why.
        #[source]
        cause: DbErr,
    },
    /// The tables can't be brought up to date.
    #[error("failed to bring the store's tables up to date")]
    Migrate {
        /// Why.
        #[source]
        cause: DbErr,
    },
    /// The tables were changed by another line of releases, which this one can't go on from.
    #[error(
        "the store's tables lack {} and have {} of another release; run the newest release's `maestro migrate`",
        pending.join(", "),
        newer.join(", ")
    )]
    Diverged {
        /// Migrations that are still to be applied.
        pending: Vec<String>,
        /// Migrations that this release does not know.
        newer: Vec<String>,
    },
    /// A statement failed or was not answered in time; a change may have happened.
    #[error("failed to {what}")]
    Statement {
        /// What was to be done.
        what: &'static str,
        /// Why.
        #[source]
        cause: DbErr,
    },
    /// What is to take over a whole store holds something already.
    #[error("there are {table} in it already; nothing was copied, a store is copied into an empty one")]
    Occupied {
        /// Where.
        table: &'static str,
    },
    /// A row holds what this release can't read.
    #[error("the store holds {what} that can't be read: {reason}")]
    Unreadable {
        /// What it is.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// There is such a scheduler already.
    #[error("scheduler {0} already exists")]
    SchedulerExists(SchedulerName),
    /// There is no such scheduler.
    #[error("scheduler {0} does not exist")]
    UnknownScheduler(SchedulerName),
    /// The scheduler is being deleted.
    #[error("scheduler {0} is being deleted")]
    Deleting(SchedulerName),
    /// The scheduler is managed from elsewhere.
    #[error("scheduler {scheduler} is managed by {managed_by}{}", elsewhere(managed_by))]
    ManagedElsewhere {
        /// The scheduler.
        scheduler: SchedulerName,
        /// From where.
        managed_by: ManagedBy,
    },
    /// Somebody else stored another version meanwhile.
    #[error("scheduler {scheduler} is at {version} by now")]
    Moved {
        /// The scheduler.
        scheduler: SchedulerName,
        /// Its version.
        version: Version,
    },
    /// The policy is deployed under this version with other bytes.
    #[error("policy {name}@{version} is deployed already, with other contents ({})", digest.short())]
    PolicyExists {
        /// Its name.
        name: PolicyName,
        /// Its version.
        version: String,
        /// The digest of what is deployed.
        digest: Digest,
    },
    /// A scheduler's active version asks the policy.
    #[error("policy {name}@{version} is used by {}", listed(schedulers))]
    PolicyInUse {
        /// Its name.
        name: PolicyName,
        /// Its version.
        version: String,
        /// By whom, by name.
        schedulers: Vec<SchedulerName>,
    },
    /// The policy that a document was checked with was removed before the document was stored.
    #[error("a policy of the document was removed meanwhile ({})", .0.short())]
    PolicyGone(Digest),
    /// There is no such operation, or it has ended.
    #[error("operation {0} does not exist or has ended")]
    OperationOver(u64),
}

impl Error {
    /// What a call ends with that was given up.
    #[cfg(test)]
    pub(crate) fn late(what: &'static str) -> Self {
        let cause = super::connections::late(super::postgres::LIMIT);
        Self::Statement { what, cause }
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Open { cause, .. } | Self::Migrate { cause } | Self::Statement { cause, .. } => {
                is_passing(cause)
            }
            Self::Diverged { .. }
            | Self::Occupied { .. }
            | Self::Unreadable { .. }
            | Self::SchedulerExists(_)
            | Self::UnknownScheduler(_)
            | Self::Deleting(_)
            | Self::ManagedElsewhere { .. }
            | Self::Moved { .. }
            | Self::PolicyExists { .. }
            | Self::PolicyInUse { .. }
            | Self::PolicyGone(_)
            | Self::OperationOver(_) => false,
        }
    }

    /// Whether the database itself failed, rather than refused.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Migrate { .. } | Self::Statement { .. } => true,
            Self::Diverged { .. }
            | Self::Occupied { .. }
            | Self::Unreadable { .. }
            | Self::SchedulerExists(_)
            | Self::UnknownScheduler(_)
            | Self::Deleting(_)
            | Self::ManagedElsewhere { .. }
            | Self::Moved { .. }
            | Self::PolicyExists { .. }
            | Self::PolicyInUse { .. }
            | Self::PolicyGone(_)
            | Self::OperationOver(_) => false,
        }
    }
}

/// What to do instead.
fn elsewhere(managed_by: &ManagedBy) -> &'static str {
    match managed_by {
        ManagedBy::File(_) => {
            "; change and save that, or run a document of your own (`maestro dev init` writes one)"
        }
        ManagedBy::Api => "",
    }
}

/// `scheduler a`, or `schedulers a, b and 3 more`.
fn listed(schedulers: &[SchedulerName]) -> String {
    const SHOWN: usize = 20;
    let names: Vec<&str> = schedulers.iter().take(SHOWN).map(SchedulerName::as_str).collect();
    let more = match schedulers.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if schedulers.len() == 1 {
        "scheduler"
    } else {
        "schedulers"
    };
    format!("{noun} {}{more}", names.join(", "))
}

/// Whether a database's failure may pass by itself: no connection, a lock, an I/O error, a full disk.
fn is_passing(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(cause) | DbErr::Exec(cause) | DbErr::Query(cause) => match cause {
            RuntimeErr::SqlxError(cause) => is_passing_sqlx(cause),
            _ => false,
        },
        _ => false,
    }
}

fn is_passing_sqlx(error: &SqlxError) -> bool {
    match error {
        SqlxError::Io(_) | SqlxError::PoolTimedOut | SqlxError::PoolClosed | SqlxError::WorkerCrashed => true,
        SqlxError::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            match cause.try_downcast_ref::<PgDatabaseError>() {
                Some(_) => is_passing_on_postgres(&code),
                None => is_passing_on_sqlite(&code),
            }
        }
        _ => false,
    }
}

/// By the class of a SQLSTATE: connection, rolled back, out of resources, stopped by its operator, system; a lock that
/// was not free; a server that takes no writes, as one does that is no longer the primary.
fn is_passing_on_postgres(code: &str) -> bool {
    const CLASSES: [&str; 5] = ["08", "40", "53", "57", "58"];
    const CODES: [&str; 2] = ["55P03", "25006"];
    CLASSES.iter().any(|class| code.starts_with(class)) || CODES.contains(&code)
}

/// By the low byte of the extended code: busy, locked, I/O error, full, can't open.
fn is_passing_on_sqlite(code: &str) -> bool {
    const PASSING: [u32; 5] = [5, 6, 10, 13, 14];
    code.parse::<u32>()
        .is_ok_and(|code| PASSING.contains(&(code & 0xff)))
}
