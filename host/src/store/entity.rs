//! The rows of each table, as sea-orm sees them.
//!
//! They stay inside the store: everybody else gets typed values. The tables are made by `maestro-migrations`.

#![expect(
    unreachable_pub,
    reason = "sea-orm's derive makes public items that name these types"
)]

pub(super) mod scheduler {
    //! What a scheduler shall be now.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "schedulers")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub game: String,
        pub managed_by: String,
        pub state: String,
        pub version_major: i64,
        pub version_minor: i64,
        pub created_at: i64,
        pub updated_at: i64,
        pub scale_in_paused_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod version {
    //! Every version that a scheduler has had.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "versions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub scheduler: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub major: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub minor: i64,
        pub document: String,
        pub digests: String,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod policy {
    //! Deployed policies.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "policies")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: String,
        pub digest: String,
        pub class: String,
        pub manifest: String,
        pub deployed_at: i64,
        pub size: i64,
        pub component: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod operation {
    //! Long work, one row for each.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "operations")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub scheduler: String,
        pub kind: String,
        pub input: String,
        pub state: String,
        pub progress: i64,
        pub description: String,
        pub error: Option<String>,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod decision {
    //! Decisions, encoded; equal holds in a row are one row.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "journal")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub scheduler: String,
        pub since: i64,
        pub at: i64,
        pub count: i64,
        pub wanted: i64,
        pub hold: Option<String>,
        pub size: i64,
        pub bytes: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod segment {
    //! Recorded samples, encoded.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "samples")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub scheduler: String,
        pub since: i64,
        pub at: i64,
        pub size: i64,
        pub bytes: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod event {
    //! What rooms, players and people did.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "events")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub scheduler: String,
        pub room: Option<String>,
        pub kind: String,
        pub name: String,
        pub at: i64,
        pub sent_at: Option<i64>,
        pub size: i64,
        pub metadata: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod drained_node {
    //! Nodes that people drain.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "drained_nodes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub since: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(super) mod dropped {
    //! What is no longer in the journal, or never came to be in it.
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "dropped")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub what: String,
        pub reason: String,
        pub since: i64,
        pub until: i64,
        pub records: i64,
        pub bytes: i64,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}
