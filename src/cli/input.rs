//! Standard input that can be left at any time: nobody can wake a thread that
//! waits for a pipe, so one of its own waits, and is left behind at the end.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::interrupt::Interrupt;

/// What standard input is called in messages.
pub(crate) const STANDARD_INPUT: &str = "standard input";

/// Bytes that are read at a time: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// Chunks that may wait to be taken.
const AHEAD: usize = 16;

/// How long a signal may go unnoticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Reads standard input until it ends or a signal comes.
pub(crate) fn standard_input(interrupt: Interrupt) -> io::Result<impl Read + Send> {
    let (sender, chunks) = sync_channel(AHEAD);
    thread::Builder::new().spawn(move || read_all(&sender))?;
    Ok(Chunks {
        chunks,
        current: Vec::new(),
        taken: 0,
        interrupt,
    })
}

fn read_all(sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut input = io::stdin().lock();
    loop {
        let mut chunk = vec![0; CHUNK];
        let read = match input.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = read.is_err();
        if sender.send(read).is_err() || is_last {
            return;
        }
    }
}

struct Chunks {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: Vec<u8>,
    taken: usize,
    interrupt: Interrupt,
}

impl Chunks {
    /// Waits for the next chunk; an empty one is the end.
    fn next(&self) -> io::Result<Vec<u8>> {
        loop {
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => return chunk,
                Err(RecvTimeoutError::Disconnected) => return Ok(Vec::new()),
                Err(RecvTimeoutError::Timeout) if self.interrupt.is_set() => {
                    return Err(io::Error::other("a signal came"));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.current.len() {
            self.current = self.next()?;
            self.taken = 0;
        }
        let rest = &self.current[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}
