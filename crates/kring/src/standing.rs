//! Consent given in advance to answer the next caller, whoever it is.
//!
//! Guarantee: each consent is good for one caller who holds a live ticket, and ends with the handle that the app holds.
//! After a caller who was answered ahead and proved nothing, none is answered ahead for [`DISTRUST`].

use crate::driver::{self, Established};
use crate::endpoint::Common;
use crate::event::End;
use crate::media::Media;
use crate::shared::Shared;
use kring_core::call::EndedBy;
use kring_core::offer::Offer;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// For how long callers have to prove themselves first, once one has failed to.
const DISTRUST: Duration = Duration::from_secs(60);

/// The consents of an endpoint, the oldest first.
#[derive(Default)]
pub(crate) struct Standing(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    distrust_until: Option<Instant>,
}

/// One consent.
pub(crate) struct Waiting {
    /// What to answer with before it is known what the caller receives; `None` if that has to be known.
    pub(crate) offer: Option<Offer>,
    give: oneshot::Sender<Established>,
}

impl Standing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics with this lock held")
    }

    /// For a caller who has proven itself.
    pub(crate) fn take(&self) -> Option<Waiting> {
        let mut state = self.state();
        state.waiting.retain(|waiting| !waiting.give.is_closed());
        state.waiting.pop_front()
    }

    /// For a caller who holds the ticket and has proven nothing else yet.
    pub(crate) fn take_ahead(&self) -> Option<Waiting> {
        let mut state = self.state();
        if state.distrust_until.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        state.waiting.retain(|waiting| !waiting.give.is_closed());
        state.waiting.front()?.offer.as_ref()?;
        state.waiting.pop_front()
    }

    /// Nobody was taken after all.
    pub(crate) fn put_back(&self, waiting: Waiting) {
        self.state().waiting.push_front(waiting);
    }

    /// Ends all that wait.
    pub(crate) fn clear(&self) {
        self.state().waiting.clear();
    }

    fn distrust(&self) {
        self.state().distrust_until = Some(Instant::now() + DISTRUST);
    }
}

impl Waiting {
    /// Hands the call over; one that nobody wants any more comes back.
    pub(crate) fn give(self, established: Established) -> Result<(), Box<Established>> {
        self.give.send(established).map_err(Box::new)
    }
}

/// Waits for the next caller and runs that call to its end.
pub(crate) fn answer(
    common: &Arc<Common>,
    shared: Arc<Shared>,
    media: Box<Media>,
) -> impl Future<Output = ()> + Send + use<> {
    let (give, taken) = oneshot::channel();
    common.standing.state().waiting.push_back(Waiting { offer: media.offer_ahead(), give });
    let common = Arc::downgrade(common);
    async move {
        let established = tokio::select! {
            biased;
            () = shared.hang_up.notified() => None,
            established = taken => established.ok(),
        };
        let Some(established) = established else {
            return shared.over(End::GoingAway { by: EndedBy::Local });
        };
        let ahead = established.call.peer().is_none();
        let outcome = driver::run(&shared, established, Some(media), Offer::default()).await;
        if let Some(common) = common.upgrade().filter(|_| ahead) {
            let proven = shared.core(|call| call.peer()).flatten().is_some();
            common.acceptor(|a| a.count_claimed(proven));
            if !proven {
                common.standing.distrust();
            }
        }
        shared.over(outcome.end);
    }
}
