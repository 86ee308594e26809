//! What engine and venue say to one another in the simulator: `docs/venue-protocol.md`, in another spelling.
//!
//! Every message names its connection, so that one which comes late, from a connection that is gone, is known as such.

use bridge_core::{VenueCommand, VenueKey, VenueReport};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A connection: of which start of the engine, and which of that. Later ones are greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct LinkId {
    /// Of the engine.
    pub epoch: u64,
    /// From 1 in each epoch.
    pub number: u64,
}

/// From the engine.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToVenue {
    /// First of a connection; reports behind `after` are repeated.
    Hello {
        /// This connection.
        link: LinkId,
        /// The last report that this process has taken.
        after: u64,
    },
    /// Something to do.
    Command {
        /// Its connection.
        link: LinkId,
        /// The client's name for the order; empty where the command is about none.
        order_id: String,
        /// What.
        command: VenueCommand,
    },
    /// What became of this order?
    Ask {
        /// Its connection.
        link: LinkId,
        /// The client's name for the order.
        order_id: String,
        /// Which.
        key: VenueKey,
    },
}

/// From the venue.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToEngine {
    /// Something happened.
    Report {
        /// The connection that it goes by.
        link: LinkId,
        /// From 1, over all connections.
        number: u64,
        /// What.
        report: VenueReport,
    },
    /// To a question; `None`: unknown, and never taken from now on.
    Answer {
        /// The connection that it goes by.
        link: LinkId,
        /// Which order.
        key: VenueKey,
        /// All its reports so far.
        reports: Option<Vec<VenueReport>>,
    },
}

/// Into bytes.
pub fn write(message: &impl Serialize) -> Vec<u8> {
    // Writing into memory cannot fail; were it to, the message would be lost, which a reader would not survive quietly.
    postcard::to_stdvec(message).unwrap_or_default()
}

/// From bytes.
///
/// # Errors
/// It is no such message.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    postcard::from_bytes(bytes).map_err(|error| format!("no message between engine and venue: {error}"))
}
