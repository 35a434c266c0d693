//! A reader that is looked ahead in, and that knows how far it has come.
//!
//! Sources may give one byte at a time, or be interrupted: a look ahead waits
//! until it has all bytes that it asked for, or the source has no more.

use std::io::{self, BufRead, Read};

/// Bytes that are read at once, and the most that are looked ahead.
const SIZE: usize = 64 << 10;

/// A buffered reader with a position.
pub(super) struct Input<R> {
    source: R,
    buffer: Box<[u8]>,
    /// What of the buffer isn't used yet.
    start: usize,
    end: usize,
    position: u64,
}

impl<R: Read> Input<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; SIZE].into_boxed_slice(),
            start: 0,
            end: 0,
            position: 0,
        }
    }

    /// The number of bytes that were used.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The next `size` bytes without using them; fewer only at the end.
    pub(super) fn peek(&mut self, size: usize) -> io::Result<&[u8]> {
        while self.end - self.start < size {
            if self.start + size > self.buffer.len() {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.fill()? == 0 {
                break;
            }
        }
        let end = self.end.min(self.start + size);
        Ok(&self.buffer[self.start..end])
    }

    fn fill(&mut self) -> io::Result<usize> {
        loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(read) => {
                    self.end += read;
                    return Ok(read);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let size = bytes.len().min(buffer.len());
        buffer[..size].copy_from_slice(&bytes[..size]);
        self.consume(size);
        Ok(size)
    }
}

impl<R: Read> BufRead for Input<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            self.fill()?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, amount: usize) {
        self.start += amount;
        self.position += amount as u64;
    }
}
