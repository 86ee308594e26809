//! Stand-ins for what core and journal are about to offer under these names. Goes away with them.
#![allow(missing_docs)]
use bridge_core::OrderUpdate;
use std::{marker::PhantomData, sync::Arc};
pub trait Disk: Send + Sync + 'static {}
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    Always,
    Os,
}
pub struct SyncJob<D>(PhantomData<D>);
impl<D> SyncJob<D> {
    pub fn run(self) -> SyncResult {
        SyncResult
    }
}
#[derive(Debug)]
pub struct SyncResult;
#[derive(Clone, PartialEq, Debug)]
pub enum Replay {
    Updates(Vec<Arc<OrderUpdate>>),
    Gap {
        first: u64,
        last: u64,
        snapshot: Vec<OrderUpdate>,
    },
    Regressed,
}
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct VenueKey(pub u64);
#[derive(Clone, PartialEq, Debug)]
pub struct VenueCommand;
#[derive(Clone, PartialEq, Debug)]
pub struct VenueReport;
