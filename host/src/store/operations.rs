//! Operations: long work on a scheduler, one row for each, that whoever holds its lease carries out.
//!
//! A request only records what is wanted; the control loop reads the open operations of its scheduler, does the
//! work and writes progress. An operation that has ended never changes again, and progress never goes down.

use std::collections::BTreeMap;
use std::fmt;

use maestro_core::names::{SchedulerName, Version};
use maestro_core::time::Timestamp;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};

use super::entity::operation;
use super::schedulers::{self, ManagedBy};
use super::{Error, Store, Subject, column, events, failed, number, unreadable};

/// Most operations in one answer.
const PAGE: u64 = 100;

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its number; later ones have greater numbers.
    pub id: u64,
    /// The scheduler it works on.
    pub scheduler: SchedulerName,
    /// What is to be done.
    pub input: Input,
    /// How far it has come.
    pub state: State,
    /// In hundredths of a percent, 0–10,000.
    pub progress: u32,
    /// What is being done, or was done, for people.
    pub description: String,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What an operation is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Bring up a new scheduler.
    Create {
        /// Its version.
        version: Version,
    },
    /// Bring rooms to a new version.
    Update {
        /// The version before.
        from: Version,
        /// The version to come.
        to: Version,
    },
    /// Bring the number of rooms to this.
    Scale {
        /// The new `wanted`, already within the scheduler's bounds.
        wanted: u32,
    },
    /// End all rooms, then forget the scheduler.
    Delete {
        /// Whether rooms in a match are ended as well.
        force: bool,
    },
}

/// Which of the four it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Input::Create`].
    Create,
    /// [`Input::Update`].
    Update,
    /// [`Input::Scale`].
    Scale,
    /// [`Input::Delete`].
    Delete,
}

/// How far an operation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has begun.
    Pending,
    /// It is under way.
    Running,
    /// It is done.
    Finished,
    /// It failed.
    Error,
    /// Somebody cancelled it.
    Canceled,
}

/// A step of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// How far it has come.
    pub state: State,
    /// In hundredths of a percent; a smaller number than before leaves it as it is.
    pub progress: u32,
    /// What is being done, or was done, for people.
    pub description: String,
    /// Why it failed.
    pub error: Option<String>,
}

impl Store {
    /// Records that a scheduler shall be brought to this many rooms.
    pub async fn request_scale(
        &self,
        name: &SchedulerName,
        wanted: u32,
        now: Timestamp,
    ) -> Result<Operation, Error> {
        const WHAT: &str = "store a request to scale";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        schedulers::find_live(&transaction, name, None::<&ManagedBy>).await?;
        let operation = insert(&transaction, name, &Input::Scale { wanted }, now).await?;
        let told = serde_json::json!({ "wanted": wanted });
        events::tell(&transaction, name, ("scaleRequested", told), now).await?;
        transaction.commit().await.map_err(failed(WHAT))?;
        Ok(operation)
    }

    /// What is to be done for a scheduler, oldest first.
    pub async fn open_operations(&self, name: &SchedulerName) -> Result<Vec<Operation>, Error> {
        let rows = open()
            .filter(operation::Column::Scheduler.eq(name.as_str()))
            .order_by_asc(operation::Column::Id);
        let rows = rows
            .all(&self.reader)
            .await
            .map_err(failed("list open operations"))?;
        rows.into_iter().map(parse).collect()
    }

    /// What is to be done for each scheduler that anything is to be done for, oldest first; or what can't be read of it.
    pub async fn all_open_operations(
        &self,
    ) -> Result<BTreeMap<SchedulerName, Result<Vec<Operation>, Error>>, Error> {
        let rows = open().order_by_asc(operation::Column::Id).all(&self.reader).await;
        let mut all = BTreeMap::new();
        for row in rows.map_err(failed("list all open operations"))? {
            let name = schedulers::parse_name(&row.scheduler)?;
            let of_scheduler = all.entry(name).or_insert_with(|| Ok(Vec::new()));
            match (&mut *of_scheduler, parse(row)) {
                (Ok(operations), Ok(operation)) => operations.push(operation),
                (Ok(_), Err(error)) => *of_scheduler = Err(error),
                (Err(_), _) => {}
            }
        }
        Ok(all)
    }

