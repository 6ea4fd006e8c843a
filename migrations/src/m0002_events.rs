//! Events: what rooms, players and people did.
//!
//! As in the other tables that grow, the size stands before what it is the size of, and an index holds it.

use sea_orm_migration::prelude::*;

use crate::schema::{ALL_OR_NOTHING, index, number, serial, table, text};

/// Creates the table of events.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_events"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        ALL_OR_NOTHING
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(events()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::drop().table(Alias::new("events")).to_owned();
        manager.drop_table(drop).await
    }
}

fn events() -> TableCreateStatement {
    table("events")
        .col(serial("id"))
        .col(text("scheduler"))
        .col(ColumnDef::new(Alias::new("room")).text())
        .col(text("kind"))
        .col(text("name"))
        .col(number("at"))
        .col(ColumnDef::new(Alias::new("sent_at")).big_integer())
        .col(number("size"))
        .col(text("metadata"))
        .to_owned()
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("events_scheduler", "events", &["scheduler", "id"]),
        index("events_at", "events", &["at", "size"]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::render;

    #[test]
    fn postgres_takes_these_statements() {
        insta::assert_snapshot!(render(&[events()], &indexes(), || PostgresQueryBuilder));
    }

    #[test]
    fn sqlite_takes_these_statements() {
        insta::assert_snapshot!(render(&[events()], &indexes(), || SqliteQueryBuilder));
    }
}
