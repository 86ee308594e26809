//! From the bytes of an order on a socket to those of its reply, nothing is allocated but what stays (invariant 8).

use super::*;
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, and how often this thread has asked it for memory.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count() {
    // A thread that is ending has nothing to count any more.
    let _ = ALLOCATED.try_with(|allocated| allocated.set(allocated.get() + 1));
}

#[allow(unsafe_code)] // handed on as it came: what is safe with the system's allocator is safe with this one
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Orders one at a time; how often the reactor asked for memory during each, whatever the client did.
fn of_each_order(durability: &str, spin: Duration, orders: u64) -> Vec<usize> {
    let mut rig = Rig::new(durability, spin);
    let mut client = rig.client();
    rig.publish_quote(&mut client);
    let mut counts = Vec::with_capacity(usize::try_from(orders).unwrap());
    for number in 10..10 + orders {
        client.send_order(number);
        let mut spent = 0;
        while !client.hears() {
            let before = ALLOCATED.get();
            rig.reactor.turn().unwrap();
            spent += ALLOCATED.get() - before;
        }
        counts.push(spent);
        let envelope = client.message();
        let reply = envelope.body_as_execute_reply().unwrap().reply().unwrap();
        assert_eq!((envelope.correlation(), reply.status()), (number, schema::ExecutionStatus::FILLED));
    }
    counts
}

#[test]
fn an_order_allocates_nothing_but_what_stays_of_it() {
    for (durability, spin_us, orders) in [("os", 0, 6_000), ("os", 10_000, 6_000), ("always", 200, 3_000)] {
        let counts = of_each_order(durability, Duration::from_micros(spin_us), orders);
        let warm = &counts[1_000..];
        // What stays is one text, the id, which is longer than what a `Text` holds in itself; and orders lie in chunks
        // of 64. The rest doubles now and then, whatever the number of orders: the segment's successor, the history,
        // and each of the 64 small tables of ids, three times on the way from 1,000 to 6,000.
        let few = warm.len() / 64 + 64 * 3 + 40;
        let grown = warm.iter().filter(|count| **count > 1).count();
        let total: usize = warm.iter().sum();
        assert!(warm.contains(&1), "{durability}: nothing is counted");
        assert!(grown <= few && total <= warm.len() + few, "{durability}: {total} in {} orders", warm.len());
    }
}
