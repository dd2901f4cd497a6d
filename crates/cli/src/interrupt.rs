//! SIGINT and SIGTERM: a command is asked to stop.

use std::future::Future;

use crate::failure::{Outcome, Stop};

/// Waits for a signal to stop, and answers with the exit code that shells expect for it.
pub(crate) async fn interrupted() -> u8 {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let terminated = async {
            match signal(SignalKind::terminate()) {
                Ok(mut stream) => {
                    stream.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = ctrl_c() => 128 + 2,
            () = terminated => 128 + 15,
        }
    }
    #[cfg(not(unix))]
    {
        ctrl_c().await;
        128 + 2
    }
}

/// Runs `work` until it is done or a signal comes. What is dropped then leaves nothing half-done:
/// blocks are stored whole or not at all, and temporary files go with their handles.
pub(crate) async fn until_interrupted(work: impl Future<Output = Outcome>) -> Outcome {
    tokio::select! {
        outcome = work => outcome,
        code = interrupted() => Err(Stop::Code(code)),
    }
}

/// Without a handler the default action stays: the process ends, which is what was asked for.
async fn ctrl_c() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
