//! What a simulated match costs: processor time and memory, so that their triggers can be tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The time over which a share of a core is kept: short against any measurement, long against a switch of threads.
const SLICE: Duration = Duration::from_millis(20);

/// More cores than this are a typing error.
const MOST_CORES: f64 = 64.0;

/// What a match costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Weight {
    /// Cores kept busy.
    pub(super) cores: f64,
    /// Bytes held and touched.
    pub(super) bytes: usize,
}

/// The cost of one match while it lasts.
pub(super) struct Load {
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    _memory: Vec<u8>,
}

impl Load {
    /// Begins to cost `weight`.
    pub(super) fn begin(weight: Weight) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let mut left = weight.cores;
        while left > 0.0 {
            let (share, is_over) = (left.min(1.0), is_over.clone());
            let burner = thread::Builder::new()
                .name("burn".to_owned())
                .spawn(move || burn(share, &is_over));
            // A machine without another thread is loaded enough.
            threads.extend(burner);
            left -= 1.0;
        }
        // Any value but zero: the kernel gives zeroed pages only once they are written to.
        Self {
            is_over,
            threads,
            _memory: vec![0xa5; weight.bytes],
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap_or_default();
        }
    }
}

fn burn(share: f64, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        while begun.elapsed() < SLICE.mul_f64(share) {
            std::hint::spin_loop();
        }
        thread::sleep(SLICE.saturating_sub(begun.elapsed()));
    }
}

/// Reads a number of cores.
pub(super) fn cores(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|cores| (0.0..=MOST_CORES).contains(cores))
        .ok_or_else(|| format!("expected a number of cores from 0 to {MOST_CORES}, as in 0.8"))
}

/// Reads an amount of memory: bytes, or with one of the units KiB, MiB, GiB (also Ki, Mi, Gi).
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit.trim_end_matches('B') {
        "" => 0,
        "Ki" => 10,
        "Mi" => 20,
        "Gi" => 30,
        _ => return Err(format!("{unit:?} is no unit of memory; expected KiB, MiB or GiB")),
    };
    let number: usize = number
        .trim()
        .parse()
        .map_err(|_| "expected an amount of memory, as in 64MiB".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("{text} is more than a machine can have"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        assert_eq!(
            [bytes("0"), bytes("2KiB"), bytes("64Mi")],
            [Ok(0), Ok(2_048), Ok(64 << 20)]
        );
        assert_eq!(
            [cores("0"), cores("0.8"), cores("2")],
            [Ok(0.0), Ok(0.8), Ok(2.0)]
        );
        for text in ["", "MiB", "-1", "64MB2", "64Mo", "99999999999999999999GiB"] {
            assert!(bytes(text).is_err(), "{text:?} was taken");
        }
        for text in ["", "-1", "nan", "65"] {
            assert!(cores(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_load_ends_with_its_match() {
        let load = Load::begin(Weight {
            cores: 1.5,
            bytes: 1 << 20,
        });
        assert_eq!((load.threads.len(), load._memory.len()), (2, 1 << 20));
        let is_over = load.is_over.clone();
        drop(load);
        assert!(is_over.load(Ordering::Relaxed), "and its threads were waited for");
        assert_eq!(Load::begin(Weight::default()).threads.len(), 0);
    }
}
