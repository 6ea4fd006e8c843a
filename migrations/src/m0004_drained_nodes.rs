//! Nodes that people drain, and since when.

use sea_orm_migration::prelude::*;

use crate::schema::{ALL_OR_NOTHING, number, table, text};

/// Creates the table.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0004_drained_nodes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        ALL_OR_NOTHING
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(drained()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = Table::drop().table(Alias::new("drained_nodes")).to_owned();
        manager.drop_table(drop).await
    }
}

fn drained() -> TableCreateStatement {
    table("drained_nodes")
        .col(text("name").primary_key())
        .col(number("since"))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::render;

    #[test]
    fn postgres_takes_these_statements() {
        insta::assert_snapshot!(render(&[drained()], &[], || PostgresQueryBuilder));
    }

    #[test]
    fn sqlite_takes_these_statements() {
        insta::assert_snapshot!(render(&[drained()], &[], || SqliteQueryBuilder));
    }
}
