//! The budget of bytes that the objects in memory share.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes in one unit of the budget: a semaphore counts in 32 bits, and objects are files of many KiB.
const UNIT: u64 = 1024;

/// How many units there are, and which of them are free.
pub(super) struct Budget {
    units: u32,
    free: Arc<Semaphore>,
}

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        let units = units(bytes);
        Self { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits until the budget has so many bytes free.
    pub(super) async fn room(&self, bytes: u64) -> OwnedSemaphorePermit {
        let needed = units(bytes).min(self.units);
        let room = Arc::clone(&self.free).acquire_many_owned(needed).await;
        room.expect("the budget is never closed")
    }

    /// Makes the reserved room, or what is free at once, fit what is needed.
    pub(super) fn fit(
        &self,
        reserved: Option<OwnedSemaphorePermit>,
        bytes: u64,
    ) -> Option<OwnedSemaphorePermit> {
        let needed = units(bytes).min(self.units);
        if let Some(mut room) = reserved
            && let Some(excess) = room.num_permits().checked_sub(needed as usize)
        {
            drop(room.split(excess));
            return Some(room);
        }
        Arc::clone(&self.free).try_acquire_many_owned(needed).ok()
    }

    #[cfg(test)]
    pub(super) fn available_permits(&self) -> usize {
        self.free.available_permits()
    }
}

/// Units of the budget for so many bytes; even an empty object takes one.
fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX)
}
