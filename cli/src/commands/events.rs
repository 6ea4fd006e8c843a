//! What happened: to schedulers, in their rooms, to their players.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use maestro_wire::http::{EventBody, Events as Page};
use serde_json::Value;

use super::patience::Patience;
use super::rooms::scheduler_of;
use crate::args::{Events, Format, MOST_EVENTS, Since};
use crate::client::{Client, Error, segment};
use crate::output::{self, say};

/// Between two looks while following.
const PERIOD: Duration = Duration::from_millis(500);

/// How many are shown when nobody says how many or since when.
const SHOWN: u32 = 30;

/// Events of one answer at most; it is the API's limit.
const PAGE: usize = 200;

/// Which events, and from where.
struct Source<'a> {
    client: &'a Client,
    /// All schedulers' without one.
    scheduler: Option<&'a str>,
    room: Option<&'a str>,
    /// RFC 3339.
    since: Option<String>,
}

impl<'a> Source<'a> {
    fn of(client: &'a Client, events: &'a Events) -> Result<Self> {
        let room = events.room.as_deref();
        let scheduler = match (events.scheduler.as_deref(), room) {
            (None, Some(room)) => Some(scheduler_of(room)?),
            (scheduler, _) => scheduler,
        };
        Ok(Self {
            client,
            scheduler,
            room,
            since: events.since.as_ref().map(time),
        })
    }

    fn path(&self, limit: usize, cursor: Option<&str>) -> String {
        let begin = match self.scheduler {
            Some(name) => format!("/scheduler/{}/events", segment(name)),
            None => "/events".to_owned(),
        };
        let options = [
            ("room", self.room),
            ("since", self.since.as_deref()),
            ("cursor", cursor),
        ];
        let options = options.iter().filter_map(|(name, value)| {
            let value = (*value)?;
            Some(format!("&{name}={}", segment(value)))
        });
        format!("{begin}?limit={limit}{}", options.collect::<String>())
    }

    /// The newest `most` events, oldest first; only what came after `known` if that is still there.
    fn after(&self, known: Option<&EventBody>, most: usize) -> Result<Vec<EventBody>, Error> {
        let mut found: Vec<EventBody> = Vec::new();
        let mut cursor: Option<String> = None;
        'pages: while found.len() < most {
            let limit = PAGE.min(most - found.len());
            let page: Page = self.client.get(&self.path(limit, cursor.as_deref()))?;
            for event in page.events {
                // Of a Maestro that began with an empty store all is new, whatever an event is called there.
                if known == Some(&event) {
                    break 'pages;
                }
                found.push(event);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }
}

fn time(since: &Since) -> String {
    let time = match since {
        Since::Ago(span) => SystemTime::now().checked_sub(*span).unwrap_or(UNIX_EPOCH),
        Since::Time(time) => *time,
    };
    humantime::format_rfc3339_millis(time.max(UNIX_EPOCH)).to_string()
}

pub(super) fn events(client: &Client, format: Format, events: &Events) -> Result<()> {
    let source = Source::of(client, events)?;
    let most = match (events.last, &events.since) {
        (Some(last), _) => last,
        (None, Some(_)) => MOST_EVENTS,
        (None, None) => SHOWN,
    } as usize;
    if events.follow {
        let found = source.after(None, most)?;
        return follow(&source, format, &found);
    }
    let found = source.after(None, most)?;
    if found.is_empty() && format == Format::Table {
        say("nothing happened that is remembered; with -f what happens from now on is told");
        return Ok(());
    }
    output::show(format, &found, |found| {
        let rows = found.iter().map(|event| {
            vec![
                output::clock(&event.created_at),
                event.name.clone(),
                of(event).to_owned(),
                details(&event.metadata),
            ]
        });
        output::table(&["time", "event", "of", "details"], rows)
    })
}

fn follow(source: &Source<'_>, format: Format, first: &[EventBody]) -> Result<()> {
    let print = |events: &[EventBody]| {
        events
            .iter()
            .try_for_each(|event| output::item(format, event, line))
    };
    print(first)?;
    let mut last = first.last().cloned();
    let mut patience = Patience::default();
    loop {
        thread::sleep(PERIOD);
        match source.after(last.as_ref(), usize::MAX) {
            Ok(fresh) => {
                patience.end();
                print(&fresh)?;
                last = fresh.into_iter().next_back().or(last);
            }
            Err(error) if error.is_passing() => patience.wait(&error),
            Err(error) => match source.scheduler.filter(|_| error.is_unknown()) {
                Some(scheduler) => return farewell(source, scheduler, last.as_ref(), print),
                None => return Err(error.into()),
            },
        }
    }
}

/// Its last events, which only the list of all schedulers still has, and that it is gone.
fn farewell(
    source: &Source<'_>,
    scheduler: &str,
    last: Option<&EventBody>,
    print: impl Fn(&[EventBody]) -> Result<()>,
) -> Result<()> {
    let all = Source {
        scheduler: None,
        since: source.since.clone(),
        room: source.room,
        client: source.client,
    };
    let mut rest = all.after(last, usize::MAX)?;
    rest.retain(|event| event.scheduler_name == scheduler);
    print(&rest)?;
    say(&format!("{scheduler} is gone"));
    Ok(())
}

fn line(event: &EventBody) -> String {
    let line = format!(
        "{}  {:<16}  {}  {}",
        output::clock(&event.created_at),
        event.name,
        of(event),
        details(&event.metadata)
    );
    output::plain(line.trim_end())
}

/// To what it happened; a room's name holds its scheduler's.
fn of(event: &EventBody) -> &str {
    event.room_id.as_deref().unwrap_or(&event.scheduler_name)
}

/// `key=value` for each; a text that is more than a word is quoted.
fn details(metadata: &Value) -> String {
    let value = |value: &Value| match value {
        Value::String(text) if is_word(text) => text.clone(),
        other => other.to_string(),
    };
    match metadata {
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, of)| format!("{key}={}", value(of)));
            pairs.collect::<Vec<_>>().join(" ")
        }
        Value::Null => String::new(),
        other => value(other),
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = EventBody {
            name: "goal".to_owned(),
            scheduler_name: "arena".to_owned(),
            created_at: "2023-11-14T22:13:25.000Z".to_owned(),
            metadata: json!({ "by": "p7", "at": [1, 2], "cry": "so\nclose", "none": "" }),
            room_id: Some("arena-0000000a".to_owned()),
            ..EventBody::default()
        };
        assert_eq!(
            line(&event),
            r#"2023-11-14 22:13:25Z  goal              arena-0000000a  by=p7 at=[1,2] cry="so\nclose" none="""#
        );
        let bare = EventBody {
            metadata: json!({}),
            room_id: None,
            ..event
        };
        assert_eq!(line(&bare), "2023-11-14 22:13:25Z  goal              arena");
    }
}
