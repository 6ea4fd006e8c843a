//! Hears SIGTERM, Maestro's request to end.

use std::io;
use std::sync::{Arc, Weak};

use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;

use crate::room::Shared;

/// Asks the room to shut down at each SIGTERM, for as long as there is a handle to it.
pub(crate) fn listen(shared: &Arc<Shared>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM])?;
    let shared: Weak<Shared> = Arc::downgrade(shared);
    std::thread::Builder::new()
        .name("maestro-signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                match shared.upgrade() {
                    Some(shared) => shared.request_shutdown(),
                    None => return,
                }
            }
        })?;
    Ok(())
}
