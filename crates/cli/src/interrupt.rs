//! SIGINT and SIGTERM: a command is asked to stop.

use std::future::Future;

use crate::failure::{Outcome, Stop};

/// Waits for a signal to stop, and answers with the exit code that shells expect for it. Signals
/// count from the call on, also before the first poll.
#[cfg(unix)]
pub(crate) fn interrupted() -> impl Future<Output = u8> + Send {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// Without a handler the default action stays: the process ends, as was asked for.
    async fn next(signal: Option<Signal>) {
        match signal {
            Some(mut signal) => drop(signal.recv().await),
            None => std::future::pending().await,
        }
    }

    let interrupt = signal(SignalKind::interrupt()).ok();
    let terminate = signal(SignalKind::terminate()).ok();
    async move {
        tokio::select! {
            () = next(interrupt) => 128 + 2,
            () = next(terminate) => 128 + 15,
        }
    }
}

/// Waits for Ctrl-C, and answers with the exit code.
#[cfg(not(unix))]
pub(crate) async fn interrupted() -> u8 {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    128 + 2
}

/// Runs `work` until it is done or a signal comes. What is dropped then leaves nothing half-done:
/// blocks are stored whole or not at all, and temporary files go with their handles.
pub(crate) async fn until_interrupted(work: impl Future<Output = Outcome>) -> Outcome {
    let interrupted = interrupted();
    tokio::select! {
        outcome = work => outcome,
        code = interrupted => Err(Stop::Code(code)),
    }
}
