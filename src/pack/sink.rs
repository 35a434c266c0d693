//! Compressed units on their way to the archive, in order.
//!
//! Workers finish units in any order; whoever finishes the one that is next
//! writes it, and all that follow it and are done. How far workers may run
//! ahead is bounded, and so is the memory.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::Refusal;
use crate::pool::Queue;

/// How long a worker waits for its turn before it looks whether all is over.
const WAIT: Duration = Duration::from_millis(10);

/// What one unit adds to the archive.
pub(super) trait Product: Send {
    /// Its bytes.
    fn bytes(&self) -> &[u8];

    /// Its bytes' memory, once they are written.
    fn into_bytes(self) -> Vec<u8>;
}

/// What takes note of units, in order, and may put bytes around them.
pub(super) trait Ledger<P>: Send {
    /// Notes `product`, which begins `offset` bytes from the archive's start, and
    /// adds to its bytes what belongs behind them.
    fn note(&mut self, product: &mut P, offset: u64) -> Result<(), Refusal>;
}

/// Where units are written.
pub(super) struct Sink<W, P, L> {
    state: Mutex<State<W, P, L>>,
    advanced: Condvar,
    /// How many units may be under way.
    ahead: usize,
}

struct State<W, P, L> {
    writer: W,
    ledger: L,
    written: u64,
    next: usize,
    done: BTreeMap<usize, P>,
    /// Memory of units that were written: new memory for each would cost a
    /// page fault for every 4 KiB.
    spare: Vec<Vec<u8>>,
}

/// Why a unit could not be written.
#[derive(Debug)]
pub(super) enum Failed {
    Write(io::Error),
    Refused(Refusal),
}

impl<W: Write + Send, P: Product, L: Ledger<P>> Sink<W, P, L> {
    pub(super) fn new(writer: W, ledger: L, ahead: usize) -> Self {
        Self {
            state: Mutex::new(State {
                writer,
                ledger,
                written: 0,
                next: 0,
                done: BTreeMap::new(),
                spare: Vec::new(),
            }),
            advanced: Condvar::new(),
            ahead,
        }
    }

    /// Writes bytes that belong to no unit.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.writer.write_all(bytes)?;
        state.written += bytes.len() as u64;
        Ok(())
    }

    /// An empty buffer for the bytes of a unit.
    pub(super) fn spare(&self) -> Vec<u8> {
        let mut bytes = self.lock().spare.pop().unwrap_or_default();
        bytes.clear();
        bytes
    }

    /// Waits until unit `number` is not too far ahead of what is written.
    pub(super) fn wait_for_turn<J>(&self, number: usize, queue: &Queue<'_, J>) {
        let mut state = self.lock();
        while number >= state.next + self.ahead && !queue.is_stopped() {
            let waited = self.advanced.wait_timeout(state, WAIT);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Hands over unit `number`, and writes what is next.
    pub(super) fn submit(&self, number: usize, product: P) -> Result<(), Failed> {
        let mut state = self.lock();
        state.done.insert(number, product);
        loop {
            let next = state.next;
            let Some(mut product) = state.done.remove(&next) else {
                return Ok(());
            };
            let state = &mut *state;
            let noted = state.ledger.note(&mut product, state.written);
            noted.map_err(Failed::Refused)?;
            let written = state.writer.write_all(product.bytes());
            written.map_err(Failed::Write)?;
            state.written += product.bytes().len() as u64;
            state.next += 1;
            state.spare.push(product.into_bytes());
            self.advanced.notify_all();
        }
    }

    /// What is left when all units are written: the writer, the ledger, and how
    /// many bytes were written.
    pub(super) fn into_parts(self) -> (W, L, u64) {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        (state.writer, state.ledger, state.written)
    }

    fn lock(&self) -> MutexGuard<'_, State<W, P, L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
