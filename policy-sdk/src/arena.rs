//! Memory of a policy: an arena that is part of its first pages and is only ever filled.
//!
//! An instance lives for one evaluation, so nothing needs to be given back; and memory that is there from the
//! start spares the host a system call for each `memory.grow`, which is what otherwise keeps two evaluations
//! from running at the same time. What doesn't fit is taken from `memory.grow` all the same.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Three times the largest window of today's host (1,240 samples and four series), and with a stack of 64 KiB
/// still within the 512 KiB that the host keeps resident.
const ARENA: usize = 384 * 1024;

const PAGE: usize = 64 * 1024;

#[global_allocator]
static BUMP: Bump = Bump(UnsafeCell::new(State {
    memory: [0; ARENA],
    next: 0,
    end: 0,
}));

struct Bump(UnsafeCell<State>);

struct State {
    memory: [u8; ARENA],
    next: usize,
    /// Zero before the first allocation, so that all of this is zeroes and takes no room in the file.
    end: usize,
}

// SAFETY: a policy has one thread; the target has no others.
unsafe impl Sync for Bump {}

impl State {
    /// Where `size` bytes begin from now on; `None` when the host gives no more.
    fn reserve(&mut self, layout: Layout) -> Option<usize> {
        if self.end == 0 {
            self.next = self.memory.as_mut_ptr() as usize;
            self.end = self.next + ARENA;
        }
        let start = self.next.checked_next_multiple_of(layout.align())?;
        if start.checked_add(layout.size())? <= self.end {
            self.next = start + layout.size();
            return Some(start);
        }
        let pages = layout.size().checked_add(layout.align())?.div_ceil(PAGE);
        let before = core::arch::wasm32::memory_grow(0, pages);
        if before == usize::MAX {
            return None;
        }
        let from = before * PAGE;
        if from != self.end {
            // What is left of the arena is given up; pages grown later continue those before.
            self.next = from;
        }
        self.end = from + pages * PAGE;
        let start = self.next.checked_next_multiple_of(layout.align())?;
        self.next = start + layout.size();
        Some(start)
    }
}

// SAFETY: each block is a fresh range of the arena or of pages that the host has just added, aligned as asked; a
// block is handed out again only after it was given back and was the last one.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: nothing else holds the state: one thread, and no call from in here leads back here.
        let state = unsafe { &mut *self.0.get() };
        state.reserve(layout).map_or(null_mut(), |start| start as *mut u8)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let state = unsafe { &mut *self.0.get() };
        if block as usize + layout.size() == state.next {
            state.next = block as usize;
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        {
            // SAFETY: as in `alloc`.
            let state = unsafe { &mut *self.0.get() };
            let is_last = block as usize + layout.size() == state.next;
            let end = (block as usize).checked_add(size);
            if let Some(end) = end.filter(|&end| is_last && end <= state.end) {
                state.next = end;
                return block;
            }
        }
        // SAFETY: the caller vouches for `size` and the alignment of `layout`.
        let grown = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !grown.is_null() {
            // SAFETY: both blocks are at least so long, and they don't overlap: the new one is fresh.
            unsafe { core::ptr::copy_nonoverlapping(block, grown, layout.size().min(size)) };
        }
        grown
    }
}
