//! The content of one member of a tar, read as it is decoded.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::entry::Member;
use crate::error::Refusal;

use super::index::Run;
use super::lookup::plain;
use super::tar_stream::{Piece, Step, TarStream};

/// Which member is read.
pub(super) enum Want {
    /// The first of this path. What follows it isn't read.
    Path(Vec<u8>),
    /// The one of this number in the run, which is read and checked to its end.
    Number(usize, Run),
}

/// The content of one member. See the module's documentation.
pub(super) struct Picked<R> {
    stream: TarStream<R>,
    want: Want,
    state: State,
    found: Option<Member>,
    /// Members that came by.
    seen: usize,
    /// Content that was decoded and not read yet, by its offset in the file.
    ready: VecDeque<(u64, Vec<u8>)>,
    /// Bytes that were read.
    at: u64,
    size: u64,
}

/// Where the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    Inside,
    Behind,
    /// Nothing more is to be read.
    Done,
}

impl<R: Read> Picked<R> {
    pub(super) fn new(stream: TarStream<R>, want: Want) -> Self {
        Self {
            stream,
            want,
            state: State::Before,
            found: None,
            seen: 0,
            ready: VecDeque::new(),
            at: 0,
            size: 0,
        }
    }

    /// Reads up to the member. `None` if there is none.
    pub(super) fn find(&mut self) -> Result<Option<Member>, Refusal> {
        while self.state == State::Before {
            self.step()?;
        }
        Ok(self.found.take())
    }

    /// Decodes some more.
    fn step(&mut self) -> Result<(), Refusal> {
        let (state, want) = (&mut self.state, &self.want);
        let (found, seen) = (&mut self.found, &mut self.seen);
        let (ready, size) = (&mut self.ready, &mut self.size);
        let step = self.stream.step(&mut |piece| {
            match (piece, *state) {
                (Piece::Member(member), State::Before) => {
                    let is_wanted = match want {
                        Want::Path(path) => plain(&member.path).is_ok_and(|own| own == *path),
                        Want::Number(number, _) => *seen == *number,
                    };
                    if is_wanted {
                        *size = member.size;
                        *found = Some(member);
                        *state = State::Inside;
                    }
                    *seen += 1;
                }
                (Piece::Member(_), _) => *seen += 1,
                (Piece::Data { offset, bytes }, State::Inside) => {
                    ready.push_back((offset, bytes.to_vec()));
                }
                (Piece::End, State::Inside) => *state = State::Behind,
                (Piece::Data { .. } | Piece::End, _) => {}
            }
            Ok(())
        });
        match step {
            Ok(Step::More) => Ok(()),
            Ok(Step::Ended) => {
                self.state = State::Done;
                self.check_run()
            }
            // The fault stands behind all that was asked for.
            Err(_) if self.state == State::Behind && matches!(self.want, Want::Path(_)) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Whether the run held what the index says.
    fn check_run(&self) -> Result<(), Refusal> {
        let Want::Number(_, run) = &self.want else {
            return Ok(());
        };
        match self.stream.is_all_of(run) && self.seen == run.members.len() {
            true => Ok(()),
            false => Err(Refusal::malformed(
                "its index names other members than it holds",
            )),
        }
    }

    /// Copies what is ready; 0 where something has to be decoded first.
    fn give(&mut self, buffer: &mut [u8]) -> usize {
        let next = match self.ready.front() {
            Some((offset, _)) => *offset,
            None if self.state == State::Inside => self.at,
            None => self.size,
        };
        if self.at < next {
            let hole = usize::try_from(next - self.at).unwrap_or(usize::MAX);
            let most = buffer.len().min(hole);
            buffer[..most].fill(0);
            self.at += most as u64;
            return most;
        }
        let Some((offset, bytes)) = self.ready.front_mut() else {
            return 0;
        };
        let from = (self.at - *offset) as usize;
        let most = buffer.len().min(bytes.len() - from);
        buffer[..most].copy_from_slice(&bytes[from..from + most]);
        self.at += most as u64;
        if from + most == bytes.len() {
            self.ready.pop_front();
        }
        most
    }
}

impl<R: Read> Read for Picked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let given = self.give(buffer);
            if given > 0 {
                return Ok(given);
            }
            match (self.state, &self.want) {
                (State::Done, _) | (State::Behind, Want::Path(_)) => return Ok(0),
                (State::Before | State::Inside | State::Behind, _) => {
                    self.step().map_err(Refusal::into_io)?;
                }
            }
        }
    }
}
