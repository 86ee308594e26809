//! In which epoch an order was entered: what makes its key one that a venue outside sees only once.
//!
//! Order numbers may come again: in mode `os` the loss of the machine takes records of orders that a venue has. No epoch
//! does, its record is synced before anybody hears of it. So epoch and key together name an order for good.

use crate::{Core, OrderNo, VenueKey};
use serde::{Deserialize, Serialize};

/// The first order number of each epoch in which an order was entered, ascending.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Epochs {
    begun: Vec<Begun>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Begun {
    first: OrderNo,
    epoch: u64,
}

impl Epochs {
    /// Orders from `next` on are entered in this epoch; none before `oldest` is remembered.
    pub(crate) fn begin(&mut self, epoch: u64, next: OrderNo, oldest: OrderNo) {
        // One without orders has no numbers of its own.
        self.begun.retain(|begun| begun.first < next);
        self.begun.push(Begun { first: next, epoch });
        let unneeded = self.begun.partition_point(|begun| begun.first <= oldest).saturating_sub(1);
        self.begun.drain(..unneeded);
    }

    fn of(&self, order: OrderNo) -> Option<u64> {
        let behind = self.begun.partition_point(|begun| begun.first <= order);
        Some(self.begun.get(behind.checked_sub(1)?)?.epoch)
    }
}

impl Core {
    /// The epoch in which a remembered order was entered: with its key its name at a venue outside. `None`: there is no
    /// such order, or it was entered before a snapshot that holds no epochs. An order that an engine of before sent without an
    /// epoch has one all the same, where its epoch's record was read again: the venue knows it by its key alone.
    pub fn epoch_of(&self, key: VenueKey) -> Option<u64> {
        self.order(key.order())?;
        self.epochs.of(key.order())
    }

    /// For a snapshot.
    pub fn epochs(&self) -> &Epochs {
        &self.epochs
    }

    /// From a snapshot.
    pub fn restore_epochs(&mut self, epochs: Epochs) {
        self.epochs = epochs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_belongs_to_the_epoch_it_was_entered_in_and_old_epochs_go_with_their_orders() {
        let mut epochs = Epochs::default();
        for (epoch, next) in [(1, 1), (2, 4), (3, 4), (4, 9)] {
            epochs.begin(epoch, OrderNo(next), OrderNo(1));
        }
        let of = |epochs: &Epochs, numbers: [u64; 5]| numbers.map(|number| epochs.of(OrderNo(number)));
        assert_eq!(of(&epochs, [1, 3, 4, 8, 9]), [Some(1), Some(1), Some(3), Some(3), Some(4)]);
        epochs.begin(5, OrderNo(12), OrderNo(8));
        assert_eq!(of(&epochs, [3, 4, 8, 9, 12]), [None, Some(3), Some(3), Some(4), Some(5)]);
    }
}
