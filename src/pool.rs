//! Workers that share jobs and make new ones, until none is left.
//!
//! Each worker has a queue of its own, takes the job that it made last, and so
//! stays in the part of the tree that it is in; an idle one takes the oldest
//! job of another, which is the largest part. One queue for all put workers to
//! sleep on its lock, and queues that only their owners could open left a
//! worker idle while the system ran something else in its neighbour's place.
//! The first error stops all. While they work, the calling thread does nothing
//! but report.
//!
//! The pool knows nothing of trees or files; a worker's state never leaves
//! its thread.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::progress::REPORT_EVERY;

/// How many threads to use where the caller doesn't say: one a core.
pub(crate) fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// How many threads to use where the caller says `jobs`: at least one.
pub(crate) fn threads(jobs: Option<usize>) -> usize {
    jobs.unwrap_or_else(default_threads).max(1)
}

/// One worker's side of the pool.
pub(crate) struct Queue<'p, J> {
    shared: &'p Shared<J>,
    me: usize,
    has_job: bool,
}

struct Shared<J> {
    queues: Vec<Mutex<VecDeque<J>>>,
    /// Jobs that are queued or in hand. At 0 nothing can come any more.
    pending: AtomicUsize,
    /// Workers that wait for a job.
    idle: AtomicUsize,
    stopped: AtomicBool,
    /// How many workers haven't left; also what idle ones sleep on.
    running: Mutex<usize>,
    /// There is a job, or the end has come.
    changed: Condvar,
    /// The last worker has left.
    left: Condvar,
}

impl<J> Queue<'_, J> {
    /// Takes the next job, or `None` when no job is left and none can come.
    pub(crate) fn next(&mut self) -> Option<J> {
        let shared = self.shared;
        if std::mem::take(&mut self.has_job) && shared.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            shared.wake();
        }
        if self.is_stopped() {
            return None;
        }
        let job = shared.take(self.me).or_else(|| shared.wait(self.me));
        self.has_job = job.is_some();
        job
    }

    /// Adds jobs that this worker will take in turn, the last one first.
    pub(crate) fn push(&self, jobs: impl IntoIterator<Item = J>) {
        let mut own = lock(&self.shared.queues[self.me]);
        let before = own.len();
        own.extend(jobs);
        // Before anybody can take one: `pending` never falls to 0 too early.
        let added = own.len() - before;
        self.shared.pending.fetch_add(added, Ordering::AcqRel);
        drop(own);
        if added > 0 {
            self.shared.wake_idle();
        }
    }

    /// Adds a job that this worker takes last, and an idle one first.
    pub(crate) fn offer(&self, job: J) {
        let mut own = lock(&self.shared.queues[self.me]);
        own.push_front(job);
        self.shared.pending.fetch_add(1, Ordering::AcqRel);
        drop(own);
        self.shared.wake_idle();
    }

    /// Does a job besides the one in hand, if there is one: for a worker whose
    /// own job makes more than the others can take.
    pub(crate) fn help(&self, work: impl FnOnce(J) -> Result<()>) -> Result<bool> {
        let Some(job) = self.shared.take(self.me) else {
            return Ok(false);
        };
        // The job in hand keeps `pending` above 0.
        let done = work(job);
        self.shared.pending.fetch_sub(1, Ordering::AcqRel);
        done.map(|()| true)
    }

    /// Whether the operation was stopped: long jobs ask now and then.
    pub(crate) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }
}

impl<J> Shared<J> {
    /// Takes the newest job of worker `me`, or else the oldest of another.
    fn take(&self, me: usize) -> Option<J> {
        if let Some(job) = lock(&self.queues[me]).pop_back() {
            return Some(job);
        }
        let count = self.queues.len();
        (1..count).find_map(|step| lock(&self.queues[(me + step) % count]).pop_front())
    }

    /// Sleeps until there is a job, or none can come.
    fn wait(&self, me: usize) -> Option<J> {
        let mut sleeping = lock(&self.running);
        self.idle.fetch_add(1, Ordering::SeqCst);
        let job = loop {
            // Whoever adds a job either sees that this worker is idle, or has
            // added it before this look.
            fence(Ordering::SeqCst);
            let is_over =
                self.stopped.load(Ordering::Relaxed) || self.pending.load(Ordering::Acquire) == 0;
            if is_over {
                break None;
            }
            if let Some(job) = self.take(me) {
                break Some(job);
            }
            sleeping = self
                .changed
                .wait(sleeping)
                .unwrap_or_else(PoisonError::into_inner);
        };
        self.idle.fetch_sub(1, Ordering::SeqCst);
        job
    }

    fn wake_idle(&self) {
        fence(Ordering::SeqCst);
        if self.idle.load(Ordering::SeqCst) > 0 {
            self.wake();
        }
    }

    fn wake(&self) {
        // With the lock, nobody is between its last look and its sleep.
        drop(lock(&self.running));
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.wake();
    }
}

/// Locks what a worker that panicked may have held: it is whole all the same,
/// because nothing in here is changed in two steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        if self.1 == End::Failed {
            self.0.stop();
        }
        let mut running = lock(&self.0.running);
        *running -= 1;
        if *running == 0 {
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
    let queues: Vec<_> = (0..threads).map(|_| Mutex::new(VecDeque::new())).collect();
    let pending = {
        let mut first = lock(&queues[0]);
        first.extend(seeds);
        first.len()
    };
    let shared = Shared {
        queues,
        pending: AtomicUsize::new(pending),
        idle: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        running: Mutex::new(threads),
        changed: Condvar::new(),
        left: Condvar::new(),
    };
    thread::scope(|scope| {
        let spawn = |me| {
            let (shared, worker) = (&shared, &worker);
            let work = move || {
                let mut leave = Leave(shared, End::Failed);
                let mut queue = Queue {
                    shared,
                    me,
                    has_job: false,
                };
                let result = worker(&mut queue);
                if result.is_ok() {
                    leave.1 = End::Done;
                }
                result
            };
            thread::Builder::new().spawn_scoped(scope, work)
        };
        let mut handles = Vec::with_capacity(threads);
        for me in 0..threads {
            match spawn(me) {
                Ok(handle) => handles.push(handle),
                Err(error) if handles.is_empty() => {
                    return Err(Error::io("start a thread in", ".", error));
                }
                // Fewer workers do the same.
                Err(_) => {
                    *lock(&shared.running) -= threads - me;
                    break;
                }
            }
        }
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
    let mut running = lock(&shared.running);
    while *running > 0 {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            let waited = shared.left.wait_timeout(running, left);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
            continue;
        }
        drop(running);
        let flow = report();
        due = Instant::now() + REPORT_EVERY;
        running = lock(&shared.running);
        if flow.is_break() && *running > 0 {
            drop(running);
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
