//! The testbed as this test uses it: a database and a part of Redis of its own, and servers that are taken away.

use std::process::Command;

use kube::config::{KubeConfigOptions, Kubeconfig};
use redis::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::runtime::Handle;

/// Where everything is.
pub(crate) struct Bed {
    /// Runs what has to wait for a server.
    pub(crate) runtime: Handle,
    /// A part of all names that no other run has.
    pub(crate) run: String,
    /// This run's database.
    pub(crate) database: String,
    /// The Redis.
    pub(crate) redis: String,
    /// The administrator's way to Kubernetes.
    /// Of the service account that the chart makes, with its rights and no others.
    pub(crate) account: String,
    /// The administrator's.
    pub(crate) client: kube::Client,
    /// The script that takes servers away.
    server: String,
}

fn variable(name: &str) -> String {
    let value = std::env::var(name);
    value.expect("the feature `testbed` needs the servers of deploy/testbed; run deploy/testbed/test")
}

/// Whether outages last as long as in earnest. They are short otherwise, so that this takes minutes.
pub(crate) fn is_full() -> bool {
    std::env::var_os("MAESTRO_TESTBED_FULL").is_some_and(|value| !value.is_empty() && value != "0")
}

impl Bed {
    /// Finds the servers; makes the database.
    pub(crate) fn new(runtime: Handle) -> Self {
        let run = format!("{:06x}", rand::random::<u32>() >> 8);
        let postgres = variable("MAESTRO_TESTBED_POSTGRES");
        let kubeconfig = variable("MAESTRO_TESTBED_KUBECONFIG");
        let name = format!("system_{run}");
        let (server, rest) = postgres.split_once("/postgres?").unwrap();
        let database = format!("{server}/{name}?{rest}");
        let create = async {
            let mut connection = PgConnection::connect(&postgres).await.unwrap();
            let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
            connection.execute(create).await.unwrap();
            connection.close().await.unwrap();
        };
        runtime.block_on(create);
        let client = runtime.block_on(async {
            let read = Kubeconfig::read_from(&kubeconfig).unwrap();
            let options = KubeConfigOptions::default();
            let access = kube::Config::from_custom_kubeconfig(read, &options).await;
            kube::Client::try_from(access.unwrap()).unwrap()
        });
        Self {
            run,
            database,
            redis: variable("MAESTRO_TESTBED_REDIS"),
            account: variable("MAESTRO_TESTBED_MAESTRO_KUBECONFIG"),
            client,
            server: variable("MAESTRO_TESTBED_SERVER"),
            runtime,
        }
    }

    /// Where the names of this run's keys begin.
    pub(crate) fn prefix(&self) -> String {
        format!("system-{}", self.run)
    }

    /// Does something to a server: stop, start, pause, continue.
    pub(crate) fn server(&self, name: &str, action: &str) {
        let done = Command::new(&self.server).args([name, action]).output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{name} {action}: {stderr}");
    }

    /// Asks Redis; fails when it does not answer.
    pub(crate) fn redis(&self, words: &[&str]) -> Value {
        self.try_redis(words).unwrap()
    }

    /// Asks Redis, which may be away.
    pub(crate) fn try_redis(&self, words: &[&str]) -> redis::RedisResult<Value> {
        let mut command = redis::cmd(words[0]);
        for word in &words[1..] {
            command.arg(*word);
        }
        self.runtime.block_on(async {
            let client = redis::Client::open(self.redis.as_str())?;
            let mut connection = client.get_multiplexed_async_connection().await?;
            command.query_async(&mut connection).await
        })
    }

    /// What is left of this run in Redis.
    pub(crate) fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.prefix());
        let answer = self.redis(&["KEYS", &pattern]);
        redis::from_redis_value(answer).unwrap()
    }

    /// Removes what this run made.
    pub(crate) fn clean(&self) {
        let keys = self.keys();
        if !keys.is_empty() {
            let words: Vec<&str> = ["DEL"]
                .into_iter()
                .chain(keys.iter().map(String::as_str))
                .collect();
            self.redis(&words);
        }
        let remove = async {
            let postgres = variable("MAESTRO_TESTBED_POSTGRES");
            let mut connection = PgConnection::connect(&postgres).await.unwrap();
            let drop = AssertSqlSafe(format!("DROP DATABASE system_{} WITH (FORCE)", self.run));
            connection.execute(drop).await.unwrap();
        };
        self.runtime.block_on(remove);
    }
}
