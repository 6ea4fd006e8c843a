//! Connections to the database, and the time within which every call over them ends.
//!
//! A server that froze, or whose network swallows what is sent, answers nothing and closes nothing: without a limit of our
//! own, a call would wait for it as long as its machine is there. Neither sqlx nor the server has a limit that helps: sqlx's is
//! for getting a connection only, and a `statement_timeout` is the frozen server's own to keep. So all that the store asks goes
//! through the types in here, and a call that is given up is as good as a connection that was lost. Migrations and transfers
//! take as long as there is much of them, and say so by [`Connections::unlimited`]. Callers: everything else in the store.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, SqlxError, Statement, TransactionOptions, TransactionTrait,
};
use tokio::time::{Instant, timeout_at};

use super::PATIENCE;
use crate::metrics::{Dependency, Metrics, Outcome};

/// Connections that do the same work; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Connections {
    pool: DatabaseConnection,
    /// The longest that a call may take; `None` where nobody could stay silent.
    limit: Option<Duration>,
}

/// A transaction; all of it, from its beginning to its commit, is one call. It is taken back when it is dropped.
#[derive(Debug)]
pub(super) struct Transaction {
    inner: DatabaseTransaction,
    deadline: Deadline,
}

/// When a call is given up, and how long that is after it began.
#[derive(Clone, Copy, Debug)]
struct Deadline(Option<(Instant, Duration)>);

impl Connections {
    /// To a file: its locks have limits of their own, and there is nobody else to wait for.
    pub(super) fn to_file(pool: DatabaseConnection) -> Self {
        Self { pool, limit: None }
    }

    /// To a server, each call of which may take so long.
    pub(super) fn to_server(pool: DatabaseConnection, limit: Duration) -> Self {
        let limit = Some(limit);
        Self { pool, limit }
    }

    /// Counts their statements under this name; but for those that are given up, which have no outcome.
    pub(super) fn meter(&mut self, metrics: &Arc<Metrics>, name: &'static str) {
        let metrics = Arc::clone(metrics);
        self.pool.set_metric_callback(move |statement| {
            // One that failed may have been refused: whether the database answers is asked by itself.
            let outcome = match statement.failed {
                false => Outcome::Ok,
                true => Outcome::Failed,
            };
            metrics.called(Dependency::Store, name, outcome, statement.elapsed);
        });
    }

    /// The same without a limit, for work that takes as long as there is much of it.
    pub(super) fn unlimited(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// Something that asks [`Self::unlimited`], as one call with its limit.
    pub(super) async fn in_time<T>(&self, call: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        Deadline::after(self.limit).keep(call).await
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, options: TransactionOptions) -> Result<Transaction, DbErr> {
        let deadline = Deadline::after(self.limit);
        let inner = deadline.keep(self.pool.begin_with_options(options)).await?;
        Ok(Transaction { inner, deadline })
    }

    /// Ends them all. What is under way on a server is waited for no longer than a connection is: whoever closes wants to end.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let limit = self.limit.map(|limit| limit.min(PATIENCE));
        Deadline::after(limit).keep(self.pool.close_by_ref()).await
    }
}

impl Transaction {
    /// Makes it so. After an error it may be so, or not.
    pub(super) async fn commit(self) -> Result<(), DbErr> {
        self.deadline.keep(self.inner.commit()).await
    }

    /// Takes it back, and waits until it is.
    #[cfg(test)]
    pub(super) async fn rollback(self) -> Result<(), DbErr> {
        self.deadline.keep(self.inner.rollback()).await
    }
}

impl Deadline {
    fn after(limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| (Instant::now() + limit, limit)))
    }

    /// A call that is given up is dropped wherever it stands; what becomes of its connection, `postgres` sees to.
    async fn keep<T>(self, call: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        match self.0 {
            None => call.await,
            Some((at, limit)) => timeout_at(at, call).await.unwrap_or_else(|_| Err(late(limit))),
        }
    }
}

/// What a call ends with that was given up: the kind of error that a lost connection gives.
pub(super) fn late(limit: Duration) -> DbErr {
    let silence = io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"));
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(SqlxError::Io(silence))))
}

#[async_trait]
impl ConnectionTrait for Connections {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.in_time(self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.in_time(self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.in_time(self.pool.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.in_time(self.pool.query_all_raw(statement)).await
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.deadline.keep(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.deadline.keep(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.deadline.keep(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.deadline.keep(self.inner.query_all_raw(statement)).await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::store::failed;

    #[tokio::test]
    async fn a_call_that_gets_no_answer_is_an_outage_that_may_pass() {
        let deadline = Deadline::after(Some(Duration::ZERO));
        let cause = deadline.keep(pending::<Result<(), DbErr>>()).await.unwrap_err();
        assert!(cause.to_string().contains("no answer within"), "{cause}");
        let error = failed("ask")(cause);
        assert!(error.is_outage() && error.is_retryable(), "{error:?}");
    }
}
