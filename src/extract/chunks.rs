//! Decoded bytes on their way from the one who reads to those who write.
//!
//! A chunk goes back to its [`Depot`] when the last file that has bytes in it
//! is written; how many may be on the way at once bounds the memory.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of one chunk. Large enough that handing it over costs nothing beside
/// writing it, small enough to stay in the cache of a core until then.
pub(super) const CHUNK: usize = 1 << 20;

/// Chunks that may be on their way at once: 32 MiB.
const MOST: usize = 32;

/// How long to wait for a chunk before looking for work again.
const WAIT: Duration = Duration::from_millis(5);

#[derive(Default)]
struct State {
    free: Vec<Vec<u8>>,
    out: usize,
}

/// Where chunks come from and go back to.
#[derive(Default)]
pub(super) struct Depot {
    state: Mutex<State>,
    returned: Condvar,
}

/// Some decoded bytes.
pub(super) struct Chunk {
    bytes: Vec<u8>,
    depot: Arc<Depot>,
}

impl Depot {
    /// Whether as many chunks are on the way as may be.
    pub(super) fn is_exhausted(&self) -> bool {
        self.lock().out >= MOST
    }

    /// Waits a moment for a chunk to come back.
    pub(super) fn wait(&self) {
        let state = self.lock();
        if state.out >= MOST {
            let waited = self.returned.wait_timeout(state, WAIT);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// A buffer of [`CHUNK`] bytes, to be filled and [sent](Self::send).
    pub(super) fn take(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.out += 1;
        let mut bytes = state.free.pop().unwrap_or_default();
        bytes.resize(CHUNK, 0);
        bytes
    }

    /// Makes a chunk of a buffer that was filled.
    pub(super) fn send(self: &Arc<Self>, bytes: Vec<u8>) -> Arc<Chunk> {
        Arc::new(Chunk {
            bytes,
            depot: Arc::clone(self),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let mut state = self.depot.lock();
        state.out -= 1;
        state.free.push(std::mem::take(&mut self.bytes));
        drop(state);
        self.depot.returned.notify_one();
    }
}