    /// A scheduler's operations, newest first, before `cursor` when one is given.
    pub async fn operations(
        &self,
        name: &SchedulerName,
        cursor: Option<u64>,
        limit: u64,
    ) -> Result<Vec<Operation>, Error> {
        let rows = operation::Entity::find()
            .filter(operation::Column::Scheduler.eq(name.as_str()))
            .filter(operation::Column::Id.lt(cursor.map_or(i64::MAX, column)))
            .order_by_desc(operation::Column::Id)
            .limit(limit.min(PAGE));
        let rows = rows.all(&self.reader).await.map_err(failed("list operations"))?;
        rows.into_iter().map(parse).collect()
    }

    /// One operation.
    pub async fn operation(&self, id: u64) -> Result<Option<Operation>, Error> {
        let row = operation::Entity::find_by_id(column(id)).one(&self.reader).await;
        let row = row.map_err(failed("read an operation"))?;
        row.map(parse).transpose()
    }

    /// Writes how far an operation has come; [`Error::OperationOver`] when it has ended already.
    pub async fn advance(&self, id: u64, step: &Step, now: Timestamp) -> Result<(), Error> {
        const WHAT: &str = "write an operation's progress";
        let transaction = self.begin(Subject::Definitions, WHAT).await?;
        let row = operation::Entity::find_by_id(column(id)).one(&transaction).await;
        let row = row.map_err(failed(WHAT))?.ok_or(Error::OperationOver(id))?;
        if is_final(parse_state(&row.state)?) {
            return Err(Error::OperationOver(id));
        }
        let progress = match step.state {
            State::Finished => 10_000,
            State::Pending | State::Running | State::Error | State::Canceled => step.progress.min(10_000),
        };
        let row = operation::ActiveModel {
            id: Set(row.id),
            state: Set(render_state(step.state).to_owned()),
            progress: Set(row.progress.max(column(progress))),
            description: Set(step.description.clone()),
            error: Set(step.error.clone()),
            updated_at: Set(now.ms()),
            ..Default::default()
        };
        let updated = operation::Entity::update(row).exec(&transaction).await;
        updated.map_err(failed(WHAT))?;
        transaction.commit().await.map_err(failed(WHAT))
    }
}

impl Input {
    /// Which of the four it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Create { .. } => Kind::Create,
            Self::Update { .. } => Kind::Update,
            Self::Scale { .. } => Kind::Scale,
            Self::Delete { .. } => Kind::Delete,
        }
    }
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Scale => "scale",
            Self::Delete => "delete",
        }
    }
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        render_state(self)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(render_state(*self))
    }
}

/// An input as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Row {
    Create { version: String },
    Update { from: String, to: String },
    Scale { wanted: u32 },
    Delete { force: bool },
}

fn render_input(input: &Input) -> Row {
    match input {
        Input::Create { version } => Row::Create {
            version: version.to_string(),
        },
        Input::Update { from, to } => Row::Update {
            from: from.to_string(),
            to: to.to_string(),
        },
        Input::Scale { wanted } => Row::Scale { wanted: *wanted },
        Input::Delete { force } => Row::Delete { force: *force },
    }
}

fn parse_input(text: &str) -> Result<Input, Error> {
    let row: Row = serde_json::from_str(text).map_err(|reason| unreadable("an operation", reason))?;
    let version =
        |text: &str| Version::parse(text).map_err(|reason| unreadable("an operation's version", reason));
    Ok(match row {
        Row::Create { version: text } => Input::Create {
            version: version(&text)?,
        },
        Row::Update { from, to } => Input::Update {
            from: version(&from)?,
            to: version(&to)?,
        },
        Row::Scale { wanted } => Input::Scale { wanted },
        Row::Delete { force } => Input::Delete { force },
    })
}

fn render_state(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Running => "running",
        State::Finished => "finished",
        State::Error => "error",
        State::Canceled => "canceled",
    }
}

