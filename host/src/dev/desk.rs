//! What the keys of the live table do.

use std::sync::Arc;

use maestro_core::explain;
use maestro_core::names::RoomId;
use maestro_core::room::{Room, Stage, Use};
use rustix::process::{Signal, getpid, kill_process};

use super::matchmaker::{RUSH, Rush};
use crate::api::Api;
use crate::cluster::local::Local;
use crate::store::scale_in::ScaleIn;
use crate::store::schedulers::State;

/// What the table says of the keys.
pub(super) const KEYS: &str = "e explain   m more matches   k kill a room   p pause scale-in   q quit";

/// What keys act on.
pub(super) struct Desk {
    /// Schedulers, rooms and decisions.
    pub api: Api,
    /// Where rooms run.
    pub cluster: Arc<Local>,
    /// The demand that is simulated, if any is.
    pub rush: Option<Rush>,
}

impl Desk {
    /// Does what this key means, and answers what is to be shown above the table.
    pub(super) async fn press(&self, key: char) -> String {
        match key.to_ascii_lowercase() {
            'e' => return self.explain().await,
            'm' => self.rush(),
            'k' => self.kill_any().await,
            'p' => self.pause().await,
            // The same way out as Ctrl-C, so that a second one hurries here too.
            'q' => match kill_process(getpid(), Signal::INT) {
                Ok(()) => {}
                Err(error) => tracing::error!("can't end: {error}; Ctrl-C does"),
            },
            _ => {}
        }
        String::new()
    }

    /// The newest decision of each scheduler, told.
    async fn explain(&self) -> String {
        let mut told = String::new();
        // A store that is away for a moment has nothing to tell.
        for stored in self.api.store.schedulers().await.unwrap_or_default() {
            let decision = self.api.last_decision(&stored.name).await.ok().flatten();
            let text = decision.map_or_else(
                || "Nothing was decided yet.\n".to_owned(),
                |decision| explain::explain(&decision).to_string(),
            );
            told.push_str(&format!("\n{}: {text}", stored.name));
        }
        // Words of policies and programs are among it, and this is a terminal.
        told.retain(|c| c == '\n' || !c.is_control());
        told
    }

    fn rush(&self) {
        match &self.rush {
            Some(rush) => {
                rush.begin();
                tracing::info!("twice as many matches for {} s", RUSH.as_secs());
            }
            None => tracing::info!("no matches are simulated here: rooms of one's own, or --matches none"),
        }
    }

    /// Pauses scaling down; where it is paused everywhere already, takes that back.
    async fn pause(&self) {
        // A store that is away for a moment says so by itself.
        let mut schedulers = self.api.store.schedulers().await.unwrap_or_default();
        schedulers.retain(|stored| stored.state == State::Live);
        let is_paused = schedulers
            .iter()
            .all(|stored| stored.scale_in_paused_at.is_some());
        let (to, told) = match is_paused {
            true => (ScaleIn::Allowed, "policies may take rooms away again"),
            false => (
                ScaleIn::Paused,
                "no policy takes rooms away until p is pressed again",
            ),
        };
        for stored in schedulers {
            let name = stored.name;
            match self.api.switch_scale_in(&name, to).await {
                Ok(_) => tracing::info!(scheduler.name = %name, "{name}: {told}"),
                Err(problem) => tracing::warn!(scheduler.name = %name, "{}", problem.show(name.as_str(), "")),
            }
        }
    }

    async fn kill_any(&self) {
        let Some(room) = self.any_room().await else {
            tracing::info!("no room runs that could be killed");
            return;
        };
        match self.cluster.crash(&room).await {
            Ok(()) => {
                tracing::info!(
                    "{room} was killed (SIGKILL), as a crash would; Maestro has to notice by itself"
                )
            }
            Err(error) => tracing::warn!("{room} could not be killed: {error}"),
        }
    }

    /// One of the rooms that run, by chance: an idle one if there is any.
    async fn any_room(&self) -> Option<RoomId> {
        let mut rooms = Vec::new();
        for stored in self.api.store.schedulers().await.unwrap_or_default() {
            rooms.extend(self.api.registry.rooms(&stored.name).await.unwrap_or_default());
        }
        rooms.retain(|room| room.stage() == Stage::Running);
        let is_idle = |room: &Room| room.usage() == Use::Idle;
        if rooms.iter().any(is_idle) {
            rooms.retain(is_idle);
        }
        let chosen = rand::random_range(0..rooms.len().max(1));
        rooms.into_iter().nth(chosen).map(|room| room.id)
    }
}
