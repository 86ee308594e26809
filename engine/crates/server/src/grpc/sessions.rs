//! Which sessions the connections of gRPC have named, and when those went: told to the reactor, whose leases live by
//! it (WIRE.md, section 3, "Cancel on disconnect").

use crate::reactor::Waker;
use bridge_core::{ReasonCode, Rejection};
use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Sessions that one connection may name: a proxy's has many.
const SESSIONS_PER_CONNECTION: usize = 256;
/// News that the reactor has not taken; above, no new session is taken. What went is always told.
const MOST_NEWS: usize = 65_536;

/// What became of a session's connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionNews {
    /// A connection named it for the first time.
    Connected(Arc<str>),
    /// A connection that had named it is gone.
    Disconnected(Arc<str>),
}

/// The way of the news to the reactor: beside the queue of calls, so that it is never refused for a full one. News of
/// a connection is there before the call that brought it.
#[derive(Clone)]
pub struct SessionBoard {
    inner: Arc<Board>,
    waker: Waker,
}

#[derive(Default)]
struct Board {
    /// Set after, and cleared before, `news` is changed: the reactor looks at nothing else in most turns.
    has_news: AtomicBool,
    news: Mutex<Vec<SessionNews>>,
}

impl SessionBoard {
    /// A board without news.
    pub fn new(waker: Waker) -> Self {
        Self { inner: Arc::default(), waker }
    }

    /// The news since this was last called, in order.
    pub fn take(&self) -> Vec<SessionNews> {
        if !self.inner.has_news.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        mem::take(&mut *lock(&self.inner.news))
    }

    fn has_room(&self) -> bool {
        lock(&self.inner.news).len() < MOST_NEWS
    }

    fn tell(&self, news: impl IntoIterator<Item = SessionNews>) {
        lock(&self.inner.news).extend(news);
        self.inner.has_news.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// The sessions that one connection has named. Kept by the connection, and by each of its requests.
pub struct NamedSessions {
    board: SessionBoard,
    /// `None`: the connection is gone, and what its last requests name is not connected by it.
    named: Mutex<Option<Vec<Arc<str>>>>,
}

impl NamedSessions {
    /// Of a connection that has named none.
    pub fn new(board: SessionBoard) -> Self {
        Self { board, named: Mutex::new(Some(Vec::new())) }
    }

    /// A request names its session; an empty one is nobody's.
    ///
    /// # Errors
    /// BUSY: more sessions than one connection may name.
    pub fn name(&self, session_id: &Arc<str>) -> Result<(), Rejection> {
        let mut named = lock(&self.named);
        let Some(sessions) = named.as_mut() else { return Ok(()) };
        if session_id.is_empty() || sessions.contains(session_id) {
            return Ok(());
        }
        if sessions.len() >= SESSIONS_PER_CONNECTION || !self.board.has_room() {
            let message = "this connection has named as many sessions as one may: use another connection";
            return Err(Rejection::new(ReasonCode::Busy, "x-session-id", message));
        }
        sessions.push(session_id.clone());
        self.board.tell([SessionNews::Connected(session_id.clone())]);
        Ok(())
    }

    /// The connection is gone.
    pub fn end(&self) {
        let sessions = lock(&self.named).take().unwrap_or_default();
        if !sessions.is_empty() {
            self.board.tell(sessions.into_iter().map(SessionNews::Disconnected));
        }
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_tells_of_each_session_once_and_of_all_at_its_end() {
        let board = SessionBoard::new(Waker::new().unwrap());
        let connection = NamedSessions::new(board.clone());
        let (a, none): (Arc<str>, Arc<str>) = ("a".into(), "".into());
        for session_id in [&a, &none, &a] {
            connection.name(session_id).unwrap();
        }
        assert_eq!(board.take(), [SessionNews::Connected(a.clone())]);
        connection.end();
        connection.end();
        connection.name(&a).unwrap();
        assert_eq!(board.take(), [SessionNews::Disconnected(a)]);
        assert_eq!(board.take(), []);
    }

    #[test]
    fn the_sessions_of_a_connection_are_bounded() {
        let connection = NamedSessions::new(SessionBoard::new(Waker::new().unwrap()));
        let name = |number: usize| connection.name(&number.to_string().into());
        (0..SESSIONS_PER_CONNECTION).for_each(|number| name(number).unwrap());
        assert_eq!(name(SESSIONS_PER_CONNECTION).unwrap_err().code, ReasonCode::Busy);
        name(0).unwrap();
    }
}
