//! A NATS responder on the client library that users of Rust take, async-nats.

use crate::{Failure, desk::Desk};
use futures_util::StreamExt as _;
use tokio::runtime::Builder;

/// What to answer.
#[derive(clap::Args)]
pub struct Arguments {
    /// The NATS server, `nats://host:port`.
    #[arg(long)]
    server: String,
    /// Where requests are sent to.
    #[arg(long, default_value = "orders")]
    subject: String,
}

/// Prints a ready line once it is subscribed, and answers until it is killed or the server goes.
///
/// # Errors
/// The server is not there.
pub fn respond(arguments: &Arguments) -> Result<(), Failure> {
    Builder::new_current_thread().enable_all().build()?.block_on(answer_all(arguments))
}

async fn answer_all(arguments: &Arguments) -> Result<(), Failure> {
    let client = async_nats::connect(&arguments.server).await?;
    let mut requests = client.subscribe(arguments.subject.clone()).await?;
    // The server answers a ping in the order of what it was told: the subscription stands.
    client.flush().await?;
    println!("{}", serde_json::json!({"event": "ready", "subject": arguments.subject, "pid": std::process::id()}));
    let (mut desk, mut answer) = (Desk::default(), Vec::new());
    while let Some(request) = requests.next().await {
        let Some(reply_to) = request.reply else { continue };
        desk.answer(&request.payload, &mut answer)?;
        client.publish(reply_to, std::mem::take(&mut answer).into()).await?;
    }
    Ok(())
}
