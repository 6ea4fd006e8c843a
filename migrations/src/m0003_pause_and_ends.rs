//! Since when scaling down is paused by hand, in the table of schedulers, null while it is not; and an index by which the
//! event of a room's end is found among all events of its scheduler.

use sea_orm_migration::prelude::*;

use crate::schema::{ALL_OR_NOTHING, index};

/// Adds the column and the index.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0003_pause_and_ends"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        ALL_OR_NOTHING
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(added()).await?;
        manager.create_index(of_rooms()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let of_rooms = Index::drop()
            .name("events_room")
            .table(Alias::new("events"))
            .to_owned();
        manager.drop_index(of_rooms).await?;
        manager.alter_table(dropped()).await
    }
}

fn column() -> Alias {
    Alias::new("scale_in_paused_at")
}

fn added() -> TableAlterStatement {
    Table::alter()
        .table(Alias::new("schedulers"))
        .add_column(ColumnDef::new(column()).big_integer())
        .to_owned()
}

fn dropped() -> TableAlterStatement {
    Table::alter()
        .table(Alias::new("schedulers"))
        .drop_column(column())
        .to_owned()
}

fn of_rooms() -> IndexCreateStatement {
    index("events_room", "events", &["scheduler", "room", "id"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render<B: SchemaBuilder>(builder: fn() -> B) -> String {
        let columns = [added(), dropped()].map(|statement| statement.build(builder()));
        format!("{};\n{};\n", columns.join(";\n"), of_rooms().build(builder()))
    }

    #[test]
    fn postgres_takes_these_statements() {
        insta::assert_snapshot!(render(|| PostgresQueryBuilder));
    }

    #[test]
    fn sqlite_takes_these_statements() {
        insta::assert_snapshot!(render(|| SqliteQueryBuilder));
    }
}
