//! The first tables: schedulers and their versions, policies, operations, the journal, recorded samples.
//!
//! In the tables that hold bytes, `bytes` is the last column and its size stands before it, so that adding up sizes
//! never reads the bytes themselves.

use sea_orm_migration::prelude::*;

use crate::schema::{ALL_OR_NOTHING, bytes, index, number, serial, table, text};

/// Creates every table of the first release.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        ALL_OR_NOTHING
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [
            "dropped",
            "samples",
            "journal",
            "operations",
            "policies",
            "versions",
            "schedulers",
        ] {
            manager
                .drop_table(Table::drop().table(Alias::new(name)).to_owned())
                .await?;
        }
        Ok(())
    }
}

/// The tables, in an order that foreign keys allow.
fn tables() -> Vec<TableCreateStatement> {
    vec![
        schedulers(),
        versions(),
        policies(),
        operations(),
        journal(),
        samples(),
        dropped(),
    ]
}

fn schedulers() -> TableCreateStatement {
    table("schedulers")
        .col(text("name").primary_key())
        .col(text("game"))
        .col(text("managed_by"))
        .col(text("state"))
        .col(number("version_major"))
        .col(number("version_minor"))
        .col(number("created_at"))
        .col(number("updated_at"))
        .to_owned()
}

fn versions() -> TableCreateStatement {
    table("versions")
        .col(text("scheduler"))
        .col(number("major"))
        .col(number("minor"))
        .col(text("document"))
        .col(text("digests"))
        .col(number("created_at"))
        .primary_key(
            Index::create()
                .col(Alias::new("scheduler"))
                .col(Alias::new("major"))
                .col(Alias::new("minor")),
        )
        .foreign_key(
            ForeignKey::create()
                .name("versions_scheduler")
                .from(Alias::new("versions"), Alias::new("scheduler"))
                .to(Alias::new("schedulers"), Alias::new("name"))
                .on_delete(ForeignKeyAction::Cascade),
        )
        .to_owned()
}

fn policies() -> TableCreateStatement {
    table("policies")
        .col(text("name"))
        .col(text("version"))
        .col(text("digest"))
        .col(text("class"))
        .col(text("manifest"))
        .col(number("deployed_at"))
        .col(number("size"))
        .col(bytes("component"))
        .primary_key(Index::create().col(Alias::new("name")).col(Alias::new("version")))
        .to_owned()
}

fn operations() -> TableCreateStatement {
    table("operations")
        .col(serial("id"))
        .col(text("scheduler"))
        .col(text("kind"))
        .col(text("input"))
        .col(text("state"))
        .col(number("progress"))
        .col(text("description"))
        .col(ColumnDef::new(Alias::new("error")).text())
        .col(number("created_at"))
        .col(number("updated_at"))
        .to_owned()
}

fn journal() -> TableCreateStatement {
    table("journal")
        .col(serial("id"))
        .col(text("scheduler"))
        .col(number("since"))
        .col(number("at"))
        .col(number("count"))
        .col(number("wanted"))
        .col(ColumnDef::new(Alias::new("hold")).text())
        .col(number("size"))
        .col(bytes("bytes"))
        .to_owned()
}

fn samples() -> TableCreateStatement {
    table("samples")
        .col(serial("id"))
        .col(text("scheduler"))
        .col(number("since"))
        .col(number("at"))
        .col(number("size"))
        .col(bytes("bytes"))
        .to_owned()
}

fn dropped() -> TableCreateStatement {
    table("dropped")
        .col(serial("id"))
        .col(text("what"))
        .col(text("reason"))
        .col(number("since"))
        .col(number("until"))
        .col(number("records"))
        .col(number("bytes"))
        .col(number("at"))
        .to_owned()
}

/// What is looked up by something else than its key. With the sizes in it, an index is all that adding them up reads.
fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("policies_digest", "policies", &["digest"])
            .unique()
            .to_owned(),
        index("operations_scheduler", "operations", &["scheduler", "id"]),
        index("journal_scheduler", "journal", &["scheduler", "id"]),
        index("journal_at", "journal", &["at", "size"]),
        index("samples_scheduler", "samples", &["scheduler", "at"]),
        index("samples_at", "samples", &["at", "size"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::render;

    #[test]
    fn postgres_takes_these_statements() {
        insta::assert_snapshot!(render(&tables(), &indexes(), || PostgresQueryBuilder));
    }

    #[test]
    fn sqlite_takes_these_statements() {
        insta::assert_snapshot!(render(&tables(), &indexes(), || SqliteQueryBuilder));
    }

    #[tokio::test]
    async fn a_database_goes_up_and_down_and_up_again() {
        use crate::{Migrator, MigratorTrait};
        let database = sea_orm_migration::sea_orm::Database::connect("sqlite::memory:")
            .await
            .unwrap();
        Migrator::up(&database, None).await.unwrap();
        Migrator::down(&database, None).await.unwrap();
        Migrator::up(&database, None).await.unwrap();
        let manager = SchemaManager::new(&database);
        assert!(manager.has_table("journal").await.unwrap());
        Migrator::up(&database, None).await.unwrap();
    }
}
