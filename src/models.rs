//! loom models of what is not public; the others stand in `tests/loom.rs`. `tools/loom.sh` runs both.

use crate::clock::Clock;
use crate::params::{Block, Cas, Params};
use crate::sync::{Arc, thread};
use crate::weights::{Sink, Weights};

/// Two workers publish a block each: no difference is lost, and a block that counts the other's publication as
/// complete reads all of it.
#[test]
fn block_publication() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let shared = Arc::new((Clock::new(), Params::<f32>::zeros(2)));
        let run = {
            let shared = Arc::clone(&shared);
            move || {
                let (clock, params) = &*shared;
                // Both parameters hot and without curvature: differences are published whole.
                let mut block = Block::<f32>::new(2, Some(&[0.0, 0.0]));
                let ticket = clock.begin();
                block.refresh(params.cells());
                let mut view = block.view::<Cas>(params.cells(), 1.0);
                let read = [view.get(0), view.get(1)];
                view.add(0, 1.0);
                view.add(1, 1.0);
                let commit = clock.commit(ticket);
                let (kept, _) = block.publish::<Cas>(params.cells(), 1.0, 2.0, 1.0);
                assert_eq!(kept, 1.0);
                let _ = clock.finish(commit);
                for value in read {
                    let missed = commit.iteration as i64 - value as i64;
                    assert!((0..=commit.delay as i64).contains(&missed), "{missed} of {}", commit.delay);
                }
            }
        };
        let other = thread::spawn(run.clone());
        run();
        other.join().unwrap();
        assert_eq!((shared.0.iterations(), shared.1.snapshot()), (2, vec![2.0; 2]));
    });
}
