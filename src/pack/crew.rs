//! The workers of a packing: each takes the next unit, packs it, and hands it to
//! the sink, whatever the format.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Result;
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::output::Job;
use super::sink::{Failed, Ledger, Product, Sink};

/// Where a unit stands among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Within,
    Last,
}

/// Makes products of units. Each worker has its own.
pub(super) trait Packer<U, P> {
    /// Packs `unit` into `spare`, an empty buffer.
    fn pack(&mut self, unit: &U, place: Place, spare: Vec<u8>) -> Result<P>;
}

/// Packs all `units` of `job` with `workers` packers that `start` makes.
pub(super) fn pack_all<W, U, P, L, K>(
    job: &Job<'_>,
    units: &[U],
    workers: usize,
    sink: &Sink<W, P, L>,
    start: impl Fn() -> Result<K> + Sync,
    progress: &dyn Progress,
) -> Result<()>
where
    W: Write + Send,
    U: Sync,
    P: Product,
    L: Ledger<P>,
    K: Packer<U, P>,
{
    let next = AtomicUsize::new(0);
    let work = |queue: &mut Queue<'_, ()>| {
        let mut packer = start()?;
        while queue.next().is_some() {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                sink.wait_for_turn(number, queue);
                let Some(unit) = units.get(number).filter(|_| !queue.is_stopped()) else {
                    break;
                };
                let place = match number + 1 == units.len() {
                    true => Place::Last,
                    false => Place::Within,
                };
                let packed = packer.pack(unit, place, sink.spare())?;
                sink.submit(number, packed).map_err(|failed| match failed {
                    Failed::Write(error) => job.write_error(error),
                    Failed::Refused(refusal) => refusal.at("pack", job.shown),
                })?;
            }
        }
        Ok(())
    };
    let report = || progress.report(&job.counters.status(Phase::Packing, job.total));
    pool::run(workers, vec![(); workers], work, report)?;
    Ok(())
}
