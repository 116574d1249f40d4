//! Why the program should end: a signal, a key, or because its time is over. Whoever waits for anything waits for this too.

use crate::exit::Exit;
use std::time::{Duration, Instant};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// `--for` is over.
    Time,
}

impl Stop {
    /// The code if no call was answered before.
    pub(crate) fn unanswered(self) -> Exit {
        match self {
            Stop::Interrupted => Exit::Interrupted,
            Stop::Terminated => Exit::Terminated,
            Stop::Time => Exit::NotAnswered,
        }
    }
}

/// Tells everyone who waits.
#[derive(Clone)]
pub(crate) struct Stopper(watch::Sender<Option<Stop>>);

impl Stopper {
    /// Begins to listen for signals, and for `run_for` after `start` to pass.
    pub(crate) fn listen(start: Instant, run_for: Option<Duration>) -> std::io::Result<Stopper> {
        let stopper = Stopper(watch::Sender::new(None));
        let (signals, time) = (stopper.clone(), stopper.clone());
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::spawn(async move {
                tokio::select! {
                    _ = interrupt.recv() => signals.stop(Stop::Interrupted),
                    _ = terminate.recv() => signals.stop(Stop::Terminated),
                }
            });
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                signals.stop(Stop::Interrupted);
            }
        });
        if let Some(run_for) = run_for {
            tokio::spawn(async move {
                tokio::time::sleep_until((start + run_for).into()).await;
                time.stop(Stop::Time);
            });
        }
        Ok(stopper)
    }

    /// Ends the program; the first reason holds.
    pub(crate) fn stop(&self, why: Stop) {
        self.0.send_if_modified(|stop| stop.is_none() && stop.replace(why).is_none());
    }

    /// Waits until the program should end.
    pub(crate) async fn stopped(&self) -> Stop {
        let mut stop = self.0.subscribe();
        loop {
            if let Some(why) = *stop.borrow_and_update() {
                return why;
            }
            if stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
