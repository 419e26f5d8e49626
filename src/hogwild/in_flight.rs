//! An update between its iteration number and its end.

use crate::clock::{Clock, Commit, Ticket};

/// Counts the update as done even if its writing panics: otherwise every later delay would count it.
pub(super) struct InFlight<'a> {
    clock: &'a Clock,
    pub commit: Commit,
}

impl<'a> InFlight<'a> {
    #[inline]
    pub(super) fn commit(clock: &'a Clock, ticket: Ticket) -> Self {
        Self { clock, commit: clock.commit(ticket) }
    }

    #[inline]
    pub(super) fn finish(self) -> Ticket {
        let ticket = self.clock.finish(self.commit);
        std::mem::forget(self);
        ticket
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let _ = self.clock.finish(self.commit);
    }
}
