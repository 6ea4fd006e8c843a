//! Words for tables, columns and indexes that every migration uses: only types that both databases have.

use sea_orm_migration::prelude::*;

/// On SQLite too, so that whoever is killed midway leaves all of a migration or nothing, with its mark.
pub(crate) const ALL_OR_NOTHING: Option<bool> = Some(true);

pub(crate) fn table(name: &str) -> TableCreateStatement {
    Table::create().table(Alias::new(name)).to_owned()
}

pub(crate) fn text(name: &str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).text().not_null().to_owned()
}

pub(crate) fn number(name: &str) -> ColumnDef {
    ColumnDef::new(Alias::new(name))
        .big_integer()
        .not_null()
        .to_owned()
}

pub(crate) fn bytes(name: &str) -> ColumnDef {
    ColumnDef::new(Alias::new(name)).blob().not_null().to_owned()
}

pub(crate) fn serial(name: &str) -> ColumnDef {
    number(name).auto_increment().primary_key().to_owned()
}

pub(crate) fn index(name: &str, table: &str, columns: &[&str]) -> IndexCreateStatement {
    let mut statement = Index::create();
    statement.name(name).table(Alias::new(table));
    for column in columns {
        statement.col(Alias::new(*column));
    }
    statement
}

/// The statements as text, for a golden file.
#[cfg(test)]
pub(crate) fn render<B: SchemaBuilder>(
    tables: &[TableCreateStatement],
    indexes: &[IndexCreateStatement],
    builder: fn() -> B,
) -> String {
    let statements = tables
        .iter()
        .map(|table| table.build(builder()))
        .chain(indexes.iter().map(|index| index.build(builder())));
    statements
        .map(|sql| sql.replace(", \"", ",\n  \"") + ";\n")
        .collect()
}
