//! Remembers what records tell of the things beyond one record, so that a later record is judged with what is known.
//!
//! It only ever joins. Each fact carries the stamp of its record, and [`State::join`] is associative, commutative and
//! idempotent: whatever the order of records, how often they are delivered and how many daemons share the work, the
//! same set of records ends in the same memory. A script in OpenSearch makes the same join as the Rust here.

mod key;
mod known;
mod members;
mod names;
mod sorted;
mod stamp;
mod state;
mod told;
mod word;

pub use key::{BuildHashOfKey, Key, KeyMap, Kind};
pub use known::{Known, Lookup, Remembering};
pub use members::{NEWEST, OLDEST};
pub use names::KnownNames;
pub use stamp::{Stamp, day};
pub use state::{Fact, Said, Seen, State};
pub use told::Told;

use time::Duration;

/// How long something has to be known before anything counts as new for it. A working week shows what an identity does
/// on most days.
pub const LEARNING: Duration = Duration::days(5);
