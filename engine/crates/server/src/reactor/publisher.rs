//! Topics of the PUB socket, numbered; and the streams of market data on gRPC.

use super::slab::Key;
use bridge_core::{MarketData, ReasonCode};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use tokio::sync::mpsc;

/// A feed's quote with its number in its topic.
#[derive(Debug)]
pub struct PublishedQuote {
    /// Counts the topic's messages from 1 in each epoch.
    pub topic_sequence: u64,
    /// The quote.
    pub data: MarketData,
}

/// What waits to be published.
#[derive(Clone)]
pub enum Publication {
    /// On `md.<symbol>`.
    Quote(Arc<PublishedQuote>),
    /// On `sys`.
    Notice {
        /// Counts the topic's messages.
        topic_sequence: u64,
        /// Its code.
        code: ReasonCode,
        /// In words.
        message: &'static str,
    },
    /// A topic's periodic mark.
    Mark {
        /// Without the closing NUL.
        topic: String,
        /// Its last number.
        last: u64,
    },
}

/// The topic of notices.
pub const SYSTEM_TOPIC: &str = "sys";

/// Publications that wait for fan-out; beyond, the oldest is lost whole, which the numbers show.
const BACKLOG: usize = 8_192;

/// A stream of market data.
pub struct QuoteStream {
    /// Empty: all.
    pub symbols: Vec<String>,
    /// When full, whole messages are lost.
    pub quotes: mpsc::Sender<Arc<PublishedQuote>>,
}

/// What is published, to whom.
pub struct Publisher {
    /// Last number by topic.
    last: BTreeMap<String, u64>,
    pending: VecDeque<Publication>,
    /// Connections of the PUB socket.
    pub peers: Vec<Key>,
    streams: Vec<QuoteStream>,
}

impl Publisher {
    /// Nothing published, nobody listening.
    pub fn new() -> Self {
        Self { last: BTreeMap::new(), pending: VecDeque::new(), peers: Vec::new(), streams: Vec::new() }
    }

    fn number(&mut self, topic: &str) -> u64 {
        match self.last.get_mut(topic) {
            Some(last) => {
                *last += 1;
                *last
            }
            None => {
                self.last.insert(topic.to_owned(), 1);
                1
            }
        }
    }

    fn push(&mut self, publication: Publication) {
        // Without listeners nothing has to wait; the number was counted.
        if self.peers.is_empty() {
            return;
        }
        if self.pending.len() == BACKLOG {
            self.pending.pop_front();
        }
        self.pending.push_back(publication);
    }

    /// Numbers a quote, hands it to the streams, and queues it for the PUB socket.
    pub fn quote(&mut self, data: MarketData) {
        let topic_sequence = self.number(&topic_of(&data.symbol));
        let quote = Arc::new(PublishedQuote { topic_sequence, data });
        self.streams.retain(|stream| {
            let wanted = stream.symbols.is_empty() || stream.symbols.iter().any(|symbol| *symbol == quote.data.symbol);
            // Full: this subscriber loses this message. Closed: it went.
            !wanted || !matches!(stream.quotes.try_send(quote.clone()), Err(mpsc::error::TrySendError::Closed(_)))
        });
        self.push(Publication::Quote(quote));
    }

    /// Queues a notice.
    pub fn notice(&mut self, code: ReasonCode, message: &'static str) {
        let topic_sequence = self.number(SYSTEM_TOPIC);
        self.push(Publication::Notice { topic_sequence, code, message });
    }

    /// Queues the mark of each topic that has spoken.
    pub fn mark(&mut self) {
        let marks: Vec<_> = self.last.iter().map(|(topic, last)| (topic.clone(), *last)).collect();
        for (topic, last) in marks {
            self.push(Publication::Mark { topic, last });
        }
        self.streams.retain(|stream| !stream.quotes.is_closed());
    }

    /// Adds a stream.
    pub fn add_stream(&mut self, stream: QuoteStream) {
        self.streams.push(stream);
    }

    /// How many streams there are.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Ends all streams.
    pub fn end_streams(&mut self) {
        self.streams.clear();
    }

    /// The next publication for the PUB socket.
    pub fn next(&mut self) -> Option<Publication> {
        self.pending.pop_front()
    }

    /// Whether publications wait.
    pub fn waits(&self) -> bool {
        !self.pending.is_empty()
    }
}

/// The topic of a symbol, without the closing NUL.
pub fn topic_of(symbol: &str) -> String {
    format!("md.{symbol}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(symbol: &str) -> MarketData {
        MarketData {
            symbol: symbol.into(),
            bid: None,
            ask: None,
            bid_size: None,
            ask_size: None,
            last_price: None,
            volume: None,
            timestamp_ns: 0,
        }
    }

    #[test]
    fn a_slow_stream_loses_whole_messages_and_its_numbers_show_it() {
        let mut publisher = Publisher::new();
        let (quotes, mut stream) = mpsc::channel(2);
        publisher.add_stream(QuoteStream { symbols: vec!["A".into()], quotes });
        for symbol in ["A", "B", "A", "A"] {
            publisher.quote(quote(symbol));
        }
        assert_eq!(stream.try_recv().map(|quote| quote.topic_sequence).ok(), Some(1));
        assert_eq!(stream.try_recv().map(|quote| quote.topic_sequence).ok(), Some(2));
        assert!(stream.try_recv().is_err());
        publisher.quote(quote("A"));
        assert_eq!(stream.try_recv().map(|quote| quote.topic_sequence).ok(), Some(4));
    }
}
