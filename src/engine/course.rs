//! Which examples a chunk stands for, and when: laid down by the monitor before each epoch.

use super::blocks;
use super::plan::Plan;
use crate::model::{Grid, Parts};
use crate::sync::{Arc, AtomicU64, AtomicUsize, Ordering};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use std::ops::Range;

/// Blocks grow as the rate falls, up to this many times, but not above [`blocks::longest`]: what the others miss of a block is its rate × its length,
/// so that a slower rate allows a longer block, and longer blocks cost less to publish.
const GROWTH: f64 = 8.0;

/// The order of the chunks in the present epoch. Written only while no worker runs; the gate's release
/// publishes it, so that relaxed accesses suffice.
pub(super) struct Course<'a> {
    /// Which piece of the data comes at which place, one epoch after the other.
    order: Box<[AtomicU64]>,
    mark: Arc<Mark>,
    /// Examples in a piece, pieces in a chunk, and pieces in an epoch.
    piece: AtomicUsize,
    together: AtomicUsize,
    pieces: AtomicUsize,
    /// What the step rule's rate is multiplied with, as the bits of a float.
    brake: AtomicU64,
    /// And with this, which other threads change.
    factor: Arc<AtomicU64>,
    examples: usize,
    /// Whose blocks the chunks are, if there is one, and of how many parts a side.
    grid: Option<(Grid<'a>, usize)>,
}

/// How far the course has been laid, for other threads to read.
pub(super) struct Mark {
    /// The chunks of an epoch.
    chunks: AtomicUsize,
    /// When the epoch begins, in epochs, as the bits of a float.
    begin: AtomicU64,
    /// The latest time that was noted, as the bits of a float, which are ordered as it is.
    reached: AtomicU64,
}

impl Mark {
    /// The time at which the c-th chunk begins, in epochs.
    #[inline]
    pub(super) fn epoch(&self, c: u64) -> f64 {
        let chunks = self.chunks.load(Ordering::Relaxed).max(1);
        f64::from_bits(self.begin.load(Ordering::Relaxed)) + c as f64 / chunks as f64
    }

    /// The time now, from the number of chunks that are taken; never an earlier one than before, also while an epoch is
    /// laid.
    pub(super) fn now(&self, taken: impl Fn() -> u64) -> f64 {
        // Acquire: of one epoch as the chunks that are taken, where it is the same before and after.
        let laid = || (self.begin.load(Ordering::Acquire), self.chunks.load(Ordering::Acquire));
        loop {
            let (before, taken) = (laid(), taken());
            if laid() == before {
                return self.reach(f64::from_bits(before.0) + taken as f64 / before.1.max(1) as f64);
            }
        }
    }

    /// Notes a time for those who watch, and returns the latest.
    pub(super) fn reach(&self, epoch: f64) -> f64 {
        // Relaxed: the number alone is shared.
        f64::from_bits(self.reached.fetch_max(epoch.to_bits(), Ordering::Relaxed)).max(epoch)
    }
}

impl<'a> Course<'a> {
    pub(super) fn new(examples: usize, plan: &Plan, grid: Option<Grid<'a>>, factor: Arc<AtomicU64>) -> Self {
        let grid = grid.zip(plan.grid);
        let pieces = grid.map_or(examples.div_ceil(plan.piece), |(grid, side)| filled(&grid, side).count());
        let places = pieces * plan.evaluate_every;
        Self {
            order: (0..places).map(|_| AtomicU64::new(0)).collect(),
            mark: Arc::new(Mark {
                chunks: AtomicUsize::new(0),
                begin: AtomicU64::new(0),
                reached: AtomicU64::new(0),
            }),
            piece: AtomicUsize::new(plan.piece),
            together: AtomicUsize::new(1),
            pieces: AtomicUsize::new(pieces),
            brake: AtomicU64::new(1f64.to_bits()),
            factor,
            examples,
            grid,
        }
    }

    /// Lays down the epochs of the n-th phase, from one evaluation to the next, and returns the number of chunks in one.
    /// In the first epoch the examples come as they lie, for they were shuffled when they were loaded; later the pieces
    /// are shuffled. The order depends on the seed and the phase alone, so that a run that is resumed begins at once.
    pub(super) fn lay(&self, phase: u64, plan: &Plan) -> u64 {
        let begin = (phase * plan.evaluate_every as u64) as f64;
        // An odd factor other than SplitMix64's own, by which the generator's words for one seed follow each other.
        let seed = plan.seed ^ phase.wrapping_mul(0xd134_2543_de82_ef95);
        let rng = &mut Xoshiro256PlusPlus::seed_from_u64(seed);
        if let Some((grid, side)) = &self.grid {
            return self.lay_grid(grid, *side, begin, plan, rng);
        }
        let rate = plan.step.schedule.factor(begin) / plan.step.schedule.factor(0.0).max(f64::MIN_POSITIVE);
        let growth = if plan.block > 1 && rate > 0.0 { (1.0 / rate).clamp(1.0, GROWTH) } else { 1.0 };
        let longest = blocks::longest(plan.workers, self.examples).max(plan.chunk);
        let chunk = ((plan.chunk as f64 * growth) as usize).min(longest).next_multiple_of(plan.batch);
        // Pieces of the plan's size, or whole chunks.
        let piece = if plan.piece < plan.chunk { plan.piece } else { chunk };
        let (pieces, together) = (self.examples.div_ceil(piece), chunk.div_ceil(piece));
        let mut order: Vec<u64> = (0..pieces as u64).collect();
        for (epoch, places) in self.order.chunks(pieces).take(plan.evaluate_every).enumerate() {
            if begin > 0.0 || epoch > 0 {
                order.shuffle(rng);
            }
            for (place, &piece) in places.iter().zip(&order) {
                place.store(piece, Ordering::Relaxed);
            }
        }
        let chunks = pieces.div_ceil(together);
        self.mark.chunks.store(chunks, Ordering::Relaxed);
        self.piece.store(piece, Ordering::Relaxed);
        self.together.store(together, Ordering::Relaxed);
        self.pieces.store(pieces, Ordering::Relaxed);
        // Release: whoever sees it sees that the chunks before it are done with.
        self.mark.begin.store(begin.to_bits(), Ordering::Release);
        chunks as u64
    }

