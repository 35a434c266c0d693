//! Workers that share jobs and make new ones, until none is left.
//!
//! A worker keeps the jobs that it makes to itself, takes the last one first,
//! and so stays in the part of the tree that it is in. It gives its oldest job
//! away, which is the largest part, only when another worker has none: a lock
//! taken for each job would put workers to sleep on each other. The first
//! error stops all. While they work, the calling thread does nothing but
//! report.
//!
//! The pool knows nothing of trees or files; a worker's state never leaves
//! its thread.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::progress::REPORT_EVERY;

/// How many threads to use where the caller doesn't say: one a core.
pub(crate) fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// One worker's side of the pool.
pub(crate) struct Queue<'p, J> {
    shared: &'p Shared<J>,
    own: VecDeque<J>,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    /// Workers wait here for a job, or for the end.
    changed: Condvar,
    /// The calling thread waits here for the last worker to leave.
    left: Condvar,
    /// Workers that wait for a job; read without the lock.
    idle: AtomicUsize,
    stopped: AtomicBool,
}

struct State<J> {
    /// Jobs that were given away and not yet taken.
    given: VecDeque<J>,
    /// Workers that have a job in hand or of their own.
    busy: usize,
    running: usize,
}

impl<J> Queue<'_, J> {
    /// Takes the next job, or `None` when no job is left and none can come.
    pub(crate) fn next(&mut self) -> Option<J> {
        if self.is_stopped() {
            return None;
        }
        self.share();
        if let Some(job) = self.own.pop_back() {
            return Some(job);
        }
        self.wait()
    }

    /// Adds jobs that this worker will take in turn, the last one first.
    pub(crate) fn push(&mut self, jobs: impl IntoIterator<Item = J>) {
        self.own.extend(jobs);
        self.share();
    }

    /// Adds a job that this worker takes last, and an idle one first.
    pub(crate) fn offer(&mut self, job: J) {
        self.own.push_front(job);
        self.share();
    }

    /// Gives the oldest job away if somebody waits for one. Costs one look at
    /// memory if nobody does: long jobs call it now and then.
    pub(crate) fn share(&mut self) {
        if self.shared.idle.load(Ordering::Relaxed) == 0 || self.own.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        if state.given.is_empty()
            && let Some(job) = self.own.pop_front()
        {
            state.given.push_back(job);
            self.shared.changed.notify_one();
        }
    }

    /// Whether the operation was stopped: long jobs ask now and then.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    /// Waits until somebody gives a job away, or nobody can any more.
    fn wait(&self) -> Option<J> {
        let shared = self.shared;
        let mut state = shared.lock();
        state.busy -= 1;
        shared.idle.fetch_add(1, Ordering::Relaxed);
        let job = loop {
            if shared.stopped.load(Ordering::Relaxed) {
                break None;
            }
            if let Some(job) = state.given.pop_front() {
                state.busy += 1;
                break Some(job);
            }
            if state.busy == 0 {
                shared.changed.notify_all();
                break None;
            }
            state = shared
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        shared.idle.fetch_sub(1, Ordering::Relaxed);
        job
    }
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // A worker that panicked holds no half-made state: counters only.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }
}

/// How a worker's part ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Failed,
    Done,
}

/// Ends a worker's part even if it panics, so that nobody waits for it.
struct Leave<'p, J>(&'p Shared<J>, End);

impl<J> Drop for Leave<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        if self.1 == End::Failed {
            self.0.stop();
        }
        if state.running == 0 {
            self.0.left.notify_all();
        }
    }
}

/// Runs `worker` on `threads` threads that share `seeds` and the jobs made from
/// them. Each call of `worker` takes jobs until there are none and returns its
/// own result. `report` is called on this thread meanwhile; `Break` stops.
///
/// # Errors
///
/// The first error of a worker, or [`ErrorKind::Interrupted`].
pub(crate) fn run<J: Send, T: Send>(
    threads: usize,
    seeds: impl IntoIterator<Item = J>,
    worker: impl Fn(&mut Queue<'_, J>) -> Result<T> + Sync,
    mut report: impl FnMut() -> ControlFlow<()>,
) -> Result<Vec<T>> {
    let threads = threads.max(1);
    let shared = Shared {
        state: Mutex::new(State {
            given: seeds.into_iter().collect(),
            busy: threads,
            running: threads,
        }),
        changed: Condvar::new(),
        left: Condvar::new(),
        idle: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        let spawn = |_| {
            let (shared, worker) = (&shared, &worker);
            scope.spawn(move || {
                let mut leave = Leave(shared, End::Failed);
                let mut queue = Queue {
                    shared,
                    own: VecDeque::new(),
                };
                let result = worker(&mut queue);
                if result.is_ok() {
                    leave.1 = End::Done;
                }
                result
            })
        };
        let handles: Vec<_> = (0..threads).map(spawn).collect();
        let interrupted = wait_for_workers(&shared, &mut report).is_break();
        let results: Vec<_> = handles
            .into_iter()
            .map(|handle| match handle.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect();
        if interrupted {
            return Err(interruption());
        }
        results.into_iter().collect()
    })
}

/// The error of an operation that its caller stopped.
pub(crate) fn interruption() -> Error {
    Error::new(ErrorKind::Interrupted, "copy", "", "interrupted")
}

fn wait_for_workers<J>(
    shared: &Shared<J>,
    report: &mut impl FnMut() -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut due = Instant::now() + REPORT_EVERY;
    let mut state = shared.lock();
    while state.running > 0 {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            let waited = shared.left.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        drop(state);
        let flow = report();
        due = Instant::now() + REPORT_EVERY;
        state = shared.lock();
        if flow.is_break() && state.running > 0 {
            shared.stop();
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn no_report() -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn jobs_made_by_jobs_are_all_done() {
        for threads in [1, 2, 7] {
            let done = AtomicU64::new(0);
            run(
                threads,
                [12_u32],
                |queue| {
                    while let Some(depth) = queue.next() {
                        done.fetch_add(1, Ordering::Relaxed);
                        if depth > 0 {
                            queue.push([depth - 1, depth - 1]);
                            queue.share();
                        }
                    }
                    Ok(())
                },
                no_report,
            )
            .unwrap();
            assert_eq!(done.into_inner(), (1 << 13) - 1);
        }
    }

    #[test]
    fn the_first_error_stops_all() {
        let result = run(
            3,
            0..1000_u32,
            |queue| {
                while let Some(job) = queue.next() {
                    if job == 500 {
                        return Err(Error::new(ErrorKind::Io, "try", "x", "failed"));
                    }
                }
                Ok(())
            },
            no_report,
        );
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Io);
    }

    #[test]
    fn a_caller_can_stop_workers_that_wait_for_each_other() {
        let result = run(
            2,
            [()],
            |queue| {
                while queue.next().is_some() {
                    while !queue.is_stopped() {
                        thread::yield_now();
                    }
                }
                Ok(())
            },
            || ControlFlow::Break(()),
        );
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Interrupted);
    }
}
