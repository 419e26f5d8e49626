//! Snapshots of the parameters, shared by the jobs that started from the same ones.

/// A pool of reference-counted copies of the parameters.
pub(super) struct Pool {
    dimension: usize,
    slots: Vec<Box<[f64]>>,
    users: Vec<u32>,
    free: Vec<u32>,
    /// The slot that holds the present parameters, as long as they do not change.
    current: Option<u32>,
}

impl Pool {
    pub(super) fn new(dimension: usize) -> Self {
        Pool { dimension, slots: Vec::new(), users: Vec::new(), free: Vec::new(), current: None }
    }

    /// A slot that holds `x`, which is the same as at the last call unless [`Pool::changed`] was called
    /// since. O(d) after a change, else O(1).
    pub(super) fn take(&mut self, x: &[f64]) -> u32 {
        let slot = match self.current {
            Some(slot) => slot,
            None => {
                let slot = match self.free.pop() {
                    Some(slot) => slot,
                    None => {
                        self.slots.push(vec![0.0; self.dimension].into_boxed_slice());
                        self.users.push(0);
                        self.slots.len() as u32 - 1
                    }
                };
                self.slots[slot as usize].copy_from_slice(x);
                self.current = Some(slot);
                slot
            }
        };
        self.users[slot as usize] += 1;
        slot
    }

    /// Gives the slot back. O(1).
    pub(super) fn release(&mut self, slot: u32) {
        let users = &mut self.users[slot as usize];
        *users -= 1;
        if *users == 0 {
            self.free.push(slot);
            if self.current == Some(slot) {
                self.current = None;
            }
        }
    }

    /// The parameters have changed: the next [`Pool::take`] copies them.
    pub(super) fn changed(&mut self) {
        self.current = None;
    }

    /// What the slot holds.
    pub(super) fn get(&self, slot: u32) -> &[f64] {
        &self.slots[slot as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_versions_share_a_slot_and_freed_slots_are_used_again() {
        let mut pool = Pool::new(1);
        let (a, b) = (pool.take(&[1.0]), pool.take(&[1.0]));
        assert_eq!(a, b);
        pool.changed();
        let c = pool.take(&[2.0]);
        assert_ne!(a, c);
        pool.release(a);
        pool.changed();
        assert_eq!((pool.get(b), pool.get(c)), (&[1.0][..], &[2.0][..]));
        pool.release(b);
        let d = pool.take(&[3.0]);
        assert_eq!((d, pool.get(c), pool.slots.len()), (a, &[2.0][..], 2));
        pool.release(d);
        assert_eq!(pool.take(&[4.0]), d);
        assert_eq!(pool.get(d), [4.0]);
    }
}
