//! Counts what is allocated, by thread: tests run side by side.
#![allow(dead_code, missing_docs)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations of this thread, and the bytes that they hold.
    static COUNTED: Cell<(u64, i64)> = const { Cell::new((0, 0)) };
}

/// Allocations of this thread so far, and the bytes that they hold.
pub fn counted() -> (u64, i64) {
    COUNTED.get()
}

/// Allocations, and bytes that stayed, for each of `orders`.
pub fn per_order(orders: u64, run: impl FnOnce()) -> (f64, f64) {
    let (allocations, bytes) = counted();
    run();
    let (more, held) = counted();
    ((more - allocations) as f64 / orders as f64, (held - bytes) as f64 / orders as f64)
}

fn count(allocations: u64, bytes: i64) {
    // A thread that ends frees after its counters are gone.
    let _ended = COUNTED.try_with(|counted| {
        let (so_far, held) = counted.get();
        counted.set((so_far + allocations, held + bytes));
    });
}

struct Counting;

// Only counts; every call goes to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
