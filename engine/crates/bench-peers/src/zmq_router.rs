//! A libzmq ROUTER in native code that answers with a canned reply: what libzmq itself costs the same client, with no
//! engine behind it.

use crate::{Failure, canned::Canned, libzmq::Router};
use std::path::PathBuf;

/// What to serve.
#[derive(clap::Args)]
pub struct Arguments {
    /// The shared library, best the very one that pyzmq loads.
    #[arg(long)]
    libzmq: PathBuf,
    /// Where to bind: `tcp://host:port` (`*` takes a free port) or `ipc://path`.
    #[arg(long, default_value = "tcp://127.0.0.1:*")]
    endpoint: String,
}

/// Longest identity of ZMTP.
const IDENTITY_BYTES: usize = 255;
/// Far above an order.
const REQUEST_BYTES: usize = 64 << 10;

/// Prints a ready line and serves until it is killed.
///
/// # Errors
/// There is no libzmq, or it fails.
pub fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let mut router = Router::bind(&arguments.libzmq, &arguments.endpoint)?;
    let endpoint = router.endpoint()?;
    println!("{}", serde_json::json!({"event": "ready", "zmq": endpoint, "pid": std::process::id()}));
    let (mut identity, mut request) = ([0; IDENTITY_BYTES], vec![0; REQUEST_BYTES]);
    let mut canned = Canned::new();
    loop {
        let identity = router.receive(&mut identity)?;
        let request = router.receive(&mut request)?;
        if let Some(answer) = canned.answer(request) {
            router.send(identity, answer)?;
        }
    }
}
