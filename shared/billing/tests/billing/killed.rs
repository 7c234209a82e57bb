//! Work whose process is killed: a future that is dropped after so many turns, wherever it stands.
//!
//! What it has sent by then may have been carried out or not, as it may when a process dies. Between two requests there is at
//! least one turn, so that counting up from one turn kills it between every two of its steps.

use std::{future::poll_fn, pin::pin, task::Poll};

/// Lets work have so many turns; gives its outcome if it ends in them.
pub(crate) async fn killed_after<T>(turns: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = turns;
    poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