    /// As [`Course::lay`], by diagonals of a grid whose rows and columns are shuffled: any side − 1 blocks that follow
    /// each other share no row and no column where none is empty, so that workers who each take the next one do not
    /// meet. (Between diagonals too: block (side − 1 − j, s − 1 − j) of one and (i, s + 1 + i) of the next share a column only where
    /// i + j is side − 2.)
    fn lay_grid(
        &self,
        grid: &Grid<'_>,
        side: usize,
        begin: f64,
        plan: &Plan,
        rng: &mut Xoshiro256PlusPlus,
    ) -> u64 {
        let (mut rows, mut columns): (Vec<usize>, Vec<usize>) = ((0..side).collect(), (0..side).collect());
        let mut places = self.order.iter();
        for _ in 0..plan.evaluate_every {
            rows.shuffle(rng);
            columns.shuffle(rng);
            let blocks = (0..side * side).map(|k| (k / side, k % side));
            let blocks = blocks.map(|(s, i)| rows[i] * side + columns[(i + s) % side]);
            let filled = blocks.filter(|&block| is_filled(grid, side, block));
            filled.zip(&mut places).for_each(|(block, place)| place.store(block as u64, Ordering::Relaxed));
        }
        let chunks = filled(grid, side).count();
        self.mark.chunks.store(chunks, Ordering::Relaxed);
        // Release: whoever sees it sees that the chunks before it are done with.
        self.mark.begin.store(begin.to_bits(), Ordering::Release);
        chunks as u64
    }

    /// The block that the c-th chunk is, where there is a grid.
    #[inline]
    pub(super) fn block(&self, c: u64) -> Parts {
        let block = self.order[c as usize].load(Ordering::Relaxed) as usize;
        self.grid.as_ref().map_or([0..0, 0..0], |(grid, side)| grid.joined(block, *side))
    }

    /// The examples of the c-th chunk, piece by piece.
    #[inline]
    pub(super) fn pieces(&self, c: u64) -> impl Iterator<Item = Range<usize>> + '_ {
        let [piece, together, pieces] =
            [&self.piece, &self.together, &self.pieces].map(|count| count.load(Ordering::Relaxed));
        let chunks = pieces.div_ceil(together);
        let (epoch, within) = (c as usize / chunks, c as usize % chunks * together);
        let places = epoch * pieces + within..epoch * pieces + (within + together).min(pieces);
        self.order[places].iter().map(move |place| {
            let at = place.load(Ordering::Relaxed) as usize;
            match &self.grid {
                // Blocks are joined only where they are walked through.
                Some((grid, _)) => grid.bounds[at]..grid.bounds[at + 1],
                None => at * piece..((at + 1) * piece).min(self.examples),
            }
        })
    }

    /// The time at which the c-th chunk begins, in epochs.
    #[inline]
    pub(super) fn epoch(&self, c: u64) -> f64 {
        self.mark.epoch(c)
    }

    /// What [`Course::epoch`] is computed from.
    pub(super) fn mark(&self) -> &Arc<Mark> {
        &self.mark
    }

    /// What the step rule's rate is multiplied with: less than 1 after the run diverged, and what other threads want.
    #[inline]
    pub(super) fn brake(&self) -> f64 {
        let [brake, factor] = [&self.brake, &*self.factor].map(|f| f64::from_bits(f.load(Ordering::Relaxed)));
        brake * factor
    }

    /// Halves the rate from now on.
    pub(super) fn slow(&self) {
        self.slow_to(self.slowed() / 2.0);
    }

    /// What the rate is multiplied with because the run diverged.
    pub(super) fn slowed(&self) -> f64 {
        f64::from_bits(self.brake.load(Ordering::Relaxed))
    }

    pub(super) fn slow_to(&self, brake: f64) {
        self.brake.store(brake.to_bits(), Ordering::Relaxed);
    }

    /// The number of chunks in an epoch.
    pub(super) fn chunks(&self) -> usize {
        self.mark.chunks.load(Ordering::Relaxed)
    }

    /// How many examples the first `c` places hold.
    pub(super) fn done(&self, c: u64) -> u64 {
        let of = |c| match &self.grid {
            Some((grid, _)) => grid.examples(&self.block(c)).map(|part| part.len() as u64).sum::<u64>(),
            None => self.pieces(c).map(|piece| piece.len() as u64).sum(),
        };
        (0..c).map(of).sum()
    }
}

/// The blocks of a grid of so many parts a side that hold examples.
fn filled(grid: &Grid<'_>, side: usize) -> impl Iterator<Item = usize> {
    (0..side * side).filter(move |&block| is_filled(grid, side, block))
}

fn is_filled(grid: &Grid<'_>, side: usize, block: usize) -> bool {
    grid.examples(&grid.joined(block, side)).any(|part| !part.is_empty())
}
