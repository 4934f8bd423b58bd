//! The clock of a world: it stands still while anything is done, so that a seed alone decides what happens.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::sleep;

/// Lives on a thread's own runtime, whose clock is paused. Jitter, ours and the SDK's, is drawn from the thread's
/// generator.
pub fn live<O>(seed: u64, life: impl Future<Output = O>) -> O {
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime starts");
    runtime.block_on(life)
}

/// Keeps the paused clock from running ahead of sockets, which it knows nothing of: time goes on in small steps while
/// bytes move, and in ever larger ones while none do. `traffic` counts what moved.
pub async fn pace(traffic: impl Fn() -> u64) {
    const POLLS: usize = 4;
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(400);
    let mut step = SHORTEST;
    loop {
        let before = traffic();
        for _ in 0..POLLS {
            yield_now().await;
        }
        if traffic() == before {
            sleep(step).await;
            step = (step * 2).min(LONGEST);
        } else {
            step = SHORTEST;
        }
    }
}
