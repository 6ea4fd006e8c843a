//! The tables of Maestro, on SQLite and on PostgreSQL.
//!
//! Each migration is two lists of statements, made by functions without side effects and then executed, so that a
//! test can render them for a database that is not there. No raw SQL, and no type that only one of the two has:
//! times are 64-bit milliseconds, JSON is text, encoded records are bytes. A migration that has been released is
//! never edited; a change is a new one at the end of [`Migrator::migrations`]. Called by the store when it opens.

mod m0001_tables;
mod m0002_events;
mod m0003_pause_and_ends;
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
        ]
    }
}