fn parse_state(text: &str) -> Result<State, Error> {
    match text {
        "pending" => Ok(State::Pending),
        "running" => Ok(State::Running),
        "finished" => Ok(State::Finished),
        "error" => Ok(State::Error),
        "canceled" => Ok(State::Canceled),
        other => Err(unreadable("an operation's state", other)),
    }
}

fn is_final(state: State) -> bool {
    match state {
        State::Pending | State::Running => false,
        State::Finished | State::Error | State::Canceled => true,
    }
}

fn parse(row: operation::Model) -> Result<Operation, Error> {
    Ok(Operation {
        id: number("an operation's number", row.id)?,
        scheduler: schedulers::parse_name(&row.scheduler)?,
        input: parse_input(&row.input)?,
        state: parse_state(&row.state)?,
        progress: number("an operation's progress", row.progress)?,
        description: row.description,
        error: row.error,
        created_at: Timestamp::from_ms(row.created_at),
        updated_at: Timestamp::from_ms(row.updated_at),
    })
}

fn open() -> sea_orm::Select<operation::Entity> {
    let states = [State::Pending, State::Running].map(render_state);
    operation::Entity::find().filter(operation::Column::State.is_in(states))
}

/// The open operation of a kind, if there is one.
pub(super) async fn find_open(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
    kind: Kind,
) -> Result<Option<Operation>, Error> {
    let row = open()
        .filter(operation::Column::Scheduler.eq(name.as_str()))
        .filter(operation::Column::Kind.eq(kind.as_str()))
        .order_by_desc(operation::Column::Id)
        .one(database)
        .await
        .map_err(failed("look for an open operation"))?;
    row.map(parse).transpose()
}

/// Adds an operation that nobody has begun.
pub(super) async fn insert(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
    input: &Input,
    now: Timestamp,
) -> Result<Operation, Error> {
    const WAITING: &str = "waiting for the control loop";
    let row = operation::ActiveModel {
        scheduler: Set(name.to_string()),
        kind: Set(input.kind().as_str().to_owned()),
        input: Set(serde_json::json!(render_input(input)).to_string()),
        state: Set(render_state(State::Pending).to_owned()),
        progress: Set(0),
        description: Set(WAITING.to_owned()),
        error: Set(None),
        created_at: Set(now.ms()),
        updated_at: Set(now.ms()),
        ..Default::default()
    };
    let inserted = operation::Entity::insert(row).exec(database).await;
    let id = inserted.map_err(failed("store an operation"))?.last_insert_id;
    Ok(Operation {
        id: number("an operation's number", id)?,
        scheduler: name.clone(),
        input: input.clone(),
        state: State::Pending,
        progress: 0,
        description: WAITING.to_owned(),
        error: None,
        created_at: now,
        updated_at: now,
    })
}

/// Ends what is open of a scheduler that is gone: its deletion is done, everything else is pointless.
pub(super) async fn close_all(
    database: &impl ConnectionTrait,
    name: &SchedulerName,
    now: Timestamp,
) -> Result<(), Error> {
    const DELETE: &str = "delete";
    let ends = [
        (
            operation::Column::Kind.eq(DELETE),
            State::Finished,
            "every room is gone",
        ),
        (
            operation::Column::Kind.ne(DELETE),
            State::Canceled,
            "the scheduler was deleted",
        ),
    ];
    for (which, state, description) in ends {
        operation::Entity::update_many()
            .col_expr(operation::Column::State, Expr::value(render_state(state)))
            .col_expr(operation::Column::Description, Expr::value(description))
            .col_expr(operation::Column::UpdatedAt, Expr::value(now.ms()))
            .filter(operation::Column::Scheduler.eq(name.as_str()))
            .filter(operation::Column::State.is_in([State::Pending, State::Running].map(render_state)))
            .filter(which)
            .exec(database)
            .await
            .map_err(failed("end a deleted scheduler's operations"))?;
    }
    let finished = operation::Entity::update_many()
        .col_expr(operation::Column::Progress, Expr::value(10_000))
        .filter(operation::Column::Scheduler.eq(name.as_str()))
        .filter(operation::Column::State.eq(render_state(State::Finished)))
        .exec(database)
        .await;
    finished
        .map(|_| ())
        .map_err(failed("end a deleted scheduler's operations"))
}
