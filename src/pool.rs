//! Workers that share jobs and make new ones, until none is left.
//!
//! Each worker takes the job that it made last and stays in the part of the
//! tree that it is in; an idle one takes the oldest job of another, which is
//! the largest part. The first error stops all. While they work, the calling
//! thread does nothing but report.
//!
//! The pool knows nothing of trees or files; a worker's state never leaves
//! its thread.

use std::collections::VecDeque;
use std::ops::ControlFlow;
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
    me: usize,
    has_job: bool,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
}

struct State<J> {
    jobs: Vec<VecDeque<J>>,
    /// Workers that have a job in hand, and may make more.
    active: usize,
    idle: usize,
    running: usize,
    stopped: bool,
}

impl<J> Queue<'_, J> {
    /// Takes the next job, or `None` when no job is left and none can come.
    pub(crate) fn next(&mut self) -> Option<J> {
        let mut state = self.shared.lock();
        if std::mem::take(&mut self.has_job) {
            state.active -= 1;
        }
        loop {
            if state.stopped {
                return None;
            }
            if let Some(job) = state.take(self.me) {
                state.active += 1;
                self.has_job = true;
                return Some(job);
            }
            if state.active == 0 {
                self.shared.changed.notify_all();
                return None;
            }
            state.idle += 1;
            state = wait(&self.shared.changed, state);
            state.idle -= 1;
        }
    }

    /// Adds jobs that this worker will take in turn, the last one first.
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = J>) {
        let mut state = self.shared.lock();
        state.jobs[self.me].extend(jobs);
        self.wake(&state);
    }

    /// Adds a job that this worker takes last, and an idle one first.
    pub(crate) fn offer(&self, job: J) {
        let mut state = self.shared.lock();
        state.jobs[self.me].push_front(job);
        self.wake(&state);
    }

    /// Whether the operation was stopped: long jobs ask now and then.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.lock().stopped
    }

    fn wake(&self, state: &State<J>) {
        if state.idle > 0 {
            self.shared.changed.notify_all();
        }
    }
}

impl<J> State<J> {
    fn take(&mut self, me: usize) -> Option<J> {
        if let Some(job) = self.jobs[me].pop_back() {
            return Some(job);
        }
        let others = self.jobs.len();
        (1..others).find_map(|step| self.jobs[(me + step) % others].pop_front())
    }
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // A worker that panicked holds no half-made state: counters only.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a worker's part even if it panics, so that nobody waits for it.
struct Leave<'p, J>(&'p Shared<J>, bool);

impl<J> Drop for Leave<'_, J> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.running -= 1;
        state.stopped |= !self.1;
        drop(state);
        self.0.changed.notify_all();
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
    let mut jobs: Vec<VecDeque<J>> = (0..threads).map(|_| VecDeque::new()).collect();
    jobs[0].extend(seeds);
    let shared = Shared {
        state: Mutex::new(State {
            jobs,
            active: 0,
            idle: 0,
            running: threads,
            stopped: false,
        }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|me| {
                let (shared, worker) = (&shared, &worker);
                scope.spawn(move || {
                    let mut leave = Leave(shared, false);
                    let mut queue = Queue {
                        shared,
                        me,
                        has_job: false,
                    };
                    let result = worker(&mut queue);
                    leave.1 = result.is_ok();
                    result
                })
            })
            .collect();
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
            let waited = shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        drop(state);
        let flow = report();
        due = Instant::now() + REPORT_EVERY;
        state = shared.lock();
        if flow.is_break() && state.running > 0 {
            state.stopped = true;
            shared.changed.notify_all();
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}

fn wait<'s, J>(changed: &Condvar, state: MutexGuard<'s, State<J>>) -> MutexGuard<'s, State<J>> {
    changed.wait(state).unwrap_or_else(PoisonError::into_inner)
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
