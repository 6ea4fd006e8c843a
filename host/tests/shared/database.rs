//! A database of a test's own on the testbed's server.

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// A database of a test's own; without tables at first.
pub(crate) struct Database {
    admin: PgPool,
    name: String,
    /// Its URL.
    pub(crate) place: String,
}

impl Database {
    pub(crate) async fn new() -> Self {
        let server = std::env::var("MAESTRO_TESTBED_POSTGRES").unwrap();
        let name = format!("test_{:016x}", rand::random::<u64>());
        let admin = PgPoolOptions::new().connect(&server).await.unwrap();
        let place = server.replace("/postgres?", &format!("/{name}?"));
        let this = Self { admin, name, place };
        this.run(&format!("CREATE DATABASE {}", this.name)).await;
        this
    }

    /// Drops it, whoever is connected.
    pub(crate) async fn remove(self) {
        self.run(&format!("DROP DATABASE {} WITH (FORCE)", self.name))
            .await;
    }

    async fn run(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        self.admin.execute(statement).await.unwrap();
    }
}
