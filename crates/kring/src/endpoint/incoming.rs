//! Somebody calls, and it rings.

use crate::call::Call;
use crate::event::End;
use crate::home::ContactInfo;
use crate::media::Media;
use crate::shared::Shared;
use kring_core::control::Reason;
use kring_core::handshake::Pass;
use kring_core::identity::PublicIdentity;
use kring_core::offer::{Offer, TrackInfo};
use std::net::SocketAddr;
use std::sync::Arc;

/// Someone calls. It rings for them until this is [answered](Incoming::answer) or declined; dropping it declines.
///
/// ```no_run
/// # async fn one(endpoint: kring::Endpoint, media: kring::Media) -> Option<()> {
/// let incoming = endpoint.incoming().await?;
/// match incoming.contact() {
///     Some(contact) => println!("{} calls", contact.name),
///     None => println!("somebody calls who says \"{}\"", incoming.name()),
/// }
/// let call = incoming.answer(media);
/// println!("{}", call.ended().await);
/// # Some(())
/// # }
/// ```
#[must_use = "dropping an incoming call declines it"]
pub struct Incoming {
    pub(super) call: Option<Call>,
    pub(crate) shared: Arc<Shared>,
    pub(super) peer: PublicIdentity,
    pub(super) contact: Option<ContactInfo>,
    pub(super) offer: Offer,
    pub(super) pass: Pass,
    pub(super) from: SocketAddr,
}

impl Incoming {
    /// Who calls, proven by the handshake.
    #[must_use]
    pub fn peer(&self) -> PublicIdentity {
        self.peer
    }

    /// How the caller calls itself; nobody has checked it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.offer.name
    }

    /// What the caller wants to send.
    #[must_use]
    pub fn tracks(&self) -> &[TrackInfo] {
        &self.offer.tracks
    }

    /// The contact who calls; `None` if it is somebody else.
    #[must_use]
    pub fn contact(&self) -> Option<&ContactInfo> {
        self.contact.as_ref()
    }

    /// What let the caller through.
    #[must_use]
    pub fn pass(&self) -> Pass {
        self.pass
    }

    /// Where the call comes from.
    #[must_use]
    pub fn from(&self) -> SocketAddr {
        self.from
    }

    /// Takes the call.
    pub fn answer(mut self, media: Media) -> Call {
        self.shared.switches.begin_with(&media);
        *self.shared.answer.lock().expect("nothing panics with this lock held") = Some(Box::new(media));
        self.shared.wake.notify_one();
        self.call.take().expect("taken only here and in drop")
    }

    /// Does not take the call.
    pub fn decline(self) {
        self.refuse(Reason::Declined);
    }

    /// Does not take the call because of another one.
    pub fn busy(self) {
        self.refuse(Reason::Busy);
    }

    /// Waits until the caller has given up (and says how).
    pub async fn given_up(&self) -> End {
        match &self.call {
            Some(call) => call.ended().await,
            None => End::Vanished,
        }
    }

    fn refuse(&self, reason: Reason) {
        self.shared.core(|call| call.decline(reason));
        self.shared.wake.notify_one();
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.call.is_some() {
            self.refuse(Reason::Declined);
        }
    }
}
