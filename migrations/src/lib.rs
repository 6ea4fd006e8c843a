//! The tables of Maestro, on SQLite and on PostgreSQL.
//!
//! Each migration is two lists of statements, made by functions without side effects and then executed, so that a
//! test can render them for a database that is not there. No raw SQL, and no type that only one of the two has:
//! times are 64-bit milliseconds, JSON is text, encoded records are bytes. A migration that has been released is
//! never edited; a change is a new one at the end of [`Migrator::migrations`]. Called by the store when it opens.

mod m0001_tables;
mod m0002_events;
mod m0003_pause_and_ends;
mod m0004_drained_nodes;
mod schema;

use async_trait::async_trait;
use sea_orm_migration::MigrationTrait;
pub use sea_orm_migration::MigratorTrait;

/// Runs what a database lacks, in order.
pub struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_tables::Migration),
            Box::new(m0002_events::Migration),
            Box::new(m0003_pause_and_ends::Migration),
            Box::new(m0004_drained_nodes::Migration),
        ]
    }
}

#[cfg(test)]
mod tests {
    use sea_orm_migration::SchemaManager;
    use sea_orm_migration::sea_orm::{Database, TransactionTrait};

    use super::*;

    #[tokio::test]
    async fn a_migration_that_is_cut_off_leaves_nothing_and_can_be_run_again() {
        for cut in 1..=Migrator::migrations().len() {
            let database = Database::connect("sqlite::memory:").await.unwrap();
            let before = u32::try_from(cut - 1).unwrap();
            Migrator::up(&database, Some(before)).await.unwrap();
            let migration = &Migrator::migrations()[cut - 1];
            assert_eq!(migration.use_transaction(), Some(true), "{}", migration.name());
            // What the migrator does, but for the end of it.
            let transaction = database.begin().await.unwrap();
            migration.up(&SchemaManager::new(&transaction)).await.unwrap();
            transaction.rollback().await.unwrap();
            Migrator::up(&database, None).await.unwrap();
        }
    }
}
