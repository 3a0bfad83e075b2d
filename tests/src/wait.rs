//! Waiting for something that another process does, with a deadline.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::clock;

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// What `look` finds, as soon as it finds something.
///
/// # Panics
/// It found nothing within `patience`; `what` says what was awaited.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(LOOK).await;
        }
    };
    let found = timeout(patience, looking).await;
    found.unwrap_or_else(|_| panic!("not within {patience:?}: {what}"))
}

/// Tells how long ago it was made.
pub fn stopwatch() -> impl Fn() -> Duration {
    let began = clock::now();
    move || began.elapsed()
}
